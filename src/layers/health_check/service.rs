use std::future::{Ready, ready};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::Either;
use http::{Request, Response};
use tower_service::Service;

use super::checks::Checks;

/// Answers whether the service is alive and ready; see the [module](super) for examples.
#[derive(Debug, Clone)]
pub struct HealthCheck<S> {
    pub(super) inner: S,
    pub(super) checks: Checks,
}

impl<S> HealthCheck<S> {
    crate::layers::inner_accessors!();
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for HealthCheck<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: From<Bytes>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<S::Response, S::Error>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        match self.checks.answer(request.method(), request.uri().path()) {
            Some(response) => Either::Right(ready(Ok(response))),
            None => Either::Left(self.inner.call(request)),
        }
    }
}
