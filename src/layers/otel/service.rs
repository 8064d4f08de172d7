use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body as HttpBody;
use tower_service::Service;

use super::export::Tracing;
use super::{MatchedPath, NoMatchedPath, Record, ResponseBody, ResponseFuture};
use crate::layers::watched::Watch as _;

/// Makes a span for each request; see the [module](super) for examples.
#[derive(Debug, Clone)]
pub struct Otel<S, P = NoMatchedPath> {
    pub(super) inner: S,
    pub(super) tracing: Tracing,
    pub(super) trust_incoming: bool,
    pub(super) path: P,
}

impl<S, P> Otel<S, P> {
    crate::layers::inner_accessors!();
}

impl<S, P, ReqBody, ResBody> Service<Request<ReqBody>> for Otel<S, P>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    P: MatchedPath,
    ResBody: HttpBody,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let matched = self.path.matched_path(request.extensions());
        let mut record = Record::start(self.tracing.tracer(), &request, self.trust_incoming, matched);
        if let Some(context) = record.context() {
            request.extensions_mut().insert(context);
        }
        // For a panic in there.
        record.polling(true);
        let future = self.inner.call(request);
        record.polling(false);
        ResponseFuture::new(future, Some(record))
    }
}
