use std::task::{Context, Poll};

use http::{Request, Response};
use tower_http::sensitive_headers::SetSensitiveHeaders;
use tower_service::Service;

/// Marks header values as sensitive; see the [module](super) for examples.
#[derive(Debug, Clone)]
pub struct SensitiveHeaders<S> {
    pub(super) marking: SetSensitiveHeaders<S>,
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for SensitiveHeaders<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = <SetSensitiveHeaders<S> as Service<Request<ReqBody>>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.marking.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        self.marking.call(request)
    }
}
