use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use pin_project_lite::pin_project;
use tokio::time::Sleep;

use crate::Problem;

pin_project! {
    /// The answer of the inner service, or a 504.
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        after: Duration,
        // Made when the first poll finds the answer not ready.
        #[pin]
        timer: Option<Sleep>,
    }
}

impl<F> ResponseFuture<F> {
    pub(super) fn new(inner: F, after: Duration) -> Self {
        Self { inner, after, timer: None }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: From<Bytes>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        if let Poll::Ready(answer) = this.inner.poll(cx) {
            return Poll::Ready(answer);
        }
        if this.timer.is_none() {
            this.timer.set(Some(tokio::time::sleep(*this.after)));
        }
        if let Some(timer) = this.timer.as_pin_mut() {
            ready!(timer.poll(cx));
        }
        Poll::Ready(Ok(late(*this.after).into_response()))
    }
}

pub(super) fn late(limit: Duration) -> Problem {
    Problem::of(StatusCode::GATEWAY_TIMEOUT).detail(format!("no answer was ready within {} s", limit.as_secs_f64()))
}
