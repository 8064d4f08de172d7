use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{HeaderName, Response};
use pin_project_lite::pin_project;

use super::RequestId;

pin_project! {
    /// The answer with the id of its request.
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        id: Option<(HeaderName, RequestId)>,
    }
}

impl<F> ResponseFuture<F> {
    pub(super) fn new(inner: F, header: HeaderName, id: RequestId) -> Self {
        Self { inner, id: Some((header, id)) }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let mut response = ready!(this.inner.poll(cx))?;
        if let Some((header, id)) = this.id.take() {
            response.headers_mut().insert(header, id.as_header().clone());
            response.extensions_mut().insert(id);
        }
        Poll::Ready(Ok(response))
    }
}
