use bytes::Bytes;
use http::Response;
use tower_http::csrf::{ProtectionError, ResponseForProtectionError};

use crate::Problem;

/// What is answered.
#[derive(Debug, Clone, Copy)]
pub struct Refusal;

impl<B: From<Bytes>> ResponseForProtectionError<B> for Refusal {
    fn response_for_protection_error(&mut self, error: ProtectionError) -> Response<B> {
        tracing::debug!(fault = %error, "a request was refused");
        Problem::forbidden("pages of another origin may not send this").into_response()
    }
}
