//! Requests that may come again without being done again (draft-ietf-httpapi-idempotency-key-header).

use http::StatusCode;
use http::header::{HeaderName, HeaderValue};
use http::request::Parts;

use crate::crud::etag;
use crate::crud::store::Key;
use crate::service::{Claims, Location, Problem, Violation};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says of an answer that it was given before.
pub(super) const REPLAYED: (HeaderName, HeaderValue) =
    (HeaderName::from_static("idempotency-replayed"), HeaderValue::from_static("true"));
/// Bytes of a key.
const LONGEST: usize = 255;

/// The key of a request, which belongs to the caller and the path that it was sent to.
///
/// # Errors
/// When it is empty, too long, or there are several.
pub(super) fn key(parts: &Parts, body: &[u8]) -> Result<Option<Key>, Problem> {
    let mut sent = parts.headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(first) = sent.next() else { return Ok(None) };
    // A string of RFC 8941, and what clients send instead of one.
    let text = first.to_str().ok().map(str::trim);
    let text = text.map(|text| text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text));
    match text {
        Some(text) if !text.is_empty() && text.len() <= LONGEST && sent.next().is_none() => {
            let caller = parts.extensions.get::<Claims>().and_then(|claims| claims.get("sub"));
            let caller = caller.map(ToString::to_string).unwrap_or_default();
            let name = format!("{} {} {caller} {text}", parts.method, parts.uri.path());
            Ok(Some(Key { name, fingerprint: etag::digest(body).cast_signed() }))
        }
        _ => Err(wrong(StatusCode::BAD_REQUEST, "one key of 1 to 255 visible characters is expected", "header")),
    }
}

/// 422: the key is that of another request.
pub(super) fn reused() -> Problem {
    wrong(StatusCode::UNPROCESSABLE_ENTITY, "this key was sent with another body before; take a new one", "key_reused")
}

/// 400: several rows cannot be made under one key.
pub(super) fn of_many() -> Problem {
    wrong(
        StatusCode::BAD_REQUEST,
        "a key is for a single row; leave it out, or send the rows one by one",
        "not_allowed",
    )
}

fn wrong(status: StatusCode, detail: &'static str, code: &'static str) -> Problem {
    let at = Location::Header(IDEMPOTENCY_KEY.to_string());
    Problem::of(status).detail(detail).errors(vec![Violation::new(at, code, detail)])
}
