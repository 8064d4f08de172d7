//! What a connection is doing, and how long it may go on doing it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::time::{Instant, Sleep};

use super::builder::Settings;

/// What one connection is doing, noted by its socket, its requests and the server.
///
/// Nearly all of it is touched by one task only; the atomics are there because HTTP/2 streams are tasks of their own.
#[derive(Debug, Default)]
pub(super) struct Activity {
    /// Requests whose answer is not yet handed over completely.
    in_flight: AtomicUsize,
    /// Of these, the ones that wait for the connection to take more of their answer.
    sending: AtomicUsize,
    /// Moves whenever an answer makes progress.
    sent: AtomicU64,
    /// Requests that began.
    requests: AtomicU64,
    /// Bytes came in while no request was in flight: the beginning of a head.
    head: AtomicBool,
    http2: AtomicBool,
    /// The socket takes nothing more at the moment.
    write_blocked: AtomicBool,
    /// Bytes that the socket took.
    written: AtomicU64,
    /// A request body was given up before its end, so that the rest of it is still on its way.
    unread: AtomicBool,
    /// The socket is, or is about to be, that of somebody else, as of a WebSocket: in flight for as long as it is open.
    handed_over: AtomicBool,
    order: AtomicU8,
    waker: AtomicWaker,
    /// Of whoever reads from the socket.
    io_waker: AtomicWaker,
}

/// What the server wants of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Order {
    Run = 0,
    Finish = 1,
    Drop = 2,
}

impl Activity {
    pub(super) fn order(&self, order: Order) {
        self.order.fetch_max(order as u8, Ordering::AcqRel);
        self.waker.wake();
        self.io_waker.wake();
    }

    pub(super) fn ordered(&self) -> Order {
        match self.order.load(Ordering::Acquire) {
            0 => Order::Run,
            1 => Order::Finish,
            _ => Order::Drop,
        }
    }

    pub(super) fn wake_by(&self, cx: &Context<'_>) {
        self.waker.register(cx.waker());
    }

    pub(super) fn wake_io_by(&self, cx: &Context<'_>) {
        self.io_waker.register(cx.waker());
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Acquire) + usize::from(self.handed_over.load(Ordering::Acquire))
    }

    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    pub(super) fn began_reading(&self) {
        // What comes after a body was given up may be its rest, which hyper reads if there is little of it.
        if !self.head.load(Ordering::Relaxed) && self.in_flight() == 0 && !self.is_unread() {
            self.head.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn speaks_http2(&self) {
        self.http2.store(true, Ordering::Relaxed);
    }

    pub(super) fn wrote(&self, bytes: usize) {
        // Only the socket writes these two, so no read-modify-write is needed.
        self.written.store(self.written.load(Ordering::Relaxed).wrapping_add(bytes as u64), Ordering::Relaxed);
        self.write_blocked.store(false, Ordering::Relaxed);
    }

    pub(super) fn blocked(&self) {
        self.write_blocked.store(true, Ordering::Relaxed);
    }

    pub(super) fn left_unread(&self) {
        self.unread.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_unread(&self) -> bool {
        self.unread.load(Ordering::Relaxed)
    }

    fn phase(&self) -> Phase {
        let requests = self.requests();
        let in_flight = self.in_flight();
        if self.write_blocked.load(Ordering::Relaxed) {
            Phase::Writing(self.written.load(Ordering::Relaxed))
        } else if in_flight > 0 {
            if self.sending.load(Ordering::Acquire) == in_flight {
                Phase::Sending(self.sent.load(Ordering::Relaxed))
            } else {
                Phase::Busy
            }
        } else if self.http2.load(Ordering::Relaxed) {
            Phase::Idle(requests)
        } else if self.head.load(Ordering::Relaxed) {
            Phase::Head(requests)
        } else if requests == 0 {
            Phase::Silent
        } else {
            Phase::Idle(requests)
        }
    }
}

/// The number in a phase tells it from another one of its kind, so that each has its full time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing has come yet.
    Silent,
    /// A head has begun to come.
    Head(u64),
    /// A leaf is at work. No deadline: that is the business of a timeout layer.
    Busy,
    /// All answers wait for the peer to take more, as when an HTTP/2 window stays closed.
    Sending(u64),
    /// The socket takes nothing more.
    Writing(u64),
    /// Between requests.
    Idle(u64),
}

/// Counts a request as in flight until dropped.
#[derive(Debug)]
pub(super) struct InFlight {
    activity: Arc<Activity>,
    sending: bool,
}

impl InFlight {
    pub(super) fn begin(activity: &Arc<Activity>) -> Self {
        activity.in_flight.fetch_add(1, Ordering::AcqRel);
        activity.requests.fetch_add(1, Ordering::Relaxed);
        activity.head.store(false, Ordering::Relaxed);
        // That there is a request shows that the rest of the one before has been read.
        activity.unread.store(false, Ordering::Relaxed);
        Self { activity: activity.clone(), sending: false }
    }

    /// Notes that the answer hands the connection over. It counts from then on, so that there is no moment in which a stop of the server finds
    /// neither the request nor whoever took the connection.
    pub(super) fn hands_over(&self) {
        self.activity.handed_over.store(true, Ordering::Release);
    }

    /// Notes that the connection asked for more of the answer, and whether it was given some.
    pub(super) fn progress(&mut self, gave: bool) {
        self.activity.sent.fetch_add(1, Ordering::Relaxed);
        if gave != self.sending {
            self.sending = gave;
            if gave {
                self.activity.sending.fetch_add(1, Ordering::AcqRel);
            } else {
                self.activity.sending.fetch_sub(1, Ordering::AcqRel);
            }
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.sending {
            self.activity.sending.fetch_sub(1, Ordering::AcqRel);
        }
        self.activity.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

/// One timer for all phases of a connection.
///
/// In a busy connection deadlines only move away, so the timer is left as it is and set anew when it has gone off.
pub(super) struct Watch {
    phase: Phase,
    since: Instant,
    armed: Instant,
    closing: bool,
    times: Times,
}

#[derive(Clone, Copy)]
struct Times {
    silent: Duration,
    head: Duration,
    idle: Duration,
    write: Duration,
}

impl Watch {
    /// A watch for a connection that begins now, and the timer it wants to be given at each check.
    pub(super) fn new(settings: &Settings) -> (Self, Sleep) {
        let now = Instant::now();
        let times = Times {
            silent: settings.first_byte,
            head: settings.head,
            idle: settings.keep_alive,
            write: settings.write,
        };
        // Armed in the past: the first check sets the timer.
        let watch = Self { phase: Phase::Silent, since: now, armed: now, closing: false, times };
        (watch, tokio::time::sleep_until(now))
    }

    /// Notes that the connection is being closed, which ends idleness soon.
    pub(super) fn closing(&mut self) {
        self.closing = true;
        self.since = Instant::now();
    }

    /// Notes that the server stops: a connection that said nothing so far gets a moment to say what is on its way.
    pub(super) fn hurry(&mut self) {
        self.times.silent = self.times.silent.min(Duration::from_millis(250));
    }

    /// Whether a request may be about to come, as the connection is new or has begun a head.
    pub(super) fn is_expecting(&self) -> bool {
        matches!(self.phase, Phase::Silent | Phase::Head(_))
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing
    }

    fn limit(&self, phase: Phase) -> Option<Duration> {
        match phase {
            Phase::Silent => Some(self.times.silent),
            Phase::Head(_) => Some(self.times.head),
            Phase::Busy => None,
            Phase::Sending(_) | Phase::Writing(_) => Some(self.times.write),
            Phase::Idle(_) if self.closing => Some(self.times.head),
            Phase::Idle(_) => Some(self.times.idle),
        }
    }

    /// The phase that has lasted too long, if one has; otherwise makes sure that the task wakes up when it will have.
    pub(super) fn check(
        &mut self,
        activity: &Activity,
        mut timer: Pin<&mut Sleep>,
        cx: &mut Context<'_>,
    ) -> Option<Phase> {
        let phase = activity.phase();
        let now = Instant::now();
        if phase != self.phase {
            self.phase = phase;
            self.since = now;
        }
        let deadline = self.since + self.limit(phase)?;
        if now >= deadline {
            return Some(phase);
        }
        if deadline < self.armed || self.armed <= now {
            timer.as_mut().reset(deadline);
            self.armed = deadline;
            if timer.poll(cx) == Poll::Ready(()) {
                cx.waker().wake_by_ref();
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_is_handed_over_stays_in_flight() {
        let activity = Arc::new(Activity::default());
        let request = InFlight::begin(&activity);
        assert_eq!(activity.in_flight(), 1);
        request.hands_over();
        drop(request);
        assert_eq!(activity.in_flight(), 1, "before whoever takes it has done so");
    }
}
