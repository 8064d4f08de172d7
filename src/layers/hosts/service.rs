use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use tower_service::Service;

use super::ResponseFuture;
use super::names::Names;

/// Refuses requests that are meant for another host; see the [module](super) for examples.
#[derive(Debug, Clone)]
pub struct Hosts<S> {
    pub(super) inner: S,
    pub(super) names: Names,
}

impl<S> Hosts<S> {
    crate::layers::inner_accessors!();
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for Hosts<S>
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
        match self.names.check(request.uri(), request.headers()) {
            Ok(()) => ResponseFuture::answering(self.inner.call(request)),
            Err(problem) => ResponseFuture::refusing(problem),
        }
    }
}
