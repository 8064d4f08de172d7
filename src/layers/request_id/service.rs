use std::task::{Context, Poll};

use http::{HeaderMap, HeaderName, Request, Response};
use tower_service::Service;

use super::{RequestId, ResponseFuture};

/// Gives each request an id; see the [module](super) for examples.
#[derive(Debug, Clone)]
pub struct SetRequestId<S> {
    pub(super) inner: S,
    pub(super) header: HeaderName,
    pub(super) trust_incoming: bool,
}

impl<S> SetRequestId<S> {
    crate::layers::inner_accessors!();

    fn choose(&self, headers: &HeaderMap) -> RequestId {
        if self.trust_incoming {
            let mut sent = headers.get_all(&self.header).iter();
            if let (Some(value), None) = (sent.next(), sent.next())
                && let Some(id) = RequestId::from_header(value)
            {
                return id;
            }
        }
        RequestId::generate()
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for SetRequestId<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let id = self.choose(request.headers());
        request.headers_mut().insert(self.header.clone(), id.as_header().clone());
        request.extensions_mut().insert(id.clone());
        ResponseFuture::new(self.inner.call(request), self.header.clone(), id)
    }
}
