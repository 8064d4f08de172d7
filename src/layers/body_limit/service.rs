use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{Request, Response};
use http_body::Body as HttpBody;
use tower_service::Service;

use super::layer::Limits;
use super::{LimitedBody, ResponseFuture};

/// Answers 413 when a request body is too large; see the [module](super) for examples.
#[derive(Debug, Clone)]
pub struct BodyLimit<S> {
    pub(super) inner: S,
    pub(super) limits: Limits,
}

enum Length {
    TooLarge,
    Fits,
    Unknown,
}

impl<S> BodyLimit<S> {
    crate::layers::inner_accessors!();

    fn judge<B: HttpBody>(request: &Request<B>, limit: usize) -> Length {
        let limit = limit as u64;
        let announced =
            request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        let hint = request.body().size_hint();
        if announced.is_some_and(|length| length > limit) || hint.lower() > limit {
            Length::TooLarge
        } else if hint.upper().is_some_and(|upper| upper <= limit) {
            Length::Fits
        } else {
            Length::Unknown
        }
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for BodyLimit<S>
where
    S: Service<Request<LimitedBody<ReqBody>>, Response = Response<ResBody>>,
    ReqBody: HttpBody,
    ResBody: From<Bytes>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let limit = self.limits.of(request.uri().path());
        match Self::judge(&request, limit) {
            Length::TooLarge => ResponseFuture::refused(limit),
            Length::Fits => ResponseFuture::inner(self.inner.call(request.map(LimitedBody::fitting)), None, limit),
            Length::Unknown => {
                let passed = Arc::new(AtomicBool::new(false));
                let counted = request.map(|body| LimitedBody::counting(body, limit, passed.clone()));
                ResponseFuture::inner(self.inner.call(counted), Some(passed), limit)
            }
        }
    }
}
