use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body as HttpBody;
use tower_service::Service;

use super::capacity::{Admission, Capacity};
use super::{CountedBody, ResponseFuture};

/// Refuses requests while too many are under way; see the [module](super) for examples.
#[derive(Debug, Clone)]
pub struct LoadShed<S> {
    pub(super) inner: S,
    pub(super) capacity: Capacity,
}

impl<S> LoadShed<S> {
    crate::layers::inner_accessors!();
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for LoadShed<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    ResBody: HttpBody + From<Bytes>,
{
    type Response = Response<CountedBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, ReqBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        match self.capacity.admit() {
            Admission::Now(permit) => ResponseFuture::answering(self.inner.call(request), permit),
            Admission::Later(waiting) => {
                // The service that is ready goes with the request, and the clone has to become so.
                let clone = self.inner.clone();
                let ready = std::mem::replace(&mut self.inner, clone);
                ResponseFuture::waiting(ready, request, waiting)
            }
            Admission::Never => ResponseFuture::refused(),
        }
    }
}
