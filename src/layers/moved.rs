//! Answers that lead a client elsewhere.

use bytes::Bytes;
use http::header::LOCATION;
use http::{HeaderValue, Response, StatusCode};

/// The answer that what was asked for is at `place`.
pub(super) fn moved<ResBody: From<Bytes>>(status: StatusCode, place: HeaderValue) -> Response<ResBody> {
    let mut response = Response::new(ResBody::from(Bytes::new()));
    *response.status_mut() = status;
    response.headers_mut().insert(LOCATION, place);
    response
}
