//! A loop that serves connections on its own thread: what they bring while it parks in its Tokio runtime.
//!
//! Python runs in the turns of the loop and never inside the runtime. A connection that wants Python queues a job as a worker
//! would, and the first job ends the park, but not before the runtime has polled the other tasks that are ready. So the
//! jobs of many connections start one after the other, attached once, and their answers leave together. Starting each
//! job inside the poll of its connection was measured too: it costs more, since server, kernel and interpreter then
//! take the processor's caches from each other at every request.

use std::cell::RefCell;
use std::sync::Arc;

use super::driver::End;
use super::inbox::Inbox;

thread_local! {
    /// The loop that parks on this thread, and how its park is ended.
    static PARKED: RefCell<Option<(Arc<Inbox>, End)>> = const { RefCell::new(None) };
}

/// Notes until it is dropped that a loop parks on this thread.
pub(super) struct Park {
    /// A loop may run inside a callback of another.
    outer: Option<(Arc<Inbox>, End)>,
}

impl Park {
    pub(super) fn begin(inbox: &Arc<Inbox>, end: &End) -> Self {
        Self { outer: PARKED.replace(Some((inbox.clone(), end.clone()))) }
    }
}

impl Drop for Park {
    fn drop(&mut self) {
        drop(PARKED.replace(self.outer.take()));
    }
}

/// Ends the park if the loop of `inbox` parks on this thread.
pub(super) fn end_park(inbox: &Inbox) -> bool {
    PARKED.with_borrow(|parked| match parked {
        Some((parked, end)) if std::ptr::eq(&**parked, inbox) => {
            end.set();
            true
        }
        _ => false,
    })
}
