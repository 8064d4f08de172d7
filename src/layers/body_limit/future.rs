use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Response, StatusCode};
use pin_project_lite::pin_project;

use crate::Problem;

pin_project! {
    /// The answer of the inner service, or a 413.
    pub struct ResponseFuture<F> {
        #[pin]
        state: State<F>,
        limit: usize,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F> {
        Refused,
        Inner {
            #[pin]
            future: F,
            passed: Option<Arc<AtomicBool>>,
        },
    }
}

impl<F> ResponseFuture<F> {
    pub(super) fn refused(limit: usize) -> Self {
        Self { state: State::Refused, limit }
    }

    pub(super) fn inner(future: F, passed: Option<Arc<AtomicBool>>, limit: usize) -> Self {
        Self { state: State::Inner { future, passed }, limit }
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
        let response = match this.state.project() {
            StateProj::Refused => Problem::too_large(*this.limit).into_response(),
            StateProj::Inner { future, passed } => {
                let response = ready!(future.poll(cx))?;
                let passed = passed.as_ref().is_some_and(|passed| passed.load(Ordering::Relaxed));
                // A reader that did not know the failed read: a fault of its own, or of the client in general.
                let status = response.status();
                if passed && (status == StatusCode::BAD_REQUEST || status.is_server_error()) {
                    Problem::too_large(*this.limit).into_response()
                } else {
                    response
                }
            }
        };
        Poll::Ready(Ok(response))
    }
}
