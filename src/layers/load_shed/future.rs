use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body as HttpBody;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::CountedBody;
use super::capacity::{Permit, Waiting, overloaded};

pin_project! {
    /// The answer of the inner service, perhaps after a wait, or a 503.
    pub struct ResponseFuture<S, B>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        state: State<S, B>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, B>
    where
        S: Service<Request<B>>,
    {
        Answering { #[pin] future: S::Future, permit: Option<Permit> },
        Waiting { called: Option<(S, Request<B>)>, waiting: Waiting },
        Refused,
    }
}

impl<S, B> ResponseFuture<S, B>
where
    S: Service<Request<B>>,
{
    pub(super) fn answering(future: S::Future, permit: Permit) -> Self {
        Self { state: State::Answering { future, permit: Some(permit) } }
    }

    pub(super) fn waiting(service: S, request: Request<B>, waiting: Waiting) -> Self {
        Self { state: State::Waiting { called: Some((service, request)), waiting } }
    }

    pub(super) fn refused() -> Self {
        Self { state: State::Refused }
    }
}

impl<S, ReqBody, ResBody> Future for ResponseFuture<S, ReqBody>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: HttpBody + From<Bytes>,
{
    type Output = Result<Response<CountedBody<ResBody>>, S::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let mut this = self.as_mut().project();
            let next = match this.state.as_mut().project() {
                StateProj::Answering { future, permit } => {
                    let response = ready!(future.poll(cx))?;
                    let permit = permit.take();
                    return Poll::Ready(Ok(response.map(|body| CountedBody::new(body, permit))));
                }
                StateProj::Waiting { called, waiting } => {
                    let permit = ready!(waiting.as_mut().poll(cx));
                    match (permit, called.take()) {
                        (Some(permit), Some((mut service, request))) => {
                            State::Answering { future: service.call(request), permit: Some(permit) }
                        }
                        _ => State::Refused,
                    }
                }
                StateProj::Refused => return Poll::Ready(Ok(overloaded().into_response())),
            };
            this.state.set(next);
        }
    }
}
