use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use tower_http::csrf;
use tower_service::Service;

use super::Refusal;

/// Refuses what pages of other origins have their readers send; see the [module](super) for examples.
#[derive(Debug, Clone)]
pub struct Csrf<S> {
    pub(super) checking: csrf::Csrf<S, Refusal>,
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for Csrf<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: From<Bytes>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = <csrf::Csrf<S, Refusal> as Service<Request<ReqBody>>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.checking.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        self.checking.call(request)
    }
}
