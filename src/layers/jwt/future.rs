use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;
use pin_project_lite::pin_project;

use super::Fault;
use crate::service::ErrorFormat;

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
        Inner { #[pin] future: F },
        Refused { fault: Fault, scopes: Option<Arc<[String]>>, errors: ErrorFormat },
    }
}

impl<F> ResponseFuture<F> {
    pub(super) fn inner(future: F) -> Self {
        Self { state: State::Inner { future } }
    }

    pub(super) fn refused(fault: Fault, scopes: Option<Arc<[String]>>, errors: ErrorFormat) -> Self {
        Self { state: State::Refused { fault, scopes, errors } }
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
            StateProj::Inner { future } => future.poll(cx),
            StateProj::Refused { fault, scopes, errors } => {
                Poll::Ready(Ok(fault.into_response(scopes.as_deref().unwrap_or_default(), *errors)))
            }
        }
    }
}
