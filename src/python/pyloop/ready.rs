//! The ready queue: handles that run in the next turn, first come first served.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};

use super::handle::Handle;

/// Something to run.
pub(super) enum Entry {
    /// One of our handles.
    Native(Py<Handle>),
    /// An `asyncio.Handle` that code of the base class made, such as the one behind a signal handler.
    Foreign(Py<PyAny>),
}

/// The queue. The lock is held for a push or a swap and never while Python runs.
#[derive(Default)]
pub(super) struct Ready(Mutex<VecDeque<Entry>>);

impl Ready {
    fn queue(&self) -> MutexGuard<'_, VecDeque<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, entry: Entry) {
        self.queue().push_back(entry);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue().is_empty()
    }

    /// Moves everything that is ready into `batch`, which is empty.
    pub(super) fn take(&self, batch: &mut VecDeque<Entry>) {
        mem::swap(&mut *self.queue(), batch);
    }

    /// Gives back what a turn could not run, ahead of what has become ready since.
    pub(super) fn give_back(&self, mut rest: VecDeque<Entry>) {
        let mut queue = self.queue();
        rest.append(&mut queue);
        *queue = rest;
    }

    /// Empties the queue. What was in it is dropped after the lock is released, since that may run Python code.
    pub(super) fn clear(&self) {
        let entries = mem::take(&mut *self.queue());
        drop(entries);
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        for entry in self.queue().iter() {
            match entry {
                Entry::Native(handle) => visit.call(handle)?,
                Entry::Foreign(handle) => visit.call(handle)?,
            }
        }
        Ok(())
    }
}
