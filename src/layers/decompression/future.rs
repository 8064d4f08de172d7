use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Response, StatusCode};
use pin_project_lite::pin_project;

use super::body::Fault;
use crate::{DecodeError, Problem};

pin_project! {
    /// The answer of the inner service, or what it should have been about a body that cannot be decoded.
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        fault: Option<Arc<OnceLock<Fault>>>,
    }
}

impl<F> ResponseFuture<F> {
    pub(super) fn new(inner: F, fault: Option<Arc<OnceLock<Fault>>>) -> Self {
        Self { inner, fault }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: From<Bytes>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let response = ready!(this.inner.poll(cx))?;
        // A reader that did not know the failed read: a fault of its own, or of the client in general.
        let status = response.status();
        if status != StatusCode::BAD_REQUEST && !status.is_server_error() {
            return Poll::Ready(Ok(response));
        }
        Poll::Ready(Ok(match this.fault.as_ref().and_then(|fault| fault.get()) {
            Some(Fault::TooLarge(error)) => Problem::unreadable(error).into_response(),
            Some(Fault::Undecodable(DecodeError::Malformed)) if status == StatusCode::BAD_REQUEST => response,
            Some(Fault::Undecodable(error)) => Problem::unreadable(error).into_response(),
            None => response,
        }))
    }
}
