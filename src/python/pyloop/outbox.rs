//! Answers on their way from the loop thread to the runtime, and news for tasks there.
//!
//! Sending one wakes the task that waits for it, and from a thread outside the runtime that may take a system call, after
//! which the woken worker often runs at once in the place of the loop thread. So what a turn finishes is gathered, and
//! handed over together: one wake-up for all, and the other wake-ups happen inside the runtime. In a turn that goes on for some
//! milliseconds, they are handed over with the next thing that there is to tell.

use std::cell::RefCell;
use std::mem;
use std::task::Waker;

use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::Response;
use crate::service::stopwatch::{Part, Stopwatch};

/// Where a job sends its answer.
pub(crate) struct Reply {
    sender: oneshot::Sender<Response>,
    watch: Option<Stopwatch>,
}

/// What waits for the answer; it fails when the job was dropped without one.
pub(crate) type Answer = oneshot::Receiver<Response>;

/// A reply and what waits for it; `watch`, where a request has one, measures that it waits from now on.
pub(crate) fn reply(watch: Option<Stopwatch>) -> (Reply, Answer) {
    let (sender, receiver) = oneshot::channel();
    Stopwatch::turn(watch.as_ref(), Part::Waiting);
    (Reply { sender, watch }, receiver)
}

enum Parcel {
    Answer(oneshot::Sender<Response>, Response),
    News(Waker),
}

type Parcels = Vec<Parcel>;

/// What a turn has gathered so far.
#[derive(Default)]
struct Gathered {
    parcels: Parcels,
    /// When the first of them came.
    since: Tick,
}

/// A moment on a clock that costs next to nothing to read, and goes on by some milliseconds at once.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Tick(i64, i64);

impl Tick {
    fn now() -> Self {
        let now = clock_gettime(ClockId::MonotonicCoarse);
        Self(now.tv_sec, now.tv_nsec)
    }
}

thread_local! {
    /// The parcels of this turn; none when this thread runs no loop. Never borrowed while Python runs.
    static OUTBOX: RefCell<Option<Gathered>> = const { RefCell::new(None) };
}

impl Reply {
    /// Python runs for it from now on.
    pub(crate) fn begun(&self) {
        Stopwatch::turn(self.watch.as_ref(), Part::Python);
    }

    /// Sends the answer: at the end of the turn from a loop thread, else at once.
    pub(crate) fn send(self, response: Response) {
        Stopwatch::turn(self.watch.as_ref(), Part::Layers);
        post(Parcel::Answer(self.sender, response));
    }

    /// Nobody waits for the answer any longer.
    pub(crate) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}

/// Wakes a task of the runtime: at the end of the turn from a loop thread, else at once.
pub(crate) fn wake(waker: Waker) {
    post(Parcel::News(waker));
}

/// Sends what this thread has gathered, if the turn goes on for long: as it computes or blocks. To be called where there is more to
/// tell somebody who was told, and did not look since.
pub(crate) fn hurry() {
    let is_late = OUTBOX.with_borrow(|outbox| {
        outbox.as_ref().is_some_and(|gathered| !gathered.parcels.is_empty() && gathered.since != Tick::now())
    });
    if is_late {
        flush();
    }
}

/// Sends what this thread has gathered.
fn flush() {
    let parcels = OUTBOX.with_borrow_mut(|outbox| match outbox {
        Some(gathered) => mem::take(&mut gathered.parcels),
        None => Vec::new(),
    });
    match (parcels.len(), Handle::try_current()) {
        (2.., Ok(runtime)) => drop(runtime.spawn(async move { deliver(parcels) })),
        _ => deliver(parcels),
    }
}

fn post(parcel: Parcel) {
    let mut is_late = false;
    let rest = OUTBOX.with_borrow_mut(|outbox| match outbox {
        Some(gathered) => {
            let now = Tick::now();
            if gathered.parcels.is_empty() {
                gathered.since = now;
            }
            is_late = gathered.since != now;
            gathered.parcels.push(parcel);
            None
        }
        None => Some(parcel),
    });
    deliver(rest);
    if is_late {
        flush();
    }
}

fn deliver(parcels: impl IntoIterator<Item = Parcel>) {
    for parcel in parcels {
        match parcel {
            // The receiver is gone when the client is.
            Parcel::Answer(sender, response) => drop(sender.send(response)),
            Parcel::News(waker) => waker.wake(),
        }
    }
}

/// What was gathered and is yet to be handed over.
pub(super) struct Answers(Parcels);

impl Answers {
    /// Hands them over on this thread: inside the runtime that waits for them it takes no system call.
    pub(super) fn deliver(&mut self) {
        deliver(self.0.drain(..));
    }
}

/// Gathers what is sent on this thread, until it is dropped.
pub(super) struct Outbox {
    /// What was gathered before: a loop may run inside a callback of another.
    outer: Option<Gathered>,
}

impl Outbox {
    pub(super) fn open() -> Self {
        Self { outer: OUTBOX.replace(Some(Gathered::default())) }
    }

    /// Until what this gives is dropped, answers of this thread are sent at once.
    pub(super) fn aside() -> Aside {
        Aside(OUTBOX.take())
    }

    pub(super) fn is_empty(&self) -> bool {
        OUTBOX.with_borrow(|outbox| outbox.as_ref().is_none_or(|gathered| gathered.parcels.is_empty()))
    }

    /// What was gathered, for a park in which the connections are served that wait for it.
    pub(super) fn take(&self) -> Answers {
        Answers(OUTBOX.with_borrow_mut(|outbox| match outbox {
            // The next turn answers about as many.
            Some(Gathered { parcels, .. }) if !parcels.is_empty() => {
                let room = Vec::with_capacity(parcels.len());
                mem::replace(parcels, room)
            }
            _ => Vec::new(),
        }))
    }

    /// Hands over what was gathered.
    pub(super) fn flush(&self) {
        flush();
    }
}

/// An outbox that was put aside, if there is one.
pub(super) struct Aside(Option<Gathered>);

impl Drop for Aside {
    fn drop(&mut self) {
        OUTBOX.set(self.0.take());
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.flush();
        OUTBOX.set(self.outer.take());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::Body;

    fn response() -> Response {
        Response::new(Body::from("x"))
    }

    #[test]
    fn outside_of_a_loop_an_answer_is_sent_at_once() {
        let (reply, mut answer) = reply(None);
        reply.send(response());
        assert!(answer.try_recv().is_ok());
    }

    #[test]
    fn a_turn_sends_together() {
        let outbox = Outbox::open();
        let (one, mut first) = reply(None);
        let (two, second) = reply(None);
        one.send(response());
        two.send(response());
        assert!(first.try_recv().is_err(), "nothing is sent before the end of the turn");
        outbox.flush();
        assert!(first.blocking_recv().is_ok());
        assert!(second.blocking_recv().is_ok());
    }

    #[test]
    fn news_are_told_at_the_end_of_the_turn_or_sooner() {
        struct Count(AtomicUsize);
        impl Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let told = || count.0.load(Ordering::Relaxed);
        wake(count.clone().into());
        assert_eq!(told(), 1, "outside of a loop");
        let outbox = Outbox::open();
        wake(count.clone().into());
        assert_eq!(told(), 1);
        outbox.flush();
        assert_eq!(told(), 2);
        wake(count.clone().into());
        let begun = Instant::now();
        while told() == 2 && begun.elapsed() < Duration::from_secs(20) {
            hurry();
        }
        assert_eq!(told(), 3, "the turn goes on for long");
        hurry();
        assert!(outbox.is_empty());
        wake(count.clone().into());
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(told(), 3);
        wake(count.clone().into());
        assert_eq!(told(), 5);
    }

    #[test]
    fn closing_sends_what_is_left() {
        let outbox = Outbox::open();
        let (reply, mut answer) = reply(None);
        reply.send(response());
        drop(outbox);
        assert!(answer.try_recv().is_ok());
    }
}
