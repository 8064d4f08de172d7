use std::time::{Duration, SystemTime};

use http::header::{AGE, CONTENT_RANGE, CONTENT_TYPE, DATE, EXPIRES, SET_COOKIE, UPGRADE, VARY};
use http::response::Parts;
use http::{HeaderMap, HeaderName, StatusCode};

use super::control::{Answered, MOST};

/// How long an answer is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lifetime {
    pub(super) fresh_for: Duration,
    /// How old it was when it came.
    pub(super) age: Duration,
    /// Beyond being fresh: while another one is fetched, and where that fails.
    pub(super) stale_while_revalidate: Duration,
    pub(super) stale_if_error: Duration,
    /// Whether it says that it is the same for everybody, those with credentials as well (RFC 9111, 3.5).
    pub(super) public: bool,
}

/// What may make an answer fresh that says nothing itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Default {
    pub(super) ttl: Option<Duration>,
    /// Whether the length of the body is known: a stream is not held up where nobody said so.
    pub(super) has_length: bool,
}

impl Lifetime {
    /// None of an answer that is not kept.
    pub(super) fn of(answer: &Parts, has_credentials: bool, default: Default) -> Option<Self> {
        let headers = &answer.headers;
        let control = Answered::of(headers);
        let public = control.public || control.s_maxage.is_some();
        if control.is_refused || (has_credentials && !public) || is_of_one(answer) {
            return None;
        }
        let said = control.s_maxage.or(control.max_age).or_else(|| until_expired(headers));
        let fresh_for = match said {
            Some(_) if !may_be_kept(answer.status) => return None,
            Some(fresh_for) => fresh_for,
            None if default.has_length && is_good(answer.status) => default.ttl?,
            None => return None,
        };
        // A time of a setting, or until a date, may be any.
        let fresh_for = fresh_for.min(MOST);
        let age = headers
            .get(AGE)
            .and_then(|age| age.to_str().ok()?.parse().ok())
            .map_or(Duration::ZERO, Duration::from_secs);
        let beyond = |said: Option<Duration>| said.filter(|_| !control.must_revalidate).unwrap_or_default();
        let lifetime = Self {
            fresh_for,
            age,
            stale_while_revalidate: beyond(control.stale_while_revalidate),
            stale_if_error: beyond(control.stale_if_error),
            public,
        };
        (age < fresh_for).then_some(lifetime)
    }

    /// For how long it may be of use.
    pub(super) fn whole(&self) -> Duration {
        self.fresh_for.saturating_sub(self.age) + self.stale_while_revalidate.max(self.stale_if_error)
    }
}

/// Whether it is for one client, or no whole answer, or never ends.
fn is_of_one(answer: &Parts) -> bool {
    let headers = &answer.headers;
    // What is no name cannot be compared.
    let is_comparable = |name: &str| name.is_empty() || (name != "*" && HeaderName::try_from(name).is_ok());
    let varies_by_all = headers
        .get_all(VARY)
        .iter()
        .any(|value| value.to_str().map_or(true, |list| !list.split(',').map(str::trim).all(is_comparable)));
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let is_stream = ["text/event-stream", "multipart/x-mixed-replace"]
        .iter()
        .any(|stream| kind.get(..stream.len()).is_some_and(|start| start.eq_ignore_ascii_case(stream)));
    varies_by_all || is_stream || [SET_COOKIE, CONTENT_RANGE, UPGRADE].iter().any(|name| headers.contains_key(name))
}

/// Those that may be kept by their definition (RFC 9110, 15.1), but for parts.
fn may_be_kept(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200 | 203 | 204 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501)
}

/// Those that are kept though they say nothing: what is missing may be made at any time.
fn is_good(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200 | 203 | 204 | 300 | 301 | 308)
}

/// By `Expires`. A date that is none is in the past (RFC 9111, 5.3).
fn until_expired(headers: &HeaderMap) -> Option<Duration> {
    let date = |name: &HeaderName| httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok();
    if !headers.contains_key(EXPIRES) {
        return None;
    }
    let sent = date(&DATE).unwrap_or_else(SystemTime::now);
    Some(date(&EXPIRES).and_then(|expires| expires.duration_since(sent).ok()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, headers: &[(&str, &str)], ttl: Option<u64>, has_credentials: bool) -> Option<u64> {
        let mut response = http::Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        let (parts, ()) = response.body(()).unwrap().into_parts();
        let default = Default { ttl: ttl.map(Duration::from_secs), has_length: true };
        Lifetime::of(&parts, has_credentials, default).map(|lifetime| lifetime.fresh_for.as_secs())
    }

    #[test]
    fn an_answer_is_kept_where_it_says_so() {
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        for (headers, wanted) in [
            (&[][..], None),
            (&[("cache-control", "public")], None),
            (&[("cache-control", "max-age=9")], Some(9)),
            (&[("cache-control", "max-age=9, s-maxage=7")], Some(7)),
            (&[("cache-control", "max-age=0")], None),
            (&[("cache-control", "max-age=9"), ("age", "8")], Some(9)),
            (&[("cache-control", "max-age=9"), ("age", "9")], None),
            (&[date, ("expires", "Sun, 06 Nov 1994 08:50:37 GMT")], Some(60)),
            (&[date, ("expires", "Sun, 06 Nov 1994 08:48:37 GMT")], None),
            (&[("expires", "0")], None),
            (&[date, ("expires", "Sun, 06 Nov 1994 08:50:37 GMT"), ("cache-control", "max-age=5")], Some(5)),
            (&[("cache-control", "max-age=9, no-store")], None),
            (&[("cache-control", "max-age=9, private")], None),
            (&[("cache-control", "max-age=9"), ("cache-control", "no-cache")], None),
            (&[("cache-control", "max-age=9"), ("set-cookie", "a=b")], None),
            (&[("cache-control", "max-age=9"), ("vary", "accept, *")], None),
            (&[("cache-control", "max-age=9"), ("vary", "accept")], Some(9)),
            (&[("cache-control", "max-age=9"), ("vary", "accept, a b")], None),
            (&[("cache-control", "max-age=9"), ("vary", ", accept,")], Some(9)),
            (&[("cache-control", "max-age=9"), ("content-range", "bytes 0-1/2")], None),
            (&[("cache-control", "max-age=9"), ("content-type", "text/event-stream; charset=utf-8")], None),
        ] {
            assert_eq!(of(200, headers, None, false), wanted, "{headers:?}");
        }
    }

    #[test]
    fn a_default_is_for_what_says_nothing() {
        for (headers, wanted) in [
            (&[][..], Some(5)),
            (&[("cache-control", "public")], Some(5)),
            (&[("cache-control", "max-age=9")], Some(9)),
            (&[("cache-control", "max-age=0")], None),
            (&[("cache-control", "no-cache")], None),
            (&[("cache-control", "private")], None),
            (&[("expires", "0")], None),
            (&[("set-cookie", "a=b")], None),
            (&[("content-type", "Text/Event-Stream")], None),
        ] {
            assert_eq!(of(200, headers, Some(5), false), wanted, "{headers:?}");
        }
        for (status, by_default, said) in [
            (200, true, true),
            (204, true, true),
            (301, true, true),
            (302, false, false),
            (304, false, false),
            (206, false, false),
            (404, false, true),
            (410, false, true),
            (401, false, false),
            (429, false, false),
            (500, false, false),
            (503, false, false),
        ] {
            assert_eq!(of(status, &[], Some(5), false).is_some(), by_default, "{status}");
            assert_eq!(of(status, &[("cache-control", "max-age=9")], None, false).is_some(), said, "{status}");
        }
    }

    #[test]
    fn what_credentials_got_is_kept_where_it_is_for_all() {
        for (control, wanted) in [
            ("max-age=9", None),
            ("max-age=9, must-revalidate", None),
            ("max-age=9, public", Some(9)),
            ("s-maxage=9", Some(9)),
            ("public", Some(5)),
            ("public, private", None),
        ] {
            assert_eq!(of(200, &[("cache-control", control)], Some(5), true), wanted, "{control}");
        }
        assert_eq!(of(200, &[], Some(5), true), None);
    }
}
