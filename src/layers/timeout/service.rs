use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::Body as HttpBody;
use tokio::time::Instant;
use tower_service::Service;

use super::watch::{Path, Watch};
use super::whole::Timing;
use super::{Bodies, HeadOnly, ResponseFuture, TimedBody, WholeFuture};

/// Answers 504 when the inner service is too slow; see the [module](super) for examples.
#[derive(Debug, Clone, Copy)]
pub struct Timeout<S, L = HeadOnly> {
    pub(super) inner: S,
    pub(super) after: Duration,
    pub(super) bodies: L,
}

impl<S, L> Timeout<S, L> {
    crate::layers::inner_accessors!();
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for Timeout<S, HeadOnly>
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
        ResponseFuture::new(self.inner.call(request), self.after)
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for Timeout<S, Bodies>
where
    S: Service<Request<TimedBody<ReqBody>>, Response = Response<ResBody>>,
    ReqBody: HttpBody,
    ResBody: HttpBody + From<Bytes>,
{
    type Response = Response<TimedBody<ResBody>>;
    type Error = S::Error;
    type Future = WholeFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let is_tunnel = request.method() == Method::CONNECT;
        let path = Path::of(&request);
        let end = self.bodies.total.map(|total| (Instant::now() + total, total));
        let idle = self.bodies.idle.filter(|_| !is_tunnel && !request.body().is_end_stream());
        let (request, watch) = match idle {
            Some(idle) => {
                let watch = Arc::new(Watch::new(path.clone()));
                (request.map(|body| TimedBody::of_client(body, idle, watch.clone())), Some(watch))
            }
            None => (request.map(TimedBody::untimed), None),
        };
        let timing = Timing { bodies: self.bodies, after: self.after, path, is_tunnel, watch, end };
        WholeFuture::new(self.inner.call(request), timing)
    }
}
