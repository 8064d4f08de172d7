//! What a socket is given time for.

use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use tungstenite::Message as Frame;

use super::{Phase, Pump};
use crate::python::websocket::close::{self, Close};
use crate::python::websocket::upgrade::Socket;

impl<T: Socket> Pump<'_, T> {
    /// The next moment at which something has to be done, whatever comes.
    fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Open => {
                let sent = self.blocked.map(|since| since + self.settings.send_timeout);
                let heard = match (self.pinged, self.settings.ping_interval) {
                    (Some(at), _) => Some(at + self.settings.ping_timeout),
                    (None, interval) => interval.map(|interval| self.heard + interval),
                };
                [sent, heard].into_iter().flatten().min()
            }
            Phase::Closing(deadline) | Phase::Gone(deadline) | Phase::Last(deadline) | Phase::Shutting(deadline, _) => {
                Some(deadline)
            }
            Phase::Over => None,
        }
    }

    /// Pending until then, and ready when something was done.
    pub(super) fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let Some(deadline) = self.deadline() else { return Poll::Pending };
            let now = Instant::now();
            if deadline <= now {
                self.expire(cx, now);
                return Poll::Ready(());
            }
            // In a busy connection the moment only moves away: the timer is left as it is, and set anew when it has gone off.
            if deadline < self.timer.deadline() || self.timer.is_elapsed() {
                self.timer.as_mut().reset(deadline);
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    fn expire(&mut self, cx: &mut Context<'_>, now: Instant) {
        match self.phase {
            Phase::Open => {}
            Phase::Gone(_) => {
                self.lose("the connection broke");
                return;
            }
            // Who does not close in time is closed.
            _ => {
                self.phase = Phase::Over;
                return;
            }
        }
        let overdue = |since: Option<Instant>, limit: Duration| since.is_some_and(|since| since + limit <= now);
        if overdue(self.blocked, self.settings.send_timeout) {
            // It takes no close frame either.
            self.link.end(Close::new(close::POLICY, "the client does not read"));
            self.phase = Phase::Over;
        } else if !self.link.has_room() {
            // Nothing is read while the handler is behind, so nothing can be heard.
            self.heard = now;
            self.pinged = None;
        } else if self.pinged.is_some() {
            self.lose("the client did not answer a ping");
        } else {
            self.pinged = Some(now);
            self.unflushed = true;
            // What it meets, the next flush meets again.
            let _ = self.with(cx, |context, io| context.write(io, Frame::Ping(Bytes::new())));
        }
    }
}
