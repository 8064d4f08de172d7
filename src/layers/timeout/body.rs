use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use super::watch::{Passed, Path, Watch};
use crate::body::ReadError;
use crate::{Body, BoxError};

pin_project! {
    /// A body that fails when it takes too long.
    ///
    /// Time counts only while somebody has asked for more of it and nothing is there.
    #[derive(Debug)]
    pub struct TimedBody<B> {
        #[pin]
        inner: B,
        // Made when a poll first finds nothing there. Boxed, as readers move bodies.
        timer: Option<Pin<Box<Sleep>>>,
        clock: Option<Clock>,
    }
}

/// Of a body that is timed.
#[derive(Debug)]
struct Clock {
    idle: Option<Duration>,
    /// When all has to be over, and of which limit that is.
    end: Option<(Instant, Duration)>,
    owner: Owner,
    /// Of which limit the timer is; none unless somebody has asked in vain since something came.
    waiting: Option<Passed>,
    passed: Option<Passed>,
}

#[derive(Debug)]
enum Owner {
    Client(Arc<Watch>),
    Service(Path),
}

/// Why the body of an answer ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BodyTimeout {
    /// Nothing came for so long.
    Idle(Duration),
    /// It had not ended so long after the request came.
    Total(Duration),
}

impl fmt::Display for BodyTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Idle(limit) => write!(f, "nothing came of the body for {} s", limit.as_secs_f64()),
            Self::Total(limit) => write!(f, "the answer had not ended within {} s", limit.as_secs_f64()),
        }
    }
}

impl std::error::Error for BodyTimeout {}

impl<B> TimedBody<B> {
    pub(super) fn untimed(inner: B) -> Self {
        Self { inner, timer: None, clock: None }
    }

    pub(super) fn of_client(inner: B, idle: Duration, watch: Arc<Watch>) -> Self {
        Self::timed(inner, Some(idle), None, Owner::Client(watch))
    }

    pub(super) fn of_service(inner: B, idle: Option<Duration>, end: Option<(Instant, Duration)>, path: Path) -> Self {
        Self::timed(inner, idle, end, Owner::Service(path))
    }

    fn timed(inner: B, idle: Option<Duration>, end: Option<(Instant, Duration)>, owner: Owner) -> Self {
        Self { inner, timer: None, clock: Some(Clock { idle, end, owner, waiting: None, passed: None }) }
    }
}

impl Clock {
    /// Whether all should be over.
    fn is_late(&self) -> Option<Passed> {
        let (end, limit) = self.end?;
        (Instant::now() >= end).then_some(Passed::Total(limit))
    }

    /// When to give up if nothing comes from now on, and for which limit.
    fn due(&self) -> Option<(Instant, Passed)> {
        let idle = self.idle.map(|idle| (Instant::now() + idle, self.owner.idle(idle)));
        let total = self.end.map(|(end, limit)| (end, Passed::Total(limit)));
        idle.into_iter().chain(total).min_by_key(|(due, _)| *due)
    }

    fn fail(&mut self, passed: Passed) -> BoxError {
        if self.passed.replace(passed).is_none() {
            match (&self.owner, passed) {
                (Owner::Client(watch), Passed::Client(limit)) => watch.trip(limit),
                (Owner::Client(_), _) => {}
                (Owner::Service(path), passed) => passed.log(path),
            }
        }
        match passed {
            Passed::Client(_) => ReadError::TooSlow.into(),
            Passed::Service(limit) => BodyTimeout::Idle(limit).into(),
            Passed::Total(limit) => BodyTimeout::Total(limit).into(),
        }
    }
}

impl Owner {
    fn idle(&self, limit: Duration) -> Passed {
        match self {
            Self::Client(_) => Passed::Client(limit),
            Self::Service(_) => Passed::Service(limit),
        }
    }
}

/// For layers outside that answer themselves.
impl<B: From<Bytes>> From<Bytes> for TimedBody<B> {
    fn from(bytes: Bytes) -> Self {
        Self::untimed(bytes.into())
    }
}

impl<B: Default> Default for TimedBody<B> {
    fn default() -> Self {
        Self::untimed(B::default())
    }
}

impl From<TimedBody<Body>> for Body {
    fn from(body: TimedBody<Body>) -> Self {
        // What is in memory already is not waited for.
        match body.clock {
            Some(_) if body.inner.as_bytes().is_none() => Body::new(body),
            _ => body.inner,
        }
    }
}

impl<B> HttpBody for TimedBody<B>
where
    B: HttpBody,
    B::Error: Into<BoxError>,
{
    type Data = B::Data;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, BoxError>>> {
        let mut this = self.project();
        let Some(clock) = this.clock else { return this.inner.poll_frame(cx).map_err(Into::into) };
        if let Some(passed) = clock.passed.or_else(|| clock.is_late()) {
            return Poll::Ready(Some(Err(clock.fail(passed))));
        }
        if let Poll::Ready(frame) = this.inner.as_mut().poll_frame(cx) {
            clock.waiting = None;
            if !matches!(frame, Some(Ok(_))) || this.inner.is_end_stream() {
                *this.clock = None;
                *this.timer = None;
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let passed = match clock.waiting {
            Some(passed) => passed,
            None => {
                let Some((due, passed)) = clock.due() else { return Poll::Pending };
                match this.timer {
                    Some(timer) => timer.as_mut().reset(due),
                    None => *this.timer = Some(Box::pin(sleep_until(due))),
                }
                clock.waiting = Some(passed);
                passed
            }
        };
        if let Some(timer) = this.timer {
            ready!(timer.as_mut().poll(cx));
        }
        Poll::Ready(Some(Err(clock.fail(passed))))
    }

    fn is_end_stream(&self) -> bool {
        self.clock.as_ref().is_none_or(|clock| clock.passed.is_none()) && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
