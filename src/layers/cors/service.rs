use std::task::{Context, Poll};

use http::{Request, Response};
use tower_http::cors;
use tower_service::Service;

/// Answers preflights and adds CORS headers; see the [module](super) for examples.
#[derive(Debug, Clone)]
pub struct Cors<S> {
    pub(super) answering: cors::Cors<S>,
}

// A preflight's answer has no content, so `Default` is asked of the body where other layers ask `From<Bytes>`.
impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for Cors<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: Default,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = <cors::Cors<S> as Service<Request<ReqBody>>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.answering.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        self.answering.call(request)
    }
}
