//! `Cache-Status` (RFC 9211).

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// What was done with a request, and for how many seconds its answer is fresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// Answered by what was kept.
    Hit(i64),
    /// Answered by what another request was answered with, which it waited for.
    Collapsed(Why, i64),
    /// Handed on, and the answer was kept.
    Kept(Why, i64),
    /// Handed on.
    HandedOn(Why),
    /// Handed on, and answered by what was kept, since that failed, with this status if with any.
    InsteadOfFailure(Why, Option<StatusCode>, i64),
    /// Not handed on, as the client has asked.
    OnlyIfCached,
}

/// Why a request was handed on, or would have been.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// Nothing is kept for this address.
    UriMiss,
    /// What is kept is for requests that say something else.
    VaryMiss,
    Stale,
    /// The client has asked for it.
    Request,
}

impl Why {
    const fn as_str(self) -> &'static str {
        match self {
            Self::UriMiss => "uri-miss",
            Self::VaryMiss => "vary-miss",
            Self::Stale => "stale",
            Self::Request => "request",
        }
    }
}

/// Adds it to what caches further in have told.
pub(super) fn append(headers: &mut HeaderMap, told: Told) {
    let text = match told {
        Told::Hit(left) => format!("ziggurat; hit; ttl={left}"),
        Told::Collapsed(why, left) => format!("ziggurat; fwd={}; collapsed; ttl={left}", why.as_str()),
        Told::Kept(why, left) => format!("ziggurat; fwd={}; stored; ttl={left}", why.as_str()),
        Told::HandedOn(why) => format!("ziggurat; fwd={}", why.as_str()),
        Told::InsteadOfFailure(why, status, left) => {
            let status = status.map_or_else(String::new, |status| format!("; fwd-status={}", status.as_u16()));
            format!("ziggurat; fwd={}{status}; ttl={left}; detail=stale-if-error", why.as_str())
        }
        Told::OnlyIfCached => "ziggurat; detail=only-if-cached".to_owned(),
    };
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.append(CACHE_STATUS, value);
    }
}
