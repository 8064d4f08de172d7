//! `Cache-Status` (RFC 9211).

use http::{HeaderMap, HeaderName, HeaderValue};

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// What was done with a request, and for how many seconds its answer is fresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// Answered by what was kept.
    Hit(i64),
    /// Answered by what another request was answered with, which it waited for.
    Collapsed(i64),
    /// Handed on, and the answer was kept.
    Kept(Why, i64),
    /// Handed on.
    HandedOn(Why),
    /// Answered by what was kept, since there is nothing better.
    InsteadOfFailure(i64),
}

/// Why a request was handed on.
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
        Told::Collapsed(left) => format!("ziggurat; fwd=miss; collapsed; ttl={left}"),
        Told::Kept(why, left) => format!("ziggurat; fwd={}; stored; ttl={left}", why.as_str()),
        Told::HandedOn(why) => format!("ziggurat; fwd={}", why.as_str()),
        Told::InsteadOfFailure(left) => format!("ziggurat; hit; ttl={left}; detail=stale-if-error"),
    };
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.append(CACHE_STATUS, value);
    }
}
