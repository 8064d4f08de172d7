use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderName, HeaderValue, Request, Response};
use tower_service::Service;

use super::ResponseFuture;

/// Sets headers that browsers heed; see the [module](super) for examples.
#[derive(Debug, Clone)]
pub struct SecurityHeaders<S> {
    pub(super) inner: S,
    pub(super) headers: Arc<Vec<(HeaderName, HeaderValue)>>,
}

impl<S> SecurityHeaders<S> {
    crate::layers::inner_accessors!();
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for SecurityHeaders<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        ResponseFuture::new(self.inner.call(request), self.headers.clone())
    }
}
