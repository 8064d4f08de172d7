//! `Cache-Status` (RFC 9211).

use std::fmt;
use std::io::Write as _;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

pub(super) const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

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

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UriMiss => "uri-miss",
            Self::VaryMiss => "vary-miss",
            Self::Stale => "stale",
            Self::Request => "request",
        })
    }
}

/// Adds it to what caches further in have told.
pub(super) fn append(headers: &mut HeaderMap, told: Told) {
    headers.append(CACHE_STATUS, value(told));
}

pub(super) fn value(told: Told) -> HeaderValue {
    // Longer than each of them.
    let mut text = [0; 128];
    let mut rest = &mut text[..];
    let written = match told {
        Told::Hit(left) => write!(rest, "ziggurat; hit; ttl={left}"),
        Told::Collapsed(why, left) => write!(rest, "ziggurat; fwd={why}; collapsed; ttl={left}"),
        Told::Kept(why, left) => write!(rest, "ziggurat; fwd={why}; stored; ttl={left}"),
        Told::HandedOn(why) => write!(rest, "ziggurat; fwd={why}"),
        Told::InsteadOfFailure(why, None, left) => {
            write!(rest, "ziggurat; fwd={why}; ttl={left}; detail=stale-if-error")
        }
        Told::InsteadOfFailure(why, Some(status), left) => {
            let status = status.as_u16();
            write!(rest, "ziggurat; fwd={why}; fwd-status={status}; ttl={left}; detail=stale-if-error")
        }
        Told::OnlyIfCached => write!(rest, "ziggurat; detail=only-if-cached"),
    };
    let left = rest.len();
    let value = written.ok().and_then(|()| HeaderValue::from_bytes(text.get(..text.len() - left)?).ok());
    value.unwrap_or(HeaderValue::from_static("ziggurat"))
}
