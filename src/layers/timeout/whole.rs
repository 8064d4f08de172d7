use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body::Body as HttpBody;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use super::future::late;
use super::watch::{Passed, Path, Watch};
use super::{Bodies, TimedBody};
use crate::Problem;
use crate::body::ReadError;

pin_project! {
    /// The answer of the inner service, whose body is timed, or a refusal.
    pub struct WholeFuture<F> {
        #[pin]
        inner: F,
        // Made when the first poll finds the answer not ready.
        #[pin]
        timer: Option<Sleep>,
        timing: Timing,
    }
}

/// What is known of the request.
pub(super) struct Timing {
    pub(super) bodies: Bodies,
    pub(super) after: Duration,
    pub(super) path: Path,
    pub(super) is_tunnel: bool,
    /// Of the request's body, where that is timed.
    pub(super) watch: Option<Arc<Watch>>,
    /// When all has to be over, and of which limit that is.
    pub(super) end: Option<(Instant, Duration)>,
}

impl<F> WholeFuture<F> {
    pub(super) fn new(inner: F, timing: Timing) -> Self {
        Self { inner, timer: None, timing }
    }
}

impl Timing {
    /// When to give up if there is no head, and of which limit that is.
    fn due(&self) -> (Instant, Duration) {
        let head = (Instant::now() + self.after, self.after);
        self.end.filter(|(end, _)| *end < head.0).unwrap_or(head)
    }

    fn answered<B: HttpBody + From<Bytes>>(&mut self, response: Response<B>) -> Response<TimedBody<B>> {
        self.path.learn(response.extensions());
        let status = response.status();
        if self.watch.as_ref().is_some_and(|watch| watch.answered()) {
            Passed::Client(self.bodies.idle.unwrap_or_default()).log(&self.path);
            // A reader that did not know the failed read: a fault of its own, or of the client in general.
            if status == StatusCode::BAD_REQUEST || status.is_server_error() {
                return Problem::unreadable(&ReadError::TooSlow).into_response();
            }
        }
        // What follows a switch of protocols is no body.
        let is_switch = status == StatusCode::SWITCHING_PROTOCOLS || (self.is_tunnel && status.is_success());
        if is_switch || response.body().is_end_stream() {
            return response.map(TimedBody::untimed);
        }
        response.map(|body| TimedBody::of_service(body, self.bodies.idle, self.end, self.path.clone()))
    }
}

impl<F, B, E> Future for WholeFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: HttpBody + From<Bytes>,
{
    type Output = Result<Response<TimedBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Poll::Ready(answer) = this.inner.poll(cx) {
            return Poll::Ready(answer.map(|response| this.timing.answered(response)));
        }
        if this.timer.is_none() {
            let (due, limit) = this.timing.due();
            this.timing.after = limit;
            this.timer.set(Some(sleep_until(due)));
        }
        if let Some(timer) = this.timer.as_pin_mut() {
            ready!(timer.poll(cx));
        }
        Poll::Ready(Ok(late(this.timing.after).into_response()))
    }
}
