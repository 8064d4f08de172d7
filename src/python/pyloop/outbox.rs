//! Answers on their way from the loop thread to the runtime.
//!
//! Sending one wakes the task that waits for it, and from a thread outside the runtime that may take a system call, after
//! which the woken worker often runs at once in the place of the loop thread. So what a turn finishes is gathered, and
//! handed over together: one wake-up for all, and the other wake-ups happen inside the runtime.

use std::cell::RefCell;
use std::mem;

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

type Gathered = Vec<(oneshot::Sender<Response>, Response)>;

thread_local! {
    /// The answers of this turn; none when this thread runs no loop. Never borrowed while Python runs.
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
        let rest = OUTBOX.with_borrow_mut(|outbox| match outbox {
            Some(gathered) => {
                gathered.push((self.sender, response));
                None
            }
            None => Some((self.sender, response)),
        });
        deliver(rest);
    }

    /// Nobody waits for the answer any longer.
    pub(crate) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}

fn deliver(answers: impl IntoIterator<Item = (oneshot::Sender<Response>, Response)>) {
    for (sender, response) in answers {
        // The receiver is gone when the client is.
        let _ = sender.send(response);
    }
}

/// Answers that were gathered and are yet to be handed over.
pub(super) struct Answers(Gathered);

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
        Self { outer: OUTBOX.replace(Some(Vec::new())) }
    }

    /// Until what this gives is dropped, answers of this thread are sent at once.
    pub(super) fn aside() -> Aside {
        Aside(OUTBOX.take())
    }

    pub(super) fn is_empty(&self) -> bool {
        OUTBOX.with_borrow(|outbox| outbox.as_ref().is_none_or(Vec::is_empty))
    }

    /// What was gathered, for a park in which the connections are served that wait for it.
    pub(super) fn take(&self) -> Answers {
        Answers(OUTBOX.with_borrow_mut(|outbox| match outbox {
            // The next turn answers about as many.
            Some(gathered) if !gathered.is_empty() => {
                let room = Vec::with_capacity(gathered.len());
                mem::replace(gathered, room)
            }
            _ => Vec::new(),
        }))
    }

    /// Hands over what was gathered.
    pub(super) fn flush(&self) {
        let gathered = OUTBOX.with_borrow_mut(|outbox| match outbox {
            Some(gathered) if !gathered.is_empty() => Some(mem::take(gathered)),
            _ => None,
        });
        let Some(gathered) = gathered else { return };
        match (gathered.len(), Handle::try_current()) {
            (2.., Ok(runtime)) => drop(runtime.spawn(async move { deliver(gathered) })),
            _ => deliver(gathered),
        }
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
    fn closing_sends_what_is_left() {
        let outbox = Outbox::open();
        let (reply, mut answer) = reply(None);
        reply.send(response());
        drop(outbox);
        assert!(answer.try_recv().is_ok());
    }
}
