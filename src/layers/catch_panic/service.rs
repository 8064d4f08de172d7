use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use tower_service::Service;

use super::ResponseFuture;

/// Answers 500 when the inner service panics; see the [module](super) for examples.
#[derive(Debug, Clone, Copy)]
pub struct CatchPanic<S> {
    pub(super) inner: S,
}

impl<S> CatchPanic<S> {
    crate::layers::inner_accessors!();
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for CatchPanic<S>
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

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        // Nothing of ours is touched by a panic in there, so no state of ours can be broken by it.
        match catch_unwind(AssertUnwindSafe(|| self.inner.call(request))) {
            Ok(future) => ResponseFuture::running(future),
            Err(panic) => ResponseFuture::panicked(panic),
        }
    }
}
