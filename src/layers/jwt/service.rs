use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use tower_service::Service;

use super::ResponseFuture;
use super::verifier::Verifier;
use crate::service::ErrorFormat;

/// Verifies the request's token; see the [module](super) for examples.
#[derive(Clone)]
pub struct Jwt<S> {
    pub(super) inner: S,
    pub(super) verifier: Arc<Verifier>,
    /// What a refusal names.
    pub(super) scopes: Arc<[String]>,
}

impl<S> Jwt<S> {
    crate::layers::inner_accessors!();
}

/// Without the key.
impl<S: fmt::Debug> fmt::Debug for Jwt<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwt").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for Jwt<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: From<Bytes>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        match self.verifier.verify(request.headers()) {
            Ok(claims) => {
                if let Some(claims) = claims {
                    request.extensions_mut().insert(claims);
                }
                ResponseFuture::inner(self.inner.call(request))
            }
            Err(fault) => ResponseFuture::refused(fault, Some(self.scopes.clone()), ErrorFormat::Problem),
        }
    }
}
