use http::header::{ETAG, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::Coding;

/// Takes the endings off the tags of a request. True when `If-None-Match` had that of `coding`.
pub(super) fn inward(headers: &mut HeaderMap, coding: Option<Coding>) -> bool {
    for other in Coding::ALL {
        strip(headers, &IF_MATCH, other);
    }
    // Only of the coding in use: the tag of another one names bytes that this answer would not have.
    coding.is_some_and(|coding| strip(headers, &IF_NONE_MATCH, coding))
}

fn strip(headers: &mut HeaderMap, name: &HeaderName, coding: Coding) -> bool {
    let mut found = false;
    if let http::header::Entry::Occupied(mut entry) = headers.entry(name) {
        for value in entry.iter_mut() {
            // An opening quote never follows an ending, so each hit is the end of a tag.
            if let Ok(text) = value.to_str()
                && text.contains(coding.tag_end())
                && let Ok(stripped) = HeaderValue::from_str(&text.replace(coding.tag_end(), "\""))
            {
                *value = stripped;
                found = true;
            }
        }
    }
    found
}

/// Gives a strong tag the ending of `coding`.
pub(super) fn outward(headers: &mut HeaderMap, coding: Coding) {
    let Some(tag) = headers.get(ETAG).map(HeaderValue::as_bytes) else { return };
    if tag.first() != Some(&b'"') || tag.len() < 2 || tag.last() != Some(&b'"') {
        return;
    }
    let tag = [&tag[..tag.len() - 1], coding.tag_end().as_bytes()].concat();
    if let Ok(value) = HeaderValue::from_bytes(&tag) {
        headers.insert(ETAG, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_go_on_strong_tags_only() {
        for (tag, wanted) in
            [("\"a\"", "\"a.br\""), ("W/\"a\"", "W/\"a\""), ("\"\"", "\".br\""), ("a", "a"), ("\"", "\"")]
        {
            let mut headers = HeaderMap::new();
            headers.insert(ETAG, tag.parse().unwrap());
            outward(&mut headers, Coding::Brotli);
            assert_eq!(headers[ETAG], wanted);
        }
    }

    #[test]
    fn endings_come_off_where_they_came_from_us() {
        let mut headers = HeaderMap::new();
        headers.insert(IF_NONE_MATCH, r#""a.br", "b.gzip", W/"c""#.parse().unwrap());
        headers.insert(IF_MATCH, r#""a.br","b.gzip","#.parse().unwrap());
        assert!(inward(&mut headers, Some(Coding::Brotli)));
        assert_eq!(headers[IF_NONE_MATCH], r#""a", "b.gzip", W/"c""#);
        assert_eq!(headers[IF_MATCH], r#""a","b","#);
        assert!(!inward(&mut headers, Some(Coding::Brotli)));
        assert!(!inward(&mut headers, None));
    }
}
