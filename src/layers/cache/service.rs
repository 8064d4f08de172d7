use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body as HttpBody;
use tower_service::Service;

use super::asked::Asked;
use super::core::{Core, Step};
use super::future::{Held, Write};
use super::{CacheBody, ResponseFuture};

/// Answers by what was answered before; see the [module](super) for examples.
#[derive(Debug, Clone)]
pub struct Cache<S> {
    pub(super) inner: S,
    pub(super) core: Arc<Core>,
}

impl<S> Cache<S> {
    crate::layers::inner_accessors!();
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for Cache<S>
where
    // Cloned only where another request is waited for.
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    ReqBody: HttpBody,
    ResBody: HttpBody<Data = Bytes> + From<Bytes> + Unpin,
{
    type Response = Response<CacheBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, ReqBody, ResBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let read = match Asked::of(&request, &self.core.rules) {
            Asked::Read(read) => read,
            Asked::Write => {
                let write = Write { core: self.core.clone(), path: Some(request.uri().path().to_owned()) };
                return ResponseFuture::writing(self.inner.call(request), write);
            }
            Asked::Other => return ResponseFuture::other(self.inner.call(request)),
        };
        match self.core.step(read, request.uri(), request.headers(), 0) {
            Step::Answer(response) => ResponseFuture::answered(response),
            Step::Ask(asking) => {
                asking.prepare(request.headers_mut());
                ResponseFuture::asking(self.inner.call(request), asking)
            }
            Step::Wait(waiting, read) => {
                // The one that was made ready, as is proper, and not the clone.
                let clone = self.inner.clone();
                let service = std::mem::replace(&mut self.inner, clone);
                ResponseFuture::waiting(waiting, Held { core: self.core.clone(), service, request, read, waits: 0 })
            }
        }
    }
}
