//! Conditions of requests, by what a file is known by.

use std::fs::Metadata;
use std::time::{Duration, SystemTime};

use http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::layers::tags;

/// A file may be written to again without another time being noted, as times are kept by some systems.
const SETTLED: Duration = Duration::from_secs(2);
/// 1 January 1990. Builds that are to give the same bytes each time set the times of all files to one before it: 1970 that of Nix and
/// others, 1980 archives of ZIP, 1985 those of npm. It is the same whatever is in the file.
const MEANT: Duration = Duration::from_secs(631_152_000);

/// What tells one state of a file from another.
#[derive(Debug)]
pub(super) struct Validators {
    pub(super) tag: HeaderValue,
    /// When it was changed, in whole seconds. None while it may be changed again within that second: a part that a client got then
    /// would be gone on with by that date (RFC 9110, 8.8.2.2).
    pub(super) modified: Option<SystemTime>,
    /// Whether nobody can have changed the file without its tag telling.
    is_strong: bool,
}

/// What a system keeps of a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept {
    pub(super) length: u64,
    pub(super) modified: Option<SystemTime>,
    /// When that, or anything else that is kept of it, was changed last. No program sets it, and machines differ.
    pub(super) changed: Option<SystemTime>,
}

impl Kept {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self { length: metadata.len(), modified: metadata.modified().ok(), changed: changed(metadata) }
    }
}

#[cfg(unix)]
fn changed(metadata: &Metadata) -> Option<SystemTime> {
    use std::os::unix::fs::MetadataExt;
    let since_1970 = Duration::new(metadata.ctime().try_into().ok()?, metadata.ctime_nsec().try_into().ok()?);
    SystemTime::UNIX_EPOCH.checked_add(since_1970)
}

#[cfg(not(unix))]
fn changed(metadata: &Metadata) -> Option<SystemTime> {
    metadata.created().ok()
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
    pub(super) fn new(kept: Kept, coding: Option<&str>, now: SystemTime) -> Self {
        let Kept { length, modified, changed } = kept;
        let meant = modified.filter(|time| *time >= SystemTime::UNIX_EPOCH + MEANT);
        let known = meant.or(changed);
        let since_1970 = known.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok()).unwrap_or_default();
        let age = known.and_then(|time| now.duration_since(time).ok());
        let is_strong = age.is_some_and(|age| age >= SETTLED);
        let (weak, dash) = (if is_strong { "" } else { "W/" }, if coding.is_some() { "-" } else { "" });
        let tag = format!("{weak}\"{:x}-{length:x}{dash}{}\"", since_1970.as_nanos(), coding.unwrap_or_default());
        Self {
            // ASCII without control characters.
            tag: HeaderValue::try_from(tag).unwrap_or(HeaderValue::from_static("W/\"\"")),
            modified: meant
                .filter(|_| is_strong)
                .map(|_| SystemTime::UNIX_EPOCH + Duration::from_secs(since_1970.as_secs())),
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

/// One: of several none counts (RFC 9110, 13.1.3).
fn date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    let mut values = headers.get_all(name).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    httpdate::parse_http_date(value.to_str().ok()?).ok()
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
        of(5, Some(modified), None, modified + Duration::from_secs_f32(seconds))
    }

    /// As on a machine that has had the file since 2001.
    fn of(length: u64, modified: Option<SystemTime>, coding: Option<&str>, now: SystemTime) -> Validators {
        let changed = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000));
        Validators::new(Kept { length, modified, changed }, coding, now)
    }

    fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in list {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_tag_is_strong_once_a_change_would_show() {
        assert_eq!(of_age(2.0).tag, TAG);
        assert_eq!(of_age(1.9).tag, format!("W/{TAG}"));
        let modified = SystemTime::UNIX_EPOCH + MEANT;
        let coded = of(16, Some(modified), Some("br"), modified + SETTLED);
        assert_eq!((coded.tag.to_str().unwrap(), coded.modified), ("\"8c24d6667470000-10-br\"", Some(modified)));
        // A clock that was put back.
        let to_come = of(16, Some(modified), None, SystemTime::UNIX_EPOCH);
        assert_eq!((to_come.tag.to_str().unwrap(), to_come.modified), ("W/\"8c24d6667470000-10\"", None));
        let timeless = Validators::new(Kept { length: 16, modified: None, changed: None }, None, modified);
        assert_eq!((timeless.tag.to_str().unwrap(), timeless.modified), ("W/\"0-10\"", None));
    }

    #[test]
    fn a_date_is_told_once_no_other_change_can_have_it() {
        let modified = httpdate::parse_http_date(CHANGED).unwrap();
        assert_eq!((of_age(2.0).modified, of_age(1.9).modified), (Some(modified), None));
    }

    #[test]
    fn times_that_builds_set_tell_nothing() {
        let second = |second| SystemTime::UNIX_EPOCH + Duration::from_secs(second);
        let now = second(1_000_000_100);
        // One before 1970 is one.
        let before = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        for modified in [before, second(0), second(1), second(315_532_800), second(499_162_500), second(631_151_999)] {
            let known = of(16, Some(modified), None, now);
            assert_eq!(known.tag, "\"de0b6b3a7640000-10\"", "{modified:?}");
            assert_eq!(known.modified, None, "{modified:?}");
            let kept = Kept { length: 16, modified: Some(modified), changed: Some(now) };
            assert!(Validators::new(kept, None, now).tag.as_bytes().starts_with(b"W/"), "{modified:?}");
        }
        assert_ne!(of(16, Some(second(631_152_000)), None, now).tag, "\"de0b6b3a7640000-10\"");
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
            (&[("if-modified-since", CHANGED), ("if-modified-since", CHANGED)], Send),
            (&[("if-unmodified-since", BEFORE), ("if-unmodified-since", BEFORE)], Send),
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
