//! Request bodies: the right type, not too long, all there.

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{StatusCode, header};

use crate::Body;
use crate::crud::Op;
use crate::service::{Location, Problem, Violation, read_body};

const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");
const ACCEPT_QUERY: HeaderName = HeaderName::from_static("accept-query");

/// The bytes of a body for `op`, which must be of one of its types and have at most `limit` bytes.
pub(super) async fn read(headers: &HeaderMap, body: Body, op: Op, limit: usize) -> Result<Bytes, Problem> {
    check_type(headers, op)?;
    let bytes = read_body(body, limit).await?;
    if bytes.trim_ascii().is_empty() {
        return Err(Problem::bad_request("the body is empty; send a JSON object").without_body());
    }
    Ok(bytes)
}

/// That the body says to be of one of the types for `op`, in UTF-8 and without a content coding.
pub(super) fn check_type(headers: &HeaderMap, op: Op) -> Result<(), Problem> {
    let accepted = op.accepts();
    let refuse = |name: HeaderName, detail: String| {
        let at = Location::Header(name.to_string());
        let problem = Problem::of(StatusCode::UNSUPPORTED_MEDIA_TYPE)
            .detail(detail.clone())
            .errors(vec![Violation::new(at, "media_type", detail)]);
        let list = HeaderValue::from_str(&accepted.join(", ")).unwrap_or(HeaderValue::from_static("application/json"));
        let name = match op {
            Op::Patch | Op::PatchMany => ACCEPT_PATCH,
            Op::Query => ACCEPT_QUERY,
            _ => header::ACCEPT,
        };
        Err(problem.header(name, list))
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
        let status = |value, op| check_type(&typed(value), op).map_err(|problem| problem.status().as_u16());
        assert_eq!(status("application/json", Op::Create), Ok(()));
        assert_eq!(status("Application/JSON ; Charset=\"UTF-8\"", Op::Replace), Ok(()));
        assert_eq!(status("application/merge-patch+json", Op::Patch), Ok(()));
        assert_eq!(status("application/merge-patch+json", Op::Create), Err(415));
        assert_eq!(status("application/json; charset=latin-1", Op::Create), Err(415));
        assert_eq!(status("text/plain", Op::Patch), Err(415));
        assert!(check_type(&HeaderMap::new(), Op::Query).is_err());
        let mut coded = typed("application/json");
        coded.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        assert!(check_type(&coded, Op::Create).is_err());
    }
}
