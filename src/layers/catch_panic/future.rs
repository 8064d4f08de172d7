use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;
use pin_project_lite::pin_project;

use crate::Problem;

type Panic = Box<dyn Any + Send>;

pin_project! {
    /// The answer of the inner service, or a 500.
    pub struct ResponseFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F> {
        Running { #[pin] future: F },
        Panicked { panic: Option<Panic> },
    }
}

impl<F> ResponseFuture<F> {
    pub(super) fn running(future: F) -> Self {
        Self { state: State::Running { future } }
    }

    pub(super) fn panicked(panic: Panic) -> Self {
        Self { state: State::Panicked { panic: Some(panic) } }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: From<Bytes>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut state = self.project().state;
        let panic = match state.as_mut().project() {
            StateProj::Running { future } => match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
                Ok(poll) => return poll,
                Err(panic) => {
                    // The broken future goes now, and whatever its destructor does is caught as well.
                    let drop = AssertUnwindSafe(|| state.set(State::Panicked { panic: None }));
                    let _ = catch_unwind(drop);
                    Some(panic)
                }
            },
            StateProj::Panicked { panic } => panic.take(),
        };
        tracing::error!(panic = message(panic.as_deref()), "a request panicked and was answered with 500");
        Poll::Ready(Ok(Problem::internal().into_response()))
    }
}

fn message(panic: Option<&(dyn Any + Send)>) -> &str {
    match panic {
        Some(any) => match (any.downcast_ref::<&'static str>(), any.downcast_ref::<String>()) {
            (Some(text), _) => text,
            (_, Some(text)) => text,
            _ => "a value that is not text",
        },
        None => "an answer was asked for again after the panic",
    }
}
