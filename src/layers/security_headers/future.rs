use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{HeaderName, HeaderValue, Response};
use pin_project_lite::pin_project;

pin_project! {
    /// The answer of the inner service, with the headers that it did not set itself.
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        headers: Arc<Vec<(HeaderName, HeaderValue)>>,
    }
}

impl<F> ResponseFuture<F> {
    pub(super) fn new(inner: F, headers: Arc<Vec<(HeaderName, HeaderValue)>>) -> Self {
        Self { inner, headers }
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
        for (name, value) in this.headers.iter() {
            response.headers_mut().entry(name).or_insert_with(|| value.clone());
        }
        Poll::Ready(Ok(response))
    }
}
