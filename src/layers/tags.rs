//! Entity tags in the conditions of requests, and answers to these. Each feature alone uses some of it.

use http::header::{CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, LAST_MODIFIED};
use http::{HeaderMap, HeaderValue};

/// Whether the values of `If-None-Match` list `tag` (RFC 9110, 13.1.2), by weak comparison (8.8.3.2).
///
/// Of a list that is not well-formed, what was read before counts.
pub(crate) fn is_listed<'a>(values: impl IntoIterator<Item = &'a HeaderValue>, tag: &HeaderValue) -> bool {
    let Some((Tag { opaque, .. }, [])) = Tag::parse(tag.as_bytes()) else { return false };
    values.into_iter().any(|value| lists(value.as_bytes(), |listed| listed.opaque == opaque))
}

/// Whether the values of `If-Match` list `tag` (RFC 9110, 13.1.1), by strong comparison: weak tags are never the same.
#[allow(dead_code)]
pub(super) fn is_listed_strongly<'a>(values: impl IntoIterator<Item = &'a HeaderValue>, tag: &HeaderValue) -> bool {
    let Some((Tag { opaque, weak }, [])) = Tag::parse(tag.as_bytes()) else { return false };
    let same = |listed: Tag<'_>| !weak && !listed.weak && listed.opaque == opaque;
    values.into_iter().any(|value| lists(value.as_bytes(), same))
}

/// Leaves what a 304 tells (RFC 9110, 15.4.5): all but what describes the content that is not sent.
#[allow(dead_code)]
pub(super) fn without_metadata(headers: &mut HeaderMap) {
    for name in [CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, LAST_MODIFIED] {
        headers.remove(name);
    }
    for name in ["content-digest", "digest", "repr-digest"] {
        headers.remove(name);
    }
}

fn lists(mut list: &[u8], same: impl Fn(Tag<'_>) -> bool) -> bool {
    if list.trim_ascii() == b"*" {
        return true;
    }
    loop {
        while let [b' ' | b'\t' | b',', rest @ ..] = list {
            list = rest;
        }
        // A tag may have commas in it, so the list is not split at them.
        let Some((tag, rest)) = Tag::parse(list) else { return false };
        if same(tag) {
            return true;
        }
        list = rest.trim_ascii_start();
        if !matches!(list, [b',', ..]) {
            return false;
        }
    }
}

struct Tag<'a> {
    /// What is between the quotes.
    opaque: &'a [u8],
    weak: bool,
}

impl<'a> Tag<'a> {
    /// The tag that `text` begins with, and what comes after it.
    fn parse(text: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (weak, quoted) = text.strip_prefix(b"W/").map_or((false, text), |rest| (true, rest));
        let quoted = quoted.strip_prefix(b"\"")?;
        let end = quoted.iter().position(|byte| *byte == b'"')?;
        Some((Self { opaque: &quoted[..end], weak }, &quoted[end + 1..]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_as_they_are_written() {
        let listed = |list: &str, tag: &str| is_listed(&[list.parse().unwrap()], &tag.parse().unwrap());
        for (list, tag) in [
            ("*", r#""a""#),
            (" * ", r#""a""#),
            (r#""a""#, r#""a""#),
            (r#"W/"a""#, r#""a""#),
            (r#""a""#, r#"W/"a""#),
            (r#""b", W/"c" ,"a""#, r#""a""#),
            (r#",, "b",,"a","#, r#""a""#),
            (r#""b,a", "a,b""#, r#""a,b""#),
            (r#""""#, r#""""#),
        ] {
            assert!(listed(list, tag), "{list} {tag}");
        }
        for (list, tag) in [
            (r#""b""#, r#""a""#),
            (r#""A""#, r#""a""#),
            ("a", r#""a""#),
            ("a", "a"),
            ("*", "a"),
            (r#""*""#, r#""a""#),
            (r#""b" "a""#, r#""a""#),
            (r#""b"x, "a""#, r#""a""#),
            (r#""x,"a",y""#, r#""a""#),
            (r#"w/"a""#, r#""a""#),
            (r#""a"#, r#""a""#),
            (r#""a""#, r#""a"b"#),
            ("", r#""""#),
        ] {
            assert!(!listed(list, tag), "{list} {tag}");
        }
        let two = [HeaderValue::from_static("\"b\""), HeaderValue::from_static("\"a\"")];
        assert!(is_listed(&two, &HeaderValue::from_static("\"a\"")));
        assert!(!is_listed(&[], &HeaderValue::from_static("\"a\"")));
    }

    #[test]
    fn weak_tags_are_never_the_same_bytes() {
        let listed = |list: &str, tag: &str| is_listed_strongly(&[list.parse().unwrap()], &tag.parse().unwrap());
        for (list, tag) in [("*", r#""a""#), ("*", r#"W/"a""#), (r#""b", "a""#, r#""a""#), (r#"W/"a", "a""#, r#""a""#)]
        {
            assert!(listed(list, tag), "{list} {tag}");
        }
        for (list, tag) in [(r#"W/"a""#, r#""a""#), (r#""a""#, r#"W/"a""#), (r#"W/"a""#, r#"W/"a""#), ("", r#""a""#)] {
            assert!(!listed(list, tag), "{list} {tag}");
        }
    }
}
