//! Percent-encoding, read strictly: text that is not well-formed is refused, never guessed at.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

#[cfg(feature = "crud")]
use super::Problem;

/// `raw` without its percent-encoding, if every percent sign is followed by two hexadecimal digits (RFC 3986, 2.1) and the
/// bytes are UTF-8. Borrowed when nothing was encoded.
pub(crate) fn decode(raw: &str) -> Option<Cow<'_, str>> {
    let bytes = raw.as_bytes();
    if !bytes.contains(&b'%') {
        return Some(Cow::Borrowed(raw));
    }
    let well_escaped = bytes
        .iter()
        .enumerate()
        .all(|(i, &b)| b != b'%' || bytes.get(i + 1..i + 3).is_some_and(|pair| pair.iter().all(u8::is_ascii_hexdigit)));
    if well_escaped { percent_decode_str(raw).decode_utf8().ok() } else { None }
}

/// Names and values of a query string, as HTML forms encode them: `+` is a space.
///
/// # Errors
/// A 400 in the place of a pair that is not percent-encoded UTF-8.
#[cfg(feature = "crud")]
pub(crate) fn query_pairs(query: &str) -> impl Iterator<Item = Result<(Cow<'_, str>, Cow<'_, str>), Problem>> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decoded = form(name).zip(form(value));
        decoded.ok_or_else(|| Problem::bad_request("the query is not percent-encoded UTF-8"))
    })
}

#[cfg(feature = "crud")]
fn form(raw: &str) -> Option<Cow<'_, str>> {
    if !raw.contains('+') {
        return decode(raw);
    }
    decode(&raw.replace('+', " ")).map(|text| Cow::Owned(text.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_well_formed_text_is_decoded() {
        assert!(matches!(decode("plain+text"), Some(Cow::Borrowed("plain+text"))));
        assert_eq!(decode("caf%C3%A9%2f1").as_deref(), Some("café/1"));
        for bad in ["%", "%4", "%zz", "%ff", "%+1", "a%c3%28"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }

    #[test]
    #[cfg(feature = "crud")]
    fn queries_are_forms() {
        let pairs = |query| query_pairs(query).collect::<Result<Vec<_>, _>>().map_err(|problem| problem.status());
        let want = [("a", "1"), ("b", "x y!"), ("a", "+"), ("c", ""), ("d e", "f=g")];
        let want: Vec<_> = want.iter().map(|(name, value)| (Cow::from(*name), Cow::from(*value))).collect();
        assert_eq!(pairs("a=1&b=x+y%21&a=%2B&c&&d+e=f=g"), Ok(want));
        for bad in ["a=%zz", "%=1", "a=1&b=+%ff"] {
            assert_eq!(pairs(bad).unwrap_err(), 400, "{bad}");
        }
    }
}
