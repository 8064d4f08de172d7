//! Answers that carry rows.

use bytes::Bytes;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, VARY};

use super::prefer;
use crate::crud::query::Shown;
use crate::crud::service::Served;
use crate::crud::{Collection, Row, etag};
use crate::service::Problem;
use crate::{Body, Response};

/// A row that was written.
pub(super) fn written<C: Collection>(
    served: &Served<C>,
    status: StatusCode,
    row: Row,
    minimal: bool,
) -> Result<Response, Problem> {
    let tag = etag::of_version(row.version);
    if !minimal {
        return Ok(document(status, served.show(&Shown::All, row.json)?, tag));
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = if status == StatusCode::CREATED { status } else { StatusCode::NO_CONTENT };
    response.headers_mut().insert(ETAG, tag);
    response.headers_mut().insert(prefer::APPLIED, HeaderValue::from_static("return=minimal"));
    Ok(response)
}

/// A document with its tag. Caches keep it for its owner only, and ask each time whether it is still current.
pub(super) fn document(status: StatusCode, json: Bytes, tag: HeaderValue) -> Response {
    let mut response = Response::new(Body::from(json));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    caching(headers, tag);
    response
}

/// JSON that no cache keeps.
pub(super) fn json(json: Bytes) -> Response {
    let mut response = Response::new(Body::from(json));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// 304: the client has it already.
pub(super) fn not_modified(tag: HeaderValue) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    caching(response.headers_mut(), tag);
    response
}

/// Says of an answer that it shows rows of other models, which not every caller may read.
#[derive(Debug, Clone, Copy)]
pub(in crate::crud) struct Expanded;

/// 304, as it was answered before.
pub(super) fn still(headers: HeaderMap) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    *response.headers_mut() = headers;
    response
}

fn caching(headers: &mut HeaderMap, tag: HeaderValue) {
    headers.insert(ETAG, tag);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.insert(VARY, HeaderValue::from_static("Accept, Authorization, Prefer"));
}
