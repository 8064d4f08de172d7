use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::IF_NONE_MATCH;
use http::{HeaderValue, Method, Request, Response};
use http_body::Body as HttpBody;
use tower_service::Service;

use super::layer::Settings;
use super::{EtagBody, ResponseFuture};

/// Gives answers entity tags; see the [module](super) for examples.
#[derive(Debug, Clone)]
pub struct Etag<S> {
    pub(super) inner: S,
    pub(super) settings: Settings,
}

impl<S> Etag<S> {
    crate::layers::inner_accessors!();
}

/// What the request says about its answer.
pub(super) struct Asked {
    pub(super) head: bool,
    /// The tags of what the client has.
    pub(super) if_none_match: Vec<HeaderValue>,
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for Etag<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: HttpBody<Data = Bytes> + From<Bytes> + Unpin,
{
    type Response = Response<EtagBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let head = request.method() == Method::HEAD;
        let asked = (head || request.method() == Method::GET).then(|| {
            let if_none_match = request.headers().get_all(IF_NONE_MATCH).iter().cloned().collect();
            Asked { head, if_none_match }
        });
        ResponseFuture::new(self.inner.call(request), asked, self.settings)
    }
}
