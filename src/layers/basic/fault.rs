use bytes::Bytes;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, Response, StatusCode};

use crate::Problem;

/// Why a request was refused. An extension of the answer, for layers outside; clients are not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// There is no password.
    Missing,
    /// `Authorization` is there twice, or holds no name and password.
    Malformed,
    /// The name is not known, or the password is not its own.
    Wrong,
    /// Too many passwords are being checked.
    Busy,
}

impl Fault {
    pub(super) fn into_response<B: From<Bytes>>(self, challenge: &HeaderValue) -> Response<B> {
        tracing::debug!(fault = ?self, "a request was refused");
        let problem = match self {
            Self::Busy => Problem::unavailable("too many passwords are being checked; try again later", 1),
            Self::Missing => unauthorized("this needs a name and a password", challenge),
            Self::Malformed | Self::Wrong => unauthorized("the name or the password is not valid", challenge),
        };
        let mut response = problem.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

fn unauthorized(detail: &'static str, challenge: &HeaderValue) -> Problem {
    Problem::of(StatusCode::UNAUTHORIZED).detail(detail).header(WWW_AUTHENTICATE, challenge.clone())
}
