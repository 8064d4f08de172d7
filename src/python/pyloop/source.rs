//! What the loop calls when a descriptor that native code owns becomes ready.
//!
//! A transport claims its descriptor ([`Watches::claim`](super::watch::Watches::claim)) and is called in its turn among what is
//! ready, without a handle. The table finds it by descriptor and generation, so an event that was meant for an earlier owner
//! of the number reaches nobody.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use rustix::event::epoll::EventFlags;

use super::core::LoopCore;

/// The native owner of a descriptor. Made, called and dropped on the loop thread while attached.
///
/// Both calls come with no lock held and may run Python, which may call back into the loop or close the source. What
/// goes wrong with the descriptor or in a protocol is the source's own affair; an error is only given for what must leave
/// the loop, `KeyboardInterrupt` and `SystemExit`.
pub(super) trait Source: Send + Sync {
    /// The descriptor is ready for something that the source waits for, or broken (`HUP`, `ERR`).
    fn ready(&self, event_loop: &Bound<'_, LoopCore>, flags: EventFlags) -> PyResult<()>;

    /// The turn ends; called once after each [`Dirty::push`].
    fn flush(&self, event_loop: &Bound<'_, LoopCore>) -> PyResult<()>;

    /// Shows the references it holds. The table is the only one that keeps it for longer than a call.
    fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError>;
}

/// The sources that want to be called at the end of the turn. The lock is never held while Python runs.
#[derive(Default)]
pub(super) struct Dirty {
    /// Up while there are any, so that most turns need not take the lock.
    any: AtomicBool,
    sources: Mutex<Vec<Arc<dyn Source>>>,
}

impl Dirty {
    fn sources(&self) -> MutexGuard<'_, Vec<Arc<dyn Source>>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has `source` flushed at the end of this turn; a source pushes itself once a turn.
    pub(super) fn push(&self, source: Arc<dyn Source>) {
        self.sources().push(source);
        self.any.store(true, Ordering::Relaxed);
    }

    /// Only the loop thread pushes and asks.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        !self.any.load(Ordering::Relaxed)
    }

    /// Flushes those that were pushed before, and leaves those that are pushed meanwhile to the next turn.
    pub(super) fn flush(&self, event_loop: &Bound<'_, LoopCore>) -> PyResult<()> {
        if self.is_empty() {
            return Ok(());
        }
        self.any.store(false, Ordering::Relaxed);
        let mut sources = mem::take(&mut *self.sources()).into_iter();
        while let Some(source) = sources.next() {
            if let Err(error) = source.flush(event_loop) {
                self.sources().extend(sources);
                self.any.store(true, Ordering::Relaxed);
                return Err(error);
            }
        }
        Ok(())
    }

    pub(super) fn clear(&self) {
        self.any.store(false, Ordering::Relaxed);
        let sources = mem::take(&mut *self.sources());
        drop(sources);
    }
}
