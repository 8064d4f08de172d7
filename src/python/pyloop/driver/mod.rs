//! What the loop thread does when it has nothing to do: it parks until something happens.

mod plain;
mod tokio;

use std::io;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use self::plain::PlainDriver;
use self::tokio::TokioDriver;
use super::poller::{Event, Poller};

/// Parks the loop thread. Called without the interpreter, from the loop thread only.
pub(super) trait Driver: Send {
    /// Waits until a watched descriptor is ready or for at most `timeout`, forever without one, and appends what is
    /// ready. It may return early with nothing, never late for something that is ready.
    fn park(&mut self, timeout: Option<Duration>, events: &mut Vec<Event>) -> io::Result<()>;

    /// Where futures can be spawned that run on the loop thread while it is parked.
    #[cfg_attr(not(test), expect(dead_code, reason = "until a server runs on the loop thread itself"))]
    fn local(&self) -> Option<::tokio::runtime::Handle>;
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
