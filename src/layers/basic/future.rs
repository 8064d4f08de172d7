use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use pin_project_lite::pin_project;
use tokio::task::JoinHandle;
use tower_service::Service;

use super::{Claims, Fault};

pin_project! {
    /// The answer of the inner service, or a refusal.
    pub struct ResponseFuture<S, ReqBody>
    where
        S: Service<Request<ReqBody>>,
    {
        #[pin]
        state: State<S, ReqBody, S::Future>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, ReqBody, F> {
        Inner { #[pin] future: F },
        Refused { fault: Fault, challenge: HeaderValue },
        // Seldom, so what goes on then is kept elsewhere.
        Checking { check: Check, held: Option<Box<(S, Request<ReqBody>, HeaderValue)>> },
    }
}

/// Nobody waits for the check of a request that is gone: it is not begun then.
struct Check(JoinHandle<Option<Claims>>);

impl Drop for Check {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<S, ReqBody> ResponseFuture<S, ReqBody>
where
    S: Service<Request<ReqBody>>,
{
    pub(super) fn inner(future: S::Future) -> Self {
        Self { state: State::Inner { future } }
    }

    pub(super) fn refused(fault: Fault, challenge: HeaderValue) -> Self {
        Self { state: State::Refused { fault, challenge } }
    }

    /// Hands `request` to `service`, which is ready for it, when `check` has found it good.
    pub(super) fn checking(
        check: JoinHandle<Option<Claims>>,
        service: S,
        request: Request<ReqBody>,
        challenge: HeaderValue,
    ) -> Self {
        Self { state: State::Checking { check: Check(check), held: Some(Box::new((service, request, challenge))) } }
    }
}

impl<S, ReqBody, ResBody> Future for ResponseFuture<S, ReqBody>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: From<Bytes>,
{
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                StateProj::Inner { future } => return future.poll(cx),
                StateProj::Refused { fault, challenge } => return Poll::Ready(Ok(fault.into_response(challenge))),
                StateProj::Checking { check, held } => {
                    let outcome = ready!(Pin::new(&mut check.0).poll(cx));
                    // Polled after it was ready.
                    let Some(held) = held.take() else { return Poll::Pending };
                    let (mut service, mut request, challenge) = *held;
                    match outcome {
                        Ok(Some(claims)) => {
                            request.extensions_mut().insert(claims);
                            State::Inner { future: service.call(request) }
                        }
                        Ok(None) => State::Refused { fault: Fault::Wrong, challenge },
                        // The runtime ends.
                        Err(_) => State::Refused { fault: Fault::Busy, challenge },
                    }
                }
            };
            state.set(next);
        }
    }
}
