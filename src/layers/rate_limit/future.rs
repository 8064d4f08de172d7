use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::Verdict;
use super::told::{Told, refusal, unavailable};

pin_project! {
    /// The answer of the inner service, or a refusal; a verdict first, where one has to be waited for.
    pub struct ResponseFuture<S, L, ReqBody>
    where
        S: Service<Request<ReqBody>>,
    {
        #[pin]
        state: State<S, L, ReqBody>,
        // None where clients are not told of their quota.
        told: Option<Arc<Told>>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, L, ReqBody>
    where
        S: Service<Request<ReqBody>>,
    {
        Waiting { #[pin] later: L, held: Option<(S, Request<ReqBody>)> },
        Answering { #[pin] future: S::Future, verdict: Option<Verdict> },
        Refusing { verdict: Verdict },
    }
}

impl<S, L, ReqBody> ResponseFuture<S, L, ReqBody>
where
    S: Service<Request<ReqBody>>,
{
    pub(super) fn uncounted(future: S::Future) -> Self {
        Self { state: State::Answering { future, verdict: None }, told: None }
    }

    pub(super) fn judged(verdict: Verdict, inner: &mut S, request: Request<ReqBody>, told: Option<Arc<Told>>) -> Self {
        Self { state: State::judged(verdict, inner, request), told }
    }

    pub(super) fn waiting(later: L, inner: S, request: Request<ReqBody>, told: Option<Arc<Told>>) -> Self {
        Self { state: State::Waiting { later, held: Some((inner, request)) }, told }
    }
}

impl<S, L, ReqBody> State<S, L, ReqBody>
where
    S: Service<Request<ReqBody>>,
{
    fn judged(verdict: Verdict, inner: &mut S, request: Request<ReqBody>) -> Self {
        match verdict {
            Verdict::Allowed { .. } | Verdict::Uncounted => {
                Self::Answering { future: inner.call(request), verdict: Some(verdict) }
            }
            Verdict::Refused { .. } | Verdict::Unavailable => Self::Refusing { verdict },
        }
    }
}

impl<S, L, ReqBody, ResBody> Future for ResponseFuture<S, L, ReqBody>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    L: Future<Output = Verdict>,
    ResBody: From<Bytes>,
{
    type Output = Result<Response<ResBody>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let (mut response, verdict) = match this.state.as_mut().project() {
                StateProj::Waiting { later, held } => {
                    let verdict = ready!(later.poll(cx));
                    // None when it is polled after it was ready.
                    let Some((mut inner, request)) = held.take() else { return Poll::Pending };
                    this.state.set(State::judged(verdict, &mut inner, request));
                    continue;
                }
                StateProj::Answering { future, verdict } => (ready!(future.poll(cx))?, *verdict),
                StateProj::Refusing { verdict } => {
                    let problem = match *verdict {
                        Verdict::Refused { retry_after } => refusal(retry_after),
                        _ => unavailable(),
                    };
                    (problem.into_response(), Some(*verdict))
                }
            };
            if let (Some(told), Some(verdict)) = (this.told, verdict) {
                told.tell(verdict, response.headers_mut());
            }
            return Poll::Ready(Ok(response));
        }
    }
}
