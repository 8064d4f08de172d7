use http::HeaderValue;
use sha2::{Digest, Sha256};

/// The entity tag of these bytes: half of their SHA-256, so that nobody makes two contents that share one.
pub(super) fn of(bytes: &[u8], weak: bool) -> HeaderValue {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    let digest = Sha256::digest(bytes);
    let mut text = [b'"'; 36];
    text[..2].copy_from_slice(b"W/");
    for (pair, byte) in text[3..35].chunks_exact_mut(2).zip(digest.iter()) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    let text = if weak { &text[..] } else { &text[2..] };
    // ASCII without control characters.
    HeaderValue::from_bytes(text).unwrap_or(HeaderValue::from_static("\"\""))
}

/// Whether `If-None-Match` lists `tag` (RFC 9110, 13.1.2), by weak comparison (8.8.3.2).
///
/// Of a list that is not well-formed, what was read before counts.
pub(super) fn is_listed(if_none_match: &[HeaderValue], tag: &HeaderValue) -> bool {
    let Some((tag, [])) = opaque(tag.as_bytes()) else { return false };
    if_none_match.iter().any(|value| value.as_bytes().trim_ascii() == b"*" || lists(value.as_bytes(), tag))
}

fn lists(mut list: &[u8], wanted: &[u8]) -> bool {
    loop {
        while let [b' ' | b'\t' | b',', rest @ ..] = list {
            list = rest;
        }
        // A tag may have commas in it, so the list is not split at them.
        let Some((tag, rest)) = opaque(list) else { return false };
        if tag == wanted {
            return true;
        }
        list = rest.trim_ascii_start();
        if !matches!(list, [b',', ..]) {
            return false;
        }
    }
}

/// What is between the quotes of a tag that `text` begins with, weak or strong, and what comes after it.
fn opaque(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let quoted = text.strip_prefix(b"W/").unwrap_or(text).strip_prefix(b"\"")?;
    let end = quoted.iter().position(|byte| *byte == b'"')?;
    Some((&quoted[..end], &quoted[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_half_a_digest() {
        assert_eq!(of(b"", false), "\"e3b0c44298fc1c149afbf4c8996fb924\"");
        assert_eq!(of(b"", true), "W/\"e3b0c44298fc1c149afbf4c8996fb924\"");
        assert_ne!(of(b"a", false), of(b"b", false));
    }

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
}
