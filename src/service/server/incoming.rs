//! Request bodies as they come from a connection.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use super::activity::Activity;
use crate::BoxError;
use crate::body::ReadError;

/// A request body that fails when its client is too slow.
///
/// A body that is there in time costs no timer.
pub(crate) struct IncomingBody {
    incoming: Incoming,
    activity: Arc<Activity>,
    pause: Duration,
    rate: u32,
    wait: Option<Box<Wait>>,
    ended: bool,
}

/// The book-keeping of a body that had to be waited for.
struct Wait {
    timer: Pin<Box<Sleep>>,
    since: Instant,
    waiting: bool,
    bytes: u64,
}

impl IncomingBody {
    pub(super) fn new(incoming: Incoming, activity: Arc<Activity>, pause: Duration, rate: u32) -> Self {
        let ended = incoming.is_end_stream();
        Self { incoming, activity, pause, rate, wait: None, ended }
    }

    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let now = Instant::now();
        let pause = self.pause;
        let wait = self.wait.get_or_insert_with(|| {
            let timer = Box::pin(tokio::time::sleep_until(now + pause));
            Box::new(Wait { timer, since: now, waiting: true, bytes: 0 })
        });
        if !wait.waiting {
            wait.waiting = true;
            wait.timer.as_mut().reset(now + pause);
        }
        ready!(wait.timer.as_mut().poll(cx));
        self.fail(ReadError::TooSlow)
    }

    /// Whether the body has trickled for longer than one pause, and below the minimum rate.
    fn is_trickling(&mut self, count: usize) -> bool {
        let Some(wait) = self.wait.as_mut() else { return false };
        wait.bytes += count as u64;
        if !std::mem::take(&mut wait.waiting) {
            return false;
        }
        let spent = wait.since.elapsed();
        spent > self.pause && (wait.bytes as f64) < spent.as_secs_f64() * f64::from(self.rate)
    }

    fn fail(&mut self, error: ReadError) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.ended = true;
        self.activity.left_unread();
        Poll::Ready(Some(Err(error.into())))
    }
}

impl Body for IncomingBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                if self.is_trickling(frame.data_ref().map_or(0, Bytes::len)) {
                    return self.fail(ReadError::TooSlow);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                let error = classify(&error);
                self.fail(error)
            }
            Poll::Ready(None) => {
                self.ended = true;
                Poll::Ready(None)
            }
            Poll::Pending => self.poll_wait(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.ended { SizeHint::with_exact(0) } else { self.incoming.size_hint() }
    }
}

impl Drop for IncomingBody {
    fn drop(&mut self) {
        if !self.is_end_stream() {
            self.activity.left_unread();
        }
    }
}

/// hyper tells a broken coding from an early end only by the I/O error underneath.
fn classify(error: &hyper::Error) -> ReadError {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(cause) = next {
        if let Some(io) = cause.downcast_ref::<io::Error>()
            && matches!(io.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData)
        {
            return ReadError::Malformed;
        }
        next = cause.source();
    }
    ReadError::Incomplete
}
