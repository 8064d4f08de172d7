use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use pin_project_lite::pin_project;
use tokio::sync::futures::OwnedNotified;
use tower_service::Service;

use super::verifier::{Stop, Verifier};
use super::{Fault, Jwt};

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
        Refused { fault: Fault, verifier: Arc<Verifier> },
        // Seldom, so what goes on then is kept elsewhere.
        Waiting { #[pin] keys: OwnedNotified, held: Option<Box<(Jwt<S>, Request<ReqBody>)>> },
    }
}

impl<S, ReqBody> ResponseFuture<S, ReqBody>
where
    S: Service<Request<ReqBody>>,
{
    pub(super) fn inner(future: S::Future) -> Self {
        Self { state: State::Inner { future } }
    }

    pub(super) fn refused(fault: Fault, verifier: Arc<Verifier>) -> Self {
        Self { state: State::Refused { fault, verifier } }
    }

    /// Decides on `request` when `keys` are there; `service` is ready for it.
    pub(super) fn waiting(keys: OwnedNotified, service: Jwt<S>, request: Request<ReqBody>) -> Self {
        Self { state: State::Waiting { keys, held: Some(Box::new((service, request))) } }
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
                StateProj::Refused { fault, verifier } => {
                    return Poll::Ready(Ok(fault.into_response(&verifier.requirements)));
                }
                StateProj::Waiting { keys, held } => {
                    ready!(keys.poll(cx));
                    // Polled after it was ready.
                    let Some(mut held) = held.take() else { return Poll::Pending };
                    match held.0.verifier.admit(&mut held.1, false) {
                        Ok(()) => {
                            let (mut service, request) = *held;
                            State::Inner { future: service.inner.call(request) }
                        }
                        Err(stop) => {
                            let fault = match stop {
                                Stop::Refused(fault) => fault,
                                Stop::Waiting(_) => Fault::Unavailable,
                            };
                            State::Refused { fault, verifier: held.0.verifier.clone() }
                        }
                    }
                }
            };
            state.set(next);
        }
    }
}
