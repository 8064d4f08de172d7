use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{HeaderValue, VARY};
use http::{Request, Response, StatusCode};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::FileBody;
use super::job::Job;
use super::service::Fallback;
use crate::service::LeafInfo;

pin_project! {
    /// The answer with a file, or that of the inner service.
    pub struct ResponseFuture<S, ReqBody, ResBody>
    where
        S: Service<Request<ReqBody>>,
    {
        #[pin]
        state: State<S, ReqBody, ResBody, S::Future>,
        fallback: Option<Fallback>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, ReqBody, ResBody, F> {
        Looking { job: Job, held: Option<(S, Request<ReqBody>)> },
        Inner { #[pin] future: F },
        FallingBack { job: Job, nothing: Option<Response<ResBody>> },
    }
}

impl<S, ReqBody, ResBody> ResponseFuture<S, ReqBody, ResBody>
where
    S: Service<Request<ReqBody>>,
{
    pub(super) fn inner(future: S::Future, fallback: Option<Fallback>) -> Self {
        Self { state: State::Inner { future }, fallback }
    }

    /// Hands `request` to `service`, which is ready for it, when `job` has found nothing.
    pub(super) fn looking(job: Job, service: S, request: Request<ReqBody>, fallback: Option<Fallback>) -> Self {
        Self { state: State::Looking { job, held: Some((service, request)) }, fallback }
    }
}

impl<S, ReqBody, ResBody> Future for ResponseFuture<S, ReqBody, ResBody>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: From<Bytes>,
{
    type Output = Result<Response<FileBody<ResBody>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                StateProj::Looking { job, held } => {
                    if let Some(file) = ready!(Pin::new(job).poll(cx)) {
                        return Poll::Ready(Ok(file.map(FileBody::of)));
                    }
                    // None when it is polled after it was ready.
                    let Some((mut service, request)) = held.take() else { return Poll::Pending };
                    State::Inner { future: service.call(request) }
                }
                StateProj::Inner { future } => {
                    let mut response = ready!(future.poll(cx))?;
                    let Some(fallback) = this.fallback.take().filter(|_| is_nothing(&response)) else {
                        return Poll::Ready(Ok(response.map(FileBody::plain)));
                    };
                    // Others get a page here, and a cache may keep that there is nothing (RFC 9110, 15.1).
                    response.headers_mut().append(VARY, HeaderValue::from_static("accept"));
                    let Fallback { directory, asked: Some(asked) } = fallback else {
                        return Poll::Ready(Ok(response.map(FileBody::plain)));
                    };
                    State::FallingBack {
                        job: Job::new(move |disk| directory.fall_back(&asked, disk)),
                        nothing: Some(response),
                    }
                }
                StateProj::FallingBack { job, nothing } => {
                    if let Some(file) = ready!(Pin::new(job).poll(cx)) {
                        return Poll::Ready(Ok(file.map(FileBody::of)));
                    }
                    let Some(nothing) = nothing.take() else { return Poll::Pending };
                    return Poll::Ready(Ok(nothing.map(FileBody::plain)));
                }
            };
            this.state.set(next);
        }
    }
}

/// Whether no route has answered.
fn is_nothing<B>(response: &Response<B>) -> bool {
    matches!(response.status(), StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED)
        && response.extensions().get::<Arc<LeafInfo>>().is_none()
}
