use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::Body as HttpBody;
use tower_service::Service;

use super::layer::Settings;
use super::negotiate::negotiate;
use super::{CompressWhen, CompressibleType, CompressionBody, ResponseFuture, etag};
use crate::BoxError;

/// Compresses answers; see the [module](super) for examples.
#[derive(Debug, Clone)]
pub struct Compression<S, P = CompressibleType> {
    pub(super) inner: S,
    pub(super) settings: Settings,
    pub(super) when: P,
}

impl<S, P> Compression<S, P> {
    crate::layers::inner_accessors!();
}

/// What the request says about its answer.
pub(super) struct Asked {
    pub(super) choice: super::negotiate::Choice,
    pub(super) head: bool,
    /// `If-None-Match` had a tag that was made here.
    pub(super) had_coded_tag: bool,
}

impl<S, P, ReqBody, ResBody> Service<Request<ReqBody>> for Compression<S, P>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    P: CompressWhen + Clone,
    ResBody: HttpBody<Data = Bytes> + From<Bytes> + Unpin,
    ResBody::Error: Into<BoxError>,
{
    type Response = Response<CompressionBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, P>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let choice = negotiate(request.headers(), &self.settings.codings);
        let had_coded_tag = etag::inward(request.headers_mut(), choice.coding);
        let asked = Asked { choice, head: request.method() == Method::HEAD, had_coded_tag };
        ResponseFuture::new(self.inner.call(request), asked, self.settings.clone(), self.when.clone())
    }
}
