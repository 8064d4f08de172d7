//! When a sleeping loop is woken by a runtime worker that shares its processor.
//!
//! With a single processor a wake-up at once takes it away from the worker, often before the worker has queued what other
//! connections have sent: every request then costs two switches between the threads. There the wake-up waits until the
//! worker has run out of tasks, or until enough is queued. With more processors the loop is woken at once.

use std::cell::RefCell;
use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};
use std::thread;

use super::inbox::Inbox;
use crate::python::attach;
use crate::service::server;

/// So many jobs are worth a wake-up at once.
const ENOUGH: usize = 32;

thread_local! {
    /// Whether wake-ups of this thread may wait: only those of runtime workers, which say when they have run out of tasks.
    static PATIENT: bool = single_processor() && attach::on_io_worker();
    /// The loops that this thread has yet to wake.
    static OWED: RefCell<Vec<Arc<Inbox>>> = const { RefCell::new(Vec::new()) };
}

fn single_processor() -> bool {
    static SINGLE: OnceLock<bool> = OnceLock::new();
    *SINGLE.get_or_init(|| thread::available_parallelism().is_ok_and(|count| count == NonZeroUsize::MIN))
}

/// Has workers wake the loops that they owe a wake-up before they wait themselves.
pub(super) fn install() {
    server::before_park(pay);
}

/// Wakes the loop of `inbox` if it sleeps: soon from a worker that shares its processor, else at once.
pub(super) fn nudge(inbox: &Arc<Inbox>) {
    if !PATIENT.with(|patient| *patient) || inbox.queued() >= ENOUGH {
        return inbox.wake();
    }
    if inbox.is_asleep() {
        owe(inbox);
    }
}

fn owe(inbox: &Arc<Inbox>) {
    OWED.with_borrow_mut(|owed| {
        if !owed.iter().any(|other| Arc::ptr_eq(other, inbox)) {
            owed.push(inbox.clone());
        }
    });
}

fn pay() {
    OWED.with_borrow_mut(|owed| {
        for inbox in owed.drain(..) {
            inbox.wake();
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_owed_is_paid_once() {
        let inbox = Arc::new(Inbox::new(4, 4).unwrap());
        assert!(inbox.fall_asleep());
        owe(&inbox);
        owe(&inbox);
        assert_eq!(OWED.with_borrow(Vec::len), 1);
        assert!(inbox.is_asleep());
        pay();
        assert!(!inbox.is_asleep(), "the wake-up was sent");
        assert_eq!(OWED.with_borrow(Vec::len), 0);
    }

    #[test]
    fn other_threads_wake_at_once() {
        let inbox = Arc::new(Inbox::new(4, 4).unwrap());
        assert!(inbox.fall_asleep());
        nudge(&inbox);
        assert!(!inbox.is_asleep());
    }
}
