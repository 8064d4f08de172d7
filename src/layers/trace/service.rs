use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body as HttpBody;
use tower_service::Service;
use tracing::Level;

use super::record::Record;
use super::{MatchedPath, NoMatchedPath, ResponseFuture, TraceBody};

/// Logs each request; see the [module](super) for examples.
#[derive(Debug, Clone, Copy)]
pub struct Trace<S, P = NoMatchedPath> {
    pub(super) inner: S,
    pub(super) level: Level,
    pub(super) path: P,
}

impl<S, P> Trace<S, P> {
    crate::layers::inner_accessors!();
}

impl<S, P, ReqBody, ResBody> Service<Request<ReqBody>> for Trace<S, P>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    P: MatchedPath,
    ResBody: HttpBody,
{
    type Response = Response<TraceBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let mut record = Record::start(self.level, &request);
        if let Some(record) = &mut record {
            record.matched(self.path.matched_path(request.extensions()));
        }
        ResponseFuture::new(self.inner.call(request), record)
    }
}
