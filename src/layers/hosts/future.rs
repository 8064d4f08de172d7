use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;
use pin_project_lite::pin_project;

use crate::Problem;

pin_project! {
    /// The answer of the inner service, or a refusal.
    pub struct ResponseFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F> {
        Answering { #[pin] future: F },
        // Boxed, so that nothing but a pointer is carried where there is none.
        Refusing { problem: Option<Box<Problem>> },
    }
}

impl<F> ResponseFuture<F> {
    pub(super) fn answering(future: F) -> Self {
        Self { state: State::Answering { future } }
    }

    pub(super) fn refusing(problem: Problem) -> Self {
        Self { state: State::Refusing { problem: Some(Box::new(problem)) } }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: From<Bytes>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        match self.project().state.project() {
            StateProj::Answering { future } => future.poll(cx),
            StateProj::Refusing { problem } => match problem.take() {
                Some(problem) => Poll::Ready(Ok(problem.into_response())),
                // Polled after it was ready.
                None => Poll::Pending,
            },
        }
    }
}
