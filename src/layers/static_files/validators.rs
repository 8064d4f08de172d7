//! Conditions of requests, by what a file is known by.

use std::time::{Duration, SystemTime};

use http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::layers::tags;

/// A file may be written to again without another time being noted, as times are kept by some systems.
const SETTLED: Duration = Duration::from_secs(2);

/// What tells one state of a file from another.
#[derive(Debug)]
pub(super) struct Validators {
    pub(super) tag: HeaderValue,
    /// When it was changed, in whole seconds, if that is not to come.
    pub(super) modified: Option<SystemTime>,
    /// Whether nobody can have changed the file without its tag telling.
    is_strong: bool,
}

/// What conditions say about the answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Send,
    NotModified,
    Failed,
}

impl Validators {
    /// `coding` is that of the bytes in the file.
    pub(super) fn new(length: u64, modified: Option<SystemTime>, coding: Option<&str>, now: SystemTime) -> Self {
        let since_1970 = modified.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok()).unwrap_or_default();
        let age = modified.and_then(|time| now.duration_since(time).ok());
        let is_strong = age.is_some_and(|age| age >= SETTLED);
        let (weak, dash) = (if is_strong { "" } else { "W/" }, if coding.is_some() { "-" } else { "" });
        let tag = format!("{weak}\"{:x}-{length:x}{dash}{}\"", since_1970.as_nanos(), coding.unwrap_or_default());
        Self {
            // ASCII without control characters.
            tag: HeaderValue::try_from(tag).unwrap_or(HeaderValue::from_static("W/\"\"")),
            modified: age.map(|_| SystemTime::UNIX_EPOCH + Duration::from_secs(since_1970.as_secs())),
            is_strong,
        }
    }

    /// The conditions that are there, in the order of RFC 9110, 13.2.2. Dates that cannot be read are none.
    pub(super) fn check(&self, headers: &HeaderMap) -> Verdict {
        let date = |name: &HeaderName| self.modified.zip(date(headers, name));
        let has_failed = if headers.contains_key(IF_MATCH) {
            !tags::is_listed_strongly(headers.get_all(IF_MATCH), &self.tag)
        } else {
            date(&IF_UNMODIFIED_SINCE).is_some_and(|(modified, since)| modified > since)
        };
        if has_failed {
            return Verdict::Failed;
        }
        let is_known = if headers.contains_key(IF_NONE_MATCH) {
            tags::is_listed(headers.get_all(IF_NONE_MATCH), &self.tag)
        } else {
            date(&IF_MODIFIED_SINCE).is_some_and(|(modified, since)| modified <= since)
        };
        if is_known { Verdict::NotModified } else { Verdict::Send }
    }

    /// Whether what the client has a part of is this (RFC 9110, 13.1.5), or it does not ask.
    pub(super) fn is_same(&self, headers: &HeaderMap) -> bool {
        let Some(had) = headers.get(IF_RANGE) else { return true };
        // Any other than one is none that could be the same.
        if !self.is_strong || headers.get_all(IF_RANGE).iter().count() > 1 {
            return false;
        }
        had == self.tag || self.modified.is_some_and(|modified| date(headers, &IF_RANGE) == Some(modified))
    }
}

fn date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANGED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const AFTER: &str = "Sunday, 06-Nov-94 08:49:38 GMT";
    const TAG: &str = "\"ae1b981bc490a40-5\"";

    fn of_age(seconds: f32) -> Validators {
        let modified = httpdate::parse_http_date(CHANGED).unwrap() + Duration::from_nanos(64);
        Validators::new(5, Some(modified), None, modified + Duration::from_secs_f32(seconds))
    }

    fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
        list.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_tag_is_strong_once_a_change_would_show() {
        assert_eq!(of_age(2.0).tag, TAG);
        assert_eq!(of_age(1.9).tag, format!("W/{TAG}"));
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
        let coded = Validators::new(16, Some(modified), Some("br"), modified + SETTLED);
        assert_eq!(coded.tag, "\"3b9aca00-10-br\"");
        // A clock that was put back.
        let to_come = Validators::new(16, Some(modified), None, SystemTime::UNIX_EPOCH);
        assert_eq!((to_come.tag.to_str().unwrap(), to_come.modified), ("W/\"3b9aca00-10\"", None));
        let timeless = Validators::new(16, None, None, modified);
        assert_eq!((timeless.tag.to_str().unwrap(), timeless.modified), ("W/\"0-10\"", None));
    }

    #[test]
    fn conditions_go_before_others() {
        use Verdict::{Failed, NotModified, Send};
        let other = "\"other\"";
        for (given, wanted) in [
            (&[][..], Send),
            (&[("if-match", TAG)], Send),
            (&[("if-match", "*")], Send),
            (&[("if-match", other)], Failed),
            (&[("if-match", "W/\"ae1b981bc490a40-5\"")], Failed),
            (&[("if-unmodified-since", CHANGED)], Send),
            (&[("if-unmodified-since", AFTER)], Send),
            (&[("if-unmodified-since", BEFORE)], Failed),
            (&[("if-unmodified-since", "yesterday")], Send),
            (&[("if-match", TAG), ("if-unmodified-since", BEFORE)], Send),
            (&[("if-match", other), ("if-unmodified-since", AFTER)], Failed),
            (&[("if-none-match", TAG)], NotModified),
            (&[("if-none-match", "W/\"ae1b981bc490a40-5\"")], NotModified),
            (&[("if-none-match", "*")], NotModified),
            (&[("if-none-match", other)], Send),
            (&[("if-modified-since", CHANGED)], NotModified),
            (&[("if-modified-since", AFTER)], NotModified),
            (&[("if-modified-since", BEFORE)], Send),
            (&[("if-modified-since", "1994-11-06")], Send),
            (&[("if-none-match", other), ("if-modified-since", AFTER)], Send),
            (&[("if-none-match", TAG), ("if-modified-since", BEFORE)], NotModified),
            (&[("if-match", TAG), ("if-none-match", TAG)], NotModified),
            (&[("if-match", other), ("if-none-match", TAG)], Failed),
            (&[("if-unmodified-since", BEFORE), ("if-modified-since", AFTER)], Failed),
        ] {
            assert_eq!(of_age(5.0).check(&headers(given)), wanted, "{given:?}");
        }
        assert_eq!(of_age(0.0).check(&headers(&[("if-match", TAG)])), Failed, "a weak tag is the same as none");
        assert_eq!(of_age(0.0).check(&headers(&[("if-none-match", TAG)])), NotModified);
    }

    #[test]
    fn a_part_is_of_the_same_bytes() {
        for (given, wanted) in [
            (&[][..], true),
            (&[("if-range", TAG)], true),
            (&[("if-range", CHANGED)], true),
            (&[("if-range", AFTER)], false),
            (&[("if-range", BEFORE)], false),
            (&[("if-range", "\"other\"")], false),
            (&[("if-range", "W/\"ae1b981bc490a40-5\"")], false),
            (&[("if-range", "*")], false),
            (&[("if-range", "")], false),
            (&[("if-range", TAG), ("if-range", TAG)], false),
        ] {
            assert_eq!(of_age(5.0).is_same(&headers(given)), wanted, "{given:?}");
        }
        for had in [TAG, CHANGED, "W/\"ae1b981bc490a40-5\""] {
            assert!(!of_age(1.0).is_same(&headers(&[("if-range", had)])), "{had}");
        }
    }
}
