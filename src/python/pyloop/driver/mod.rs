//! What the loop thread does when it has nothing to do: it parks until something happens.

mod plain;
mod tokio;

use std::io;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::Context;
use std::time::Duration;

use futures_util::task::AtomicWaker;

use self::plain::PlainDriver;
use self::tokio::TokioDriver;
use super::poller::{Event, Poller};

/// Parks the loop thread. Called without the interpreter, from the loop thread only.
pub(super) trait Driver: Send {
    /// Waits until a watched descriptor is ready or for at most `timeout`, forever without one, and appends what is
    /// ready. It may return early with nothing, never late for something that is ready.
    ///
    /// `first` is called once, before the wait, where what it wakes on the loop thread costs no system call.
    fn park(
        &mut self,
        timeout: Option<Duration>,
        events: &mut Vec<Event>,
        first: &mut (dyn FnMut() + Send),
    ) -> io::Result<()>;

    /// Where futures can be spawned that run on the loop thread while it is parked.
    fn local(&self) -> Option<Local>;
}

/// The half of a driver that runs futures on the loop thread.
#[derive(Clone)]
pub(super) struct Local {
    pub(super) runtime: ::tokio::runtime::Handle,
    pub(super) end: End,
}

impl Local {
    /// Has the driver wait where futures run even when there are none: others may spawn some at any time.
    pub(super) fn hold(&self) {
        self.end.0.held.store(true, Ordering::Release);
    }
}

/// Ends a park from what runs in it, without a system call.
#[derive(Clone, Default)]
pub(super) struct End(Arc<Signals>);

#[derive(Default)]
struct Signals {
    ended: AtomicBool,
    park: AtomicWaker,
    held: AtomicBool,
}

impl End {
    pub(super) fn set(&self) {
        if !self.0.ended.swap(true, Ordering::AcqRel) {
            self.0.park.wake();
        }
    }

    /// Whether it was set; the task of `cx` is woken when it will be.
    fn is_set(&self, cx: &Context<'_>) -> bool {
        self.0.park.register(cx.waker());
        self.0.ended.load(Ordering::Acquire)
    }

    /// The park is over.
    fn reset(&self) {
        self.0.ended.store(false, Ordering::Release);
    }

    /// See [`Local::hold`].
    fn is_held(&self) -> bool {
        self.0.held.load(Ordering::Acquire)
    }
}

/// The process that first used Tokio here, 0 before.
static TOKIO_PROCESS: AtomicU32 = AtomicU32::new(0);

/// Whether Tokio works in this process. A runtime does not survive a fork, and Tokio forbids to use any in the child
/// once the parent did, so a loop made there gets along without.
pub(in crate::python) fn tokio_works() -> bool {
    let here = process::id();
    match TOKIO_PROCESS.compare_exchange(0, here, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => true,
        Err(owner) => owner == here,
    }
}

/// The driver for a loop in this process.
///
/// `always_in_tokio` makes it wait in Tokio even when nothing is spawned there.
pub(super) fn choose(poller: Poller, always_in_tokio: bool) -> io::Result<Box<dyn Driver>> {
    if tokio_works() {
        Ok(Box::new(TokioDriver::new(poller, always_in_tokio)?))
    } else {
        Ok(Box::new(PlainDriver::new(poller)))
    }
}
