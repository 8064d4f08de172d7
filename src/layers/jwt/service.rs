use std::fmt;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use tower_service::Service;

use super::ResponseFuture;
use super::verifier::{Stop, Verifier};

/// Verifies the request's token; see the [module](super) for examples.
#[derive(Clone)]
pub struct Jwt<S> {
    pub(super) inner: S,
    pub(super) verifier: Arc<Verifier>,
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

/// A request may have to wait for keys, and takes the service with it that was ready; hence `Clone`.
impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for Jwt<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    ResBody: From<Bytes>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S, ReqBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        match self.verifier.admit(&mut request, true) {
            Ok(()) => ResponseFuture::inner(self.inner.call(request)),
            Err(Stop::Refused(fault)) => ResponseFuture::refused(fault, self.verifier.clone()),
            Err(Stop::Waiting(keys)) => {
                let fresh = self.clone();
                ResponseFuture::waiting(keys, mem::replace(self, fresh), request)
            }
        }
    }
}
