//! Problem documents: every error that the framework itself answers (RFC 9457).

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::Response;
use crate::DecodeError;
use crate::body::ReadError;

mod fastapi;
#[cfg(feature = "python")]
mod own_words;

pub use fastapi::ErrorFormat;
use fastapi::Unread;
#[cfg(feature = "crud")]
pub(crate) use fastapi::position;
#[cfg(feature = "python")]
pub(crate) use own_words::OwnWords;

/// Where problem types are described; a problem's `type` is this plus its code.
const TYPE_BASE: &str = "https://ziggurat.dev/e/";

/// An `application/problem+json` answer (RFC 9457).
///
/// `code` becomes the last segment of `type`, `title` is the same for every occurrence of a code, and `detail` helps with
/// this occurrence. Values that a client sent are not echoed: they may be secrets.
///
/// It is one pointer wide, so that a `Result` which may hold one stays small.
#[derive(Debug, Clone)]
pub struct Problem(Box<Parts>);

#[derive(Debug, Clone)]
struct Parts {
    status: StatusCode,
    code: Cow<'static, str>,
    title: Cow<'static, str>,
    detail: Option<Cow<'static, str>>,
    errors: Vec<Violation>,
    headers: HeaderMap,
    /// What FastAPI would say of the body instead.
    unread: Option<Unread>,
    #[cfg(feature = "python")]
    own: OwnWords,
}

/// One thing that was wrong with a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Violation {
    /// Where it was found.
    pub at: Location,
    /// What kind it is: one of pydantic's error types, as `greater_than_equal`.
    pub code: Cow<'static, str>,
    /// What to do about it, in a short phrase.
    pub detail: Cow<'static, str>,
    /// The limit that was passed, when the rule has one.
    pub limit: Option<Limit>,
}

/// The bound of a violated rule.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Limit {
    /// A whole number: a length or an integer bound.
    Int(i64),
    /// A bound of a float.
    Float(f64),
    /// Anything else, as text.
    Text(String),
}

/// The part of a request that a [`Violation`] is about.
#[derive(Debug, Clone, PartialEq)]
pub enum Location {
    /// A place in the JSON body, as a JSON pointer (RFC 6901).
    Pointer(String),
    /// A query parameter.
    Parameter(String),
    /// A segment of the path.
    Path(String),
    /// A header field.
    Header(String),
    /// A cookie.
    Cookie(String),
}

/// Appends a reference token to a JSON pointer, escaped (RFC 6901, 3).
#[cfg(feature = "crud")]
pub(crate) fn push_token(pointer: &mut String, token: &str) {
    pointer.push('/');
    if token.contains(['~', '/']) {
        pointer.push_str(&token.replace('~', "~0").replace('/', "~1"));
    } else {
        pointer.push_str(token);
    }
}

impl Violation {
    /// A violation at `at`.
    pub fn new(at: Location, code: impl Into<Cow<'static, str>>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { at, code: code.into(), detail: detail.into(), limit: None }
    }

    /// Names the bound that was passed.
    #[must_use]
    pub fn limit(mut self, limit: Limit) -> Self {
        self.limit = Some(limit);
        self
    }
}

impl Problem {
    /// A problem with `status`, a `code` such as `not_found`, and its standing `title`.
    pub fn new(status: StatusCode, code: impl Into<Cow<'static, str>>, title: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Parts {
            status,
            code: code.into(),
            title: title.into(),
            detail: None,
            errors: Vec::new(),
            headers: HeaderMap::new(),
            unread: None,
            #[cfg(feature = "python")]
            own: OwnWords::default(),
        }))
    }

    /// 400: the request cannot be read.
    pub fn bad_request(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::of(StatusCode::BAD_REQUEST).detail(detail)
    }

    /// The problem for `status`. Whoever answers with a status of the table, the code and the title are the same; what is
    /// not in it takes both from the status' own phrase.
    pub fn of(status: StatusCode) -> Self {
        let (code, title) = match status.as_u16() {
            400 => ("bad_request", "Bad request"),
            401 => ("unauthorized", "Not authenticated"),
            408 => ("request_timeout", "Request timeout"),
            413 => ("too_large", "Body too large"),
            414 => ("uri_too_long", "Target too long"),
            431 => ("headers_too_large", "Header fields too large"),
            500 => ("internal", "Internal server error"),
            503 => ("unavailable", "Service unavailable"),
            504 => ("timeout", "Timed out"),
            _ => {
                let phrase = status.canonical_reason().unwrap_or("Error");
                let lower = phrase.to_ascii_lowercase();
                let code = lower.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
                return Self::new(status, code, sentence(phrase, &lower));
            }
        };
        Self::new(status, code, title)
    }

    /// 403: the caller may not.
    pub fn forbidden(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::of(StatusCode::FORBIDDEN).detail(detail)
    }

    /// 404: nothing is there.
    pub fn not_found(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::of(StatusCode::NOT_FOUND).detail(detail)
    }

    /// 413: more than the limit of bytes was sent.
    pub fn too_large(limit: usize) -> Self {
        Self::of(StatusCode::PAYLOAD_TOO_LARGE).detail(format!("the body may have at most {limit} bytes"))
    }

    /// The answer when reading a request body failed with `error`: 413 past a limit, 408 when the client was too slow,
    /// otherwise 400. Those of a body that was cut off or came too slowly close the connection.
    pub fn unreadable(error: &(dyn std::error::Error + 'static)) -> Self {
        let mut next = Some(error);
        while let Some(cause) = next {
            if let Some(too_large) = cause.downcast_ref::<crate::BodyTooLarge>() {
                return Self::too_large(too_large.limit);
            }
            match cause.downcast_ref::<DecodeError>() {
                Some(error @ DecodeError::Malformed) => return Self::bad_request(error.to_string()),
                Some(error @ DecodeError::Ratio { .. }) => {
                    return Self::of(StatusCode::PAYLOAD_TOO_LARGE).detail(error.to_string());
                }
                None => {}
            }
            if cause.is::<http_body_util::LengthLimitError>() {
                return Self::of(StatusCode::PAYLOAD_TOO_LARGE).detail("the body is larger than this route accepts");
            }
            match cause.downcast_ref::<ReadError>() {
                Some(ReadError::TooSlow) => {
                    return Self::of(StatusCode::REQUEST_TIMEOUT).detail("the body came too slowly").closing();
                }
                Some(ReadError::Incomplete) => {
                    return Self::bad_request("the body ended before its announced end").closing();
                }
                Some(ReadError::Malformed) => {
                    return Self::bad_request("the transfer coding of the body is malformed").closing();
                }
                None => next = cause.source(),
            }
        }
        Self::bad_request("the body could not be read").closing()
    }

    /// 422: the request was read, but its values break the rules listed in `errors`.
    pub fn validation(errors: Vec<Violation>) -> Self {
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "validation", "Validation failed");
        problem.0.errors = errors;
        problem
    }

    /// 500: a fault of ours; the client learns nothing about it, the log does.
    pub fn internal() -> Self {
        Self::of(StatusCode::INTERNAL_SERVER_ERROR).detail("the server failed to answer; the failure has been logged")
    }

    /// 503 with `Retry-After` in seconds.
    pub fn unavailable(detail: impl Into<Cow<'static, str>>, retry_after: u32) -> Self {
        Self::of(StatusCode::SERVICE_UNAVAILABLE)
            .detail(detail)
            .header(http::header::RETRY_AFTER, HeaderValue::from(retry_after))
    }

    /// Says what would help with this occurrence.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Lists what was wrong.
    #[must_use]
    pub fn errors(mut self, errors: Vec<Violation>) -> Self {
        self.0.errors = errors;
        self
    }

    /// Adds a header to the answer.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.insert(name, value);
        self
    }

    /// Asks for the connection to be closed after the answer; HTTP/2 ignores it.
    #[must_use]
    pub fn closing(self) -> Self {
        self.header(http::header::CONNECTION, HeaderValue::from_static("close"))
    }

    /// The same, about the item with this number of an array that was sent: its pointers begin there.
    #[cfg(feature = "crud")]
    pub(crate) fn of_item(mut self, index: usize) -> Self {
        let parts = &mut *self.0;
        if parts.errors.is_empty() && parts.status.is_client_error() {
            let detail = parts.detail.clone().unwrap_or_else(|| parts.title.clone());
            parts.errors.push(Violation::new(Location::Pointer(String::new()), parts.code.clone(), detail));
        }
        for error in &mut parts.errors {
            if let Location::Pointer(pointer) = &mut error.at {
                *pointer = format!("/{index}{pointer}");
            }
        }
        self
    }

    /// What was wrong.
    #[cfg(feature = "crud")]
    pub(crate) fn into_errors(self) -> Vec<Violation> {
        self.0.errors
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// Its `type`, where that is not one of the framework's.
    fn own_type(&self) -> Option<&str> {
        #[cfg(feature = "python")]
        return self.0.own.kind.as_deref();
        #[cfg(not(feature = "python"))]
        None
    }

    /// What this occurrence says, and its headers.
    #[cfg(feature = "python")]
    pub(crate) fn told(&self) -> (Option<&str>, &HeaderMap) {
        (self.0.detail.as_deref(), &self.0.headers)
    }

    /// The document as JSON bytes.
    pub fn to_bytes(&self) -> Bytes {
        // Serialising strings and numbers to memory cannot fail; an empty object is still valid JSON.
        serde_json::to_vec(self).unwrap_or_else(|_| b"{}".to_vec()).into()
    }

    /// The answer, in any body type that holds bytes.
    pub fn into_response<B: From<Bytes>>(self) -> Response<B> {
        let mut response = Response::new(B::from(self.to_bytes()));
        *response.status_mut() = self.0.status;
        *response.headers_mut() = self.0.headers;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        marked(response)
    }
}

/// A response extension: the framework itself says what is wrong.
#[cfg(feature = "python")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct IsProblem;

fn marked<B>(response: Response<B>) -> Response<B> {
    #[cfg(feature = "python")]
    let response = {
        let mut response = response;
        response.extensions_mut().insert(IsProblem);
        response
    };
    response
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self.own_type() {
            Some(own) => map.serialize_entry("type", own)?,
            None => map.serialize_entry("type", &format_args!("{TYPE_BASE}{}", self.0.code))?,
        }
        map.serialize_entry("title", &self.0.title)?;
        map.serialize_entry("status", &self.0.status.as_u16())?;
        if let Some(detail) = &self.0.detail {
            map.serialize_entry("detail", detail)?;
        }
        if !self.0.errors.is_empty() {
            map.serialize_entry("errors", &self.0.errors)?;
        }
        #[cfg(feature = "python")]
        self.0.own.write(&mut map)?;
        map.end()
    }
}

impl Serialize for Violation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match &self.at {
            Location::Pointer(pointer) => map.serialize_entry("pointer", pointer)?,
            Location::Parameter(name) => map.serialize_entry("parameter", name)?,
            Location::Path(name) => map.serialize_entry("path", name)?,
            Location::Header(name) => map.serialize_entry("header", name)?,
            Location::Cookie(name) => map.serialize_entry("cookie", name)?,
        }
        map.serialize_entry("code", &self.code)?;
        map.serialize_entry("detail", &self.detail)?;
        if let Some(limit) = &self.limit {
            map.serialize_entry("limit", limit)?;
        }
        map.end()
    }
}

/// `Not Found` as titles are spelled: `Not found`.
fn sentence(phrase: &str, lower: &str) -> String {
    phrase.chars().take(1).chain(lower.chars().skip(1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_status_has_one_code_whoever_answers() {
        let of = |status: StatusCode| Problem::of(status).0;
        assert_eq!(of(StatusCode::NOT_FOUND).code, "not_found");
        assert_eq!(of(StatusCode::NOT_FOUND).title, "Not found");
        assert_eq!(of(StatusCode::METHOD_NOT_ALLOWED).code, "method_not_allowed");
        assert_eq!(of(StatusCode::PAYLOAD_TOO_LARGE).code, Problem::too_large(1).0.code);
        assert_eq!(of(StatusCode::SERVICE_UNAVAILABLE).code, Problem::unavailable("", 1).0.code);
        assert_eq!(of(StatusCode::GATEWAY_TIMEOUT).code, "timeout");
        assert_eq!(of(StatusCode::IM_A_TEAPOT).code, "i_m_a_teapot");
    }

    #[test]
    fn renders_as_rfc_9457() {
        let problem = Problem::validation(vec![
            Violation::new(Location::Pointer("/age".into()), "greater_than_equal", "must be >= 0").limit(Limit::Int(0)),
        ]);
        let response = problem.into_response::<crate::Body>();
        assert_eq!(response.status(), 422);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        let text = response.body().as_bytes().map(|b| String::from_utf8_lossy(b).into_owned());
        assert_eq!(
            text.as_deref(),
            Some(concat!(
                r#"{"type":"https://ziggurat.dev/e/validation","title":"Validation failed","status":422,"#,
                r#""errors":[{"pointer":"/age","code":"greater_than_equal","detail":"must be >= 0","limit":0}]}"#
            ))
        );
    }
}
