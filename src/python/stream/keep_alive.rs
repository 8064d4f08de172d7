//! Comments in silence, so that nobody on the way takes a quiet connection for a dead one.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::Outgoing;
use crate::BoxError;

/// A comment, which clients pass over.
const COMMENT: &[u8] = b":\n\n";

/// A body of server-sent events. It has no end of its own, so it ends when the app stops; clients come back by themselves.
pub(in crate::python) struct Events {
    /// None when it has ended.
    events: Option<Outgoing>,
    /// How long nothing may be sent.
    every: Option<Duration>,
    silence: Option<Pin<Box<Sleep>>>,
    stopping: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Events {
    pub(in crate::python) fn new(
        events: Outgoing,
        every: Option<Duration>,
        stopping: WaitForCancellationFutureOwned,
    ) -> Self {
        Self { events: Some(events), every, silence: None, stopping: Box::pin(stopping) }
    }

    /// Begins to count the silence anew.
    fn heard(&mut self) {
        if let (Some(every), Some(silence)) = (self.every, &mut self.silence) {
            silence.as_mut().reset(Instant::now() + every);
        }
    }
}

impl http_body::Body for Events {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(events) = &mut self.events else { return Poll::Ready(None) };
        let polled = Pin::new(events).poll_frame(cx);
        if let Poll::Ready(frame) = polled {
            match &frame {
                Some(Ok(_)) => self.heard(),
                _ => self.events = None,
            }
            return Poll::Ready(frame);
        }
        if self.stopping.as_mut().poll(cx).is_ready() {
            self.events = None;
            return Poll::Ready(None);
        }
        let Some(every) = self.every else { return Poll::Pending };
        let silence = self.silence.get_or_insert_with(|| Box::pin(sleep(every)));
        match silence.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => {
                self.heard();
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(COMMENT)))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.events.is_none()
    }
}
