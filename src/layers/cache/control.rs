//! The directives of `Cache-Control` (RFC 9111, 5.2).

use std::time::Duration;

use http::header::{CACHE_CONTROL, PRAGMA};
use http::{HeaderMap, HeaderName};

/// What an answer says about being kept.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Answered {
    /// `no-store`, `no-cache` or `private`, of all of it or of fields: it is not for others, or not without being asked for again.
    pub(super) is_refused: bool,
    pub(super) public: bool,
    /// `must-revalidate` or `proxy-revalidate`: it is never sent once it is stale.
    pub(super) must_revalidate: bool,
    pub(super) max_age: Option<Duration>,
    pub(super) s_maxage: Option<Duration>,
    pub(super) stale_while_revalidate: Option<Duration>,
    pub(super) stale_if_error: Option<Duration>,
}

/// What a request says about what was kept.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Asks {
    pub(super) no_cache: bool,
    pub(super) no_store: bool,
    pub(super) only_if_cached: bool,
    pub(super) max_age: Option<Duration>,
    pub(super) min_fresh: Option<Duration>,
}

impl Answered {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut answered = Self::default();
        for (name, value) in directives(headers, &CACHE_CONTROL) {
            let is = |known: &str| name.eq_ignore_ascii_case(known);
            if is("no-store") || is("no-cache") || is("private") {
                answered.is_refused = true;
            } else if is("public") {
                answered.public = true;
            } else if is("must-revalidate") || is("proxy-revalidate") {
                answered.must_revalidate = true;
            } else if is("max-age") {
                least(&mut answered.max_age, value);
            } else if is("s-maxage") {
                least(&mut answered.s_maxage, value);
            } else if is("stale-while-revalidate") {
                least(&mut answered.stale_while_revalidate, value);
            } else if is("stale-if-error") {
                least(&mut answered.stale_if_error, value);
            }
        }
        answered
    }
}

impl Asks {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut asks = Self::default();
        if !headers.contains_key(CACHE_CONTROL) {
            // As HTTP/1.0 says it.
            asks.no_cache = directives(headers, &PRAGMA).any(|(name, _)| name.eq_ignore_ascii_case("no-cache"));
            return asks;
        }
        for (name, value) in directives(headers, &CACHE_CONTROL) {
            let is = |known: &str| name.eq_ignore_ascii_case(known);
            if is("no-cache") {
                asks.no_cache = true;
            } else if is("no-store") {
                asks.no_store = true;
            } else if is("only-if-cached") {
                asks.only_if_cached = true;
            } else if is("max-age") {
                least(&mut asks.max_age, value);
            } else if is("min-fresh") {
                asks.min_fresh = asks.min_fresh.max(Some(seconds(value)));
            }
        }
        asks
    }
}

/// Of a directive that is there twice the shorter time counts.
fn least(slot: &mut Option<Duration>, value: &str) {
    let given = seconds(value);
    *slot = Some(slot.map_or(given, |had| had.min(given)));
}

/// As RFC 9111, 1.2.2 has it, more is the same as this.
pub(super) const MOST: Duration = Duration::from_secs(1 << 31);

/// What is no number is none at all, so that it makes nothing fresh.
fn seconds(value: &str) -> Duration {
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    match (is_number, value.parse()) {
        (false, _) => Duration::ZERO,
        (true, seconds) => seconds.map_or(MOST, |seconds| Duration::from_secs(seconds).min(MOST)),
    }
}

/// Names and values, these without their quotes.
fn directives<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = (&'h str, &'h str)> {
    let values = headers.get_all(name).iter();
    values.flat_map(|value| elements(value.to_str().unwrap_or("no-store"))).map(|element| {
        let (name, value) = element.split_once('=').unwrap_or((element, ""));
        (name.trim(), value.trim().trim_matches('"'))
    })
}

/// Splits at commas that are not within quotes. Quotes that do not end hide nothing, so that no directive is overlooked.
pub(super) fn elements(list: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(list);
    std::iter::from_fn(move || {
        let list = rest?;
        let (mut is_quoted, mut is_escaped) = (false, false);
        let comma = list.bytes().position(|byte| {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' => is_escaped = is_quoted,
                b'"' => is_quoted = !is_quoted,
                _ => {}
            }
            byte == b',' && !is_quoted
        });
        let comma = comma.or_else(|| if is_quoted { list.find(',') } else { None });
        rest = comma.map(|comma| &list[comma + 1..]);
        Some(list[..comma.unwrap_or(list.len())].trim())
    })
    .filter(|element| !element.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
        list.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn answers_are_read_so_that_less_is_kept() {
        let of = |value: &str| Answered::of(&headers(&[("cache-control", value)]));
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        for refused in [
            "no-store",
            "NO-CACHE",
            "private",
            "max-age=9, private=\"a, b\"",
            "no-cache=\"set-cookie\"",
            "a,,no-store",
            r#"x="a\"", no-store"#,
            r#"x="a\\", no-store"#,
            "x=\"a, no-store",
            "x=\", no-store, max-age=9",
        ] {
            assert!(of(refused).is_refused, "{refused}");
        }
        for kept in
            ["", "public", "max-age=9", "x=\"no-store\"", "x=\"a, no-store\", max-age=1", r#"x="a\", no-store""#]
        {
            assert!(!of(kept).is_refused, "{kept}");
        }
        for (value, max_age) in [
            ("max-age=60", seconds(60)),
            ("Max-Age=\"60\"", seconds(60)),
            ("max-age=60, max-age=5", seconds(5)),
            ("max-age=-1", seconds(0)),
            ("max-age=+1", seconds(0)),
            ("max-age=1.5", seconds(0)),
            ("max-age", seconds(0)),
            ("max-age=x", seconds(0)),
            ("max-age=99999999999999999999999", seconds(1 << 31)),
            ("s-maxage=60", None),
        ] {
            assert_eq!(of(value).max_age, max_age, "{value}");
        }
        let all = of("public, s-maxage=1, proxy-revalidate, stale-while-revalidate=2, stale-if-error=3");
        assert!(all.public && all.must_revalidate);
        assert_eq!(
            (all.s_maxage, all.stale_while_revalidate, all.stale_if_error),
            (seconds(1), seconds(2), seconds(3))
        );
    }

    #[test]
    fn requests_are_read() {
        let of = |list: &[(&'static str, &str)]| Asks::of(&headers(list));
        assert_eq!(of(&[]), Asks::default());
        assert!(of(&[("pragma", "no-cache")]).no_cache);
        assert!(!of(&[("pragma", "no-cache"), ("cache-control", "max-age=5")]).no_cache);
        let asks =
            of(&[("cache-control", "no-cache, max-age=0"), ("cache-control", "only-if-cached, min-fresh=5, no-store")]);
        assert!(asks.no_cache && asks.no_store && asks.only_if_cached);
        assert_eq!((asks.max_age, asks.min_fresh), (Some(Duration::ZERO), Some(Duration::from_secs(5))));
    }
}
