use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body as HttpBody;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::CacheBody;
use super::asked::Read;
use super::core::{Asking, Core, Step};
use super::flights::Waiting;
use super::reading::Reading;

pin_project! {
    /// An answer that was kept, or that of the inner service.
    pub struct ResponseFuture<S, ReqBody, ResBody>
    where
        S: Service<Request<ReqBody>>,
    {
        #[pin]
        state: State<S, ReqBody, ResBody, S::Future>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, ReqBody, ResBody, F> {
        Answered { response: Option<Response<Bytes>> },
        Other { #[pin] future: F },
        Writing { #[pin] future: F, write: Write },
        Waiting { waiting: Waiting, held: Option<Box<Held<S, ReqBody>>> },
        Asking { #[pin] future: F, asking: Option<Box<Asking>> },
        Reading { reading: Option<Box<Reading<ResBody>>> },
    }
}

/// A request that waits for another one, with the service that is ready for it.
pub(super) struct Held<S, ReqBody> {
    pub(super) core: Arc<Core>,
    pub(super) service: S,
    pub(super) request: Request<ReqBody>,
    pub(super) read: Read,
    pub(super) waits: u8,
}

/// Has what is kept for a path forgotten, unless it is known that nothing was written; so also when nobody waits for the answer.
pub(super) struct Write {
    pub(super) core: Arc<Core>,
    /// None when it is done.
    pub(super) path: Option<String>,
}

impl Drop for Write {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            self.core.invalidate(path);
        }
    }
}

impl<S, ReqBody, ResBody> ResponseFuture<S, ReqBody, ResBody>
where
    S: Service<Request<ReqBody>>,
{
    pub(super) fn answered(response: Response<Bytes>) -> Self {
        Self { state: State::Answered { response: Some(response) } }
    }

    pub(super) fn other(future: S::Future) -> Self {
        Self { state: State::Other { future } }
    }

    pub(super) fn writing(future: S::Future, write: Write) -> Self {
        Self { state: State::Writing { future, write } }
    }

    pub(super) fn waiting(waiting: Waiting, held: Held<S, ReqBody>) -> Self {
        Self { state: State::Waiting { waiting, held: Some(Box::new(held)) } }
    }

    pub(super) fn asking(future: S::Future, asking: Box<Asking>) -> Self {
        Self { state: State::Asking { future, asking: Some(asking) } }
    }
}

impl<S, ReqBody, ResBody> Future for ResponseFuture<S, ReqBody, ResBody>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: HttpBody<Data = Bytes> + From<Bytes> + Unpin,
{
    type Output = Result<Response<CacheBody<ResBody>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                StateProj::Answered { response } => {
                    let Some(response) = response.take() else { return Poll::Pending };
                    return Poll::Ready(Ok(response.map(CacheBody::from)));
                }
                StateProj::Other { future } => return future.poll(cx).map_ok(|answer| answer.map(CacheBody::plain)),
                StateProj::Writing { future, write } => {
                    let response = ready!(future.poll(cx))?;
                    if let Some(path) = write.path.take()
                        && !response.status().is_client_error()
                    {
                        write.core.written(&path, response.headers());
                    }
                    return Poll::Ready(Ok(response.map(CacheBody::plain)));
                }
                StateProj::Waiting { waiting, held } => {
                    let outcome = ready!(Pin::new(waiting).poll(cx)).ok();
                    // None when it is polled after it was ready.
                    let Some(held) = held.take() else { return Poll::Pending };
                    (*held).go_on(outcome)
                }
                StateProj::Asking { future, asking } => {
                    let answer = ready!(future.poll(cx));
                    let Some(mut asking) = asking.take() else { return Poll::Pending };
                    let status = answer.as_ref().ok().map(Response::status);
                    if status.is_none_or(|status| status.is_server_error())
                        && let Some(stale) = asking.instead_of_failure(status)
                    {
                        return Poll::Ready(Ok(stale.map(CacheBody::from)));
                    }
                    let answer = answer.inspect_err(|_| asking.fail())?;
                    let (mut parts, body) = answer.into_parts();
                    match asking.lifetime(&parts, &body.size_hint()) {
                        Some(lifetime) => {
                            State::Reading { reading: Some(Box::new(Reading::new(parts, body, lifetime, asking))) }
                        }
                        None if asking.hand_on(&mut parts) => {
                            return Poll::Ready(Ok(Response::from_parts(parts, Bytes::new().into())));
                        }
                        None => return Poll::Ready(Ok(Response::from_parts(parts, CacheBody::plain(body)))),
                    }
                }
                StateProj::Reading { reading } => {
                    return match ready!(Reading::poll(reading, cx)) {
                        Some(response) => Poll::Ready(Ok(response)),
                        None => Poll::Pending,
                    };
                }
            };
            state.set(next);
        }
    }
}

impl<S, ReqBody> Held<S, ReqBody>
where
    S: Service<Request<ReqBody>>,
{
    fn go_on<ResBody>(self, outcome: Option<super::flights::Outcome>) -> State<S, ReqBody, ResBody, S::Future> {
        let Self { core, mut service, mut request, read, waits } = self;
        match core.resume(read, request.uri(), request.headers(), waits, outcome) {
            (Step::Answer(response), _) => State::Answered { response: Some(response) },
            (Step::Ask(asking), _) => {
                asking.prepare(request.headers_mut());
                State::Asking { future: service.call(request), asking: Some(asking) }
            }
            (Step::Wait(waiting, read), waits) => {
                State::Waiting { waiting, held: Some(Box::new(Self { core, service, request, read, waits })) }
            }
        }
    }
}
