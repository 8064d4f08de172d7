use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{
    AGE, CONNECTION, CONTENT_LENGTH, DATE, ETAG, LAST_MODIFIED, PROXY_AUTHENTICATE, TE, TRAILER, TRANSFER_ENCODING,
    VARY,
};
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use tokio::time::Instant;

use super::asked::Read;
use super::control::Asks;
use super::lifetime::Lifetime;
use super::status::{self, CACHE_STATUS, Told};
use super::writes::Begun;
use crate::layers::tags;
use crate::service::LeafInfo;

/// What a kept answer takes beside its bytes, about.
const OVERHEAD: usize = 512;

/// An answer that is kept.
#[derive(Debug)]
pub(super) struct Stored {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    /// What the request said in the headers by which the answer varies.
    varies: Vec<(HeaderName, Vec<HeaderValue>)>,
    pub(super) lifetime: Lifetime,
    /// When its head was there. What the inner service took before that is not counted, unlike RFC 9111, 4.2.3 has it: it would have the
    /// slowest answers be kept for the shortest time, and is not the way of other caches either.
    came: Instant,
    /// When it was asked for, by the count of writes to its path.
    pub(super) begun: Begun,
    /// Of a second: how old it is, and what is told of it then when it is fresh.
    told: Mutex<Option<(u64, HeaderValue, HeaderValue)>>,
    /// Whether a cache further in has told something.
    was_told: bool,
    /// Which route has answered; layers outside may want to know.
    leaf: Option<Arc<LeafInfo>>,
}

impl Stored {
    /// `request` are the headers that the answer may vary by.
    pub(super) fn new(
        parts: &Parts,
        body: &Bytes,
        request: &HeaderMap,
        lifetime: Lifetime,
        came: Instant,
        begun: Begun,
    ) -> Self {
        let mut headers = parts.headers.clone();
        // Of the connection that it came by (RFC 9111, 3.1), or told anew each time.
        for named in names_in(&parts.headers, &CONNECTION) {
            headers.remove(named);
        }
        for name in [CONNECTION, PROXY_AUTHENTICATE, TE, TRAILER, TRANSFER_ENCODING] {
            headers.remove(name);
        }
        for name in ["keep-alive", "proxy-authentication-info"] {
            headers.remove(name);
        }
        // Who sends it would say that it is of that moment (RFC 9110, 6.6.1).
        if !headers.contains_key(DATE)
            && let Ok(date) = httpdate::fmt_http_date(SystemTime::now() - came.elapsed()).try_into()
        {
            headers.insert(DATE, date);
        }
        // In the places of those that are told each time, so that there is room for them.
        headers.insert(AGE, HeaderValue::from_static("0"));
        let was_told = headers.contains_key(CACHE_STATUS);
        if !was_told {
            headers.insert(CACHE_STATUS, HeaderValue::from_static("ziggurat"));
        }
        headers.insert(CONTENT_LENGTH, body.len().into());
        if parts.status == StatusCode::NO_CONTENT {
            headers.remove(CONTENT_LENGTH);
        }
        let varies = names_in(&parts.headers, &VARY).map(|name| values(request, name)).collect();
        Self {
            status: parts.status,
            headers,
            // What it is a part of may be much larger, and would be kept with it.
            body: Bytes::copy_from_slice(body),
            varies,
            lifetime,
            came,
            begun,
            told: Mutex::default(),
            was_told,
            leaf: parts.extensions.get().cloned(),
        }
    }

    /// Whether it is the answer to a request with these headers, as far as it says.
    pub(super) fn is_for(&self, request: &HeaderMap) -> bool {
        self.varies.iter().all(|(name, values)| request.get_all(name).iter().eq(values))
    }

    /// Appends to `key` what the request says in the headers by which this answer varies.
    pub(super) fn select(&self, request: &HeaderMap, key: &mut Vec<u8>) {
        for (name, _) in &self.varies {
            append(key, request, name);
        }
    }

    pub(super) fn age(&self) -> Duration {
        self.lifetime.age + self.came.elapsed()
    }

    /// For how long it is fresh at this age; none when it is stale.
    pub(super) fn fresh(&self, age: Duration) -> Option<Duration> {
        self.lifetime.fresh_for.checked_sub(age).filter(|left| !left.is_zero())
    }

    /// The seconds for which it is fresh; fewer than none for which it is stale.
    pub(super) fn left(&self, age: Duration) -> i64 {
        let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        seconds(self.lifetime.fresh_for).saturating_sub(seconds(age))
    }

    /// Whether it is stale for no longer than this.
    pub(super) fn is_within(&self, age: Duration, beyond: Duration) -> bool {
        age < self.lifetime.fresh_for + beyond
    }

    /// Whether it is not too old for a client.
    pub(super) fn suits(&self, asks: &Asks, age: Duration) -> bool {
        let has_left = |least| self.fresh(age).is_some_and(|left| left >= least);
        !asks.no_cache && asks.max_age.is_none_or(|most| age <= most) && asks.min_fresh.is_none_or(has_left)
    }

    pub(super) fn weight(&self) -> usize {
        let headers = self.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 64).sum::<usize>();
        let varies = self.varies.iter().flat_map(|(_, values)| values).map(|value| value.len() + 64).sum::<usize>();
        self.body.len() + headers + varies + OVERHEAD
    }

    /// The answer to a request, without a body where the client has that, or asks for the head.
    pub(super) fn answer(&self, read: &Read, age: Duration, told: Told) -> Response<Bytes> {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers.clone();
        if let Some(leaf) = &self.leaf {
            response.extensions_mut().insert(leaf.clone());
        }
        let (age, status) = match told {
            Told::Hit(_) => self.hit(age),
            told => (age.as_secs().into(), status::value(told)),
        };
        let headers = response.headers_mut();
        headers.insert(AGE, age);
        if self.was_told {
            headers.append(CACHE_STATUS, status);
        } else {
            headers.insert(CACHE_STATUS, status);
        }
        if self.status == StatusCode::OK && read.has(&self.headers) {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            tags::without_metadata(response.headers_mut());
        } else if !read.head {
            *response.body_mut() = self.body.clone();
        }
        response
    }
}

impl Stored {
    /// `Age` and `Cache-Status` of a hit, which are the same for a second.
    fn hit(&self, age: Duration) -> (HeaderValue, HeaderValue) {
        let seconds = age.as_secs();
        let make = || (HeaderValue::from(seconds), status::value(Told::Hit(self.left(age))));
        // Who would have to wait for another one makes them as quickly.
        let Ok(mut told) = self.told.try_lock() else { return make() };
        if let Some((at, age, status)) = &*told
            && *at == seconds
        {
            return (age.clone(), status.clone());
        }
        let (age, status) = make();
        *told = Some((seconds, age.clone(), status.clone()));
        (age, status)
    }
}

/// The names of headers in a header, as `Vary`.
fn names_in(headers: &HeaderMap, name: &HeaderName) -> impl Iterator<Item = HeaderName> {
    let lists = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).filter_map(|name| name.trim().parse().ok())
}

fn values(headers: &HeaderMap, name: HeaderName) -> (HeaderName, Vec<HeaderValue>) {
    let values = headers.get_all(&name).iter().cloned().collect();
    (name, values)
}

/// Appends the values of a header, so that no two different lists look the same: no value holds a zero or a one.
pub(super) fn append(key: &mut Vec<u8>, headers: &HeaderMap, name: &HeaderName) {
    for value in headers.get_all(name) {
        key.push(1);
        key.extend_from_slice(value.as_bytes());
    }
    key.push(0);
}

impl Read {
    /// Whether the client has what an answer with these headers holds (RFC 9110, 13.2.2).
    pub(super) fn has(&self, answer: &HeaderMap) -> bool {
        if !self.none_match.is_empty() {
            // Any answer there is (13.1.2), with a tag or without.
            if self.none_match.iter().any(|value| value.as_bytes().trim_ascii() == b"*") {
                return true;
            }
            return answer.get(ETAG).is_some_and(|tag| tags::is_listed(&self.none_match, tag));
        }
        let date = |value: Option<&HeaderValue>| -> Option<SystemTime> {
            httpdate::parse_http_date(value?.to_str().ok()?).ok()
        };
        let modified = date(answer.get(LAST_MODIFIED));
        modified.zip(date(self.modified_since.as_ref())).is_some_and(|(modified, since)| modified <= since)
    }
}
