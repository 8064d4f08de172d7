//! Request bodies: the right type, not too long, all there.

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{StatusCode, header};

use crate::Body;
use crate::service::{Location, Problem, Violation, read_body};

/// Media types of a whole document.
pub(super) const DOCUMENT: &[&str] = &["application/json"];
/// Media types of a change.
pub(super) const CHANGE: &[&str] = &["application/merge-patch+json", "application/json"];

const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");

/// The bytes of a body that must be of one of the `accepted` types and have at most `limit` bytes.
pub(super) async fn read(
    headers: &HeaderMap,
    body: Body,
    accepted: &'static [&'static str],
    limit: usize,
) -> Result<Bytes, Problem> {
    check_type(headers, accepted)?;
    let bytes = read_body(body, limit).await?;
    if bytes.trim_ascii().is_empty() {
        return Err(Problem::bad_request("the body is empty; send a JSON object"));
    }
    Ok(bytes)
}

fn check_type(headers: &HeaderMap, accepted: &'static [&'static str]) -> Result<(), Problem> {
    let refuse = |name: HeaderName, detail: String| {
        let at = Location::Header(name.to_string());
        let problem = Problem::of(StatusCode::UNSUPPORTED_MEDIA_TYPE)
            .detail(detail.clone())
            .errors(vec![Violation::new(at, "media_type", detail)]);
        let list = HeaderValue::from_str(&accepted.join(", ")).unwrap_or(HeaderValue::from_static("application/json"));
        Err(if accepted == CHANGE { problem.header(ACCEPT_PATCH, list) } else { problem.header(header::ACCEPT, list) })
    };
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let mut parts = value.split(';');
    let essence = parts.next().unwrap_or("").trim();
    if !accepted.iter().any(|own| own.eq_ignore_ascii_case(essence)) {
        return refuse(CONTENT_TYPE, format!("the body must be sent as Content-Type: {}", accepted.join(" or ")));
    }
    let charset = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    });
    if charset.is_some_and(|charset| !["utf-8", "utf8", "us-ascii"].iter().any(|own| own.eq_ignore_ascii_case(charset)))
    {
        return refuse(CONTENT_TYPE, "JSON is UTF-8; leave the charset out".to_owned());
    }
    let coded =
        headers.get(CONTENT_ENCODING).is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"));
    if coded {
        return refuse(CONTENT_ENCODING, "the body must be sent without a content coding".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(value))])
    }

    #[test]
    fn media_types_are_checked() {
        let status = |value, accepted| check_type(&typed(value), accepted).map_err(|problem| problem.status().as_u16());
        assert_eq!(status("application/json", DOCUMENT), Ok(()));
        assert_eq!(status("Application/JSON ; Charset=\"UTF-8\"", DOCUMENT), Ok(()));
        assert_eq!(status("application/merge-patch+json", CHANGE), Ok(()));
        assert_eq!(status("application/merge-patch+json", DOCUMENT), Err(415));
        assert_eq!(status("application/json; charset=latin-1", DOCUMENT), Err(415));
        assert_eq!(status("text/plain", CHANGE), Err(415));
        assert!(check_type(&HeaderMap::new(), DOCUMENT).is_err());
        let mut coded = typed("application/json");
        coded.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        assert!(check_type(&coded, DOCUMENT).is_err());
    }
}
