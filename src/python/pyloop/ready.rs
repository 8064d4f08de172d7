//! The ready queue: handles that run in the next turn, first come first served.

use std::collections::VecDeque;
use std::mem;

use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};

use super::guarded::Guarded;
use super::handle::Handle;
use super::poller::Event;
use super::timer_handle::TimerHandle;

/// Something to run.
pub(super) enum Entry {
    /// One of our handles.
    Native(Py<Handle>),
    /// One of them whose time has come.
    Timer(Py<TimerHandle>),
    /// An `asyncio.Handle` that code of the base class made, such as the one behind a signal handler.
    Foreign(Py<PyAny>),
    /// A descriptor that a native source waits for is ready.
    Event(Event),
}

/// The queue. A run takes from it entry by entry, so that what an interrupt leaves unrun is still there.
#[derive(Default)]
pub(super) struct Ready(Guarded<VecDeque<Entry>>);

impl Ready {
    #[inline]
    pub(super) fn push(&self, py: Python<'_>, entry: Entry) {
        self.0.with(py, |queue| queue.push_back(entry));
    }

    #[inline]
    pub(super) fn pop(&self, py: Python<'_>) -> Option<Entry> {
        self.0.with(py, VecDeque::pop_front)
    }

    /// Takes what stands at this place, counted from the front.
    pub(super) fn take(&self, py: Python<'_>, place: usize) -> Option<Entry> {
        self.0.with(py, |queue| queue.remove(place))
    }

    #[inline]
    pub(super) fn len(&self, py: Python<'_>) -> usize {
        self.0.with(py, |queue| queue.len())
    }

    #[inline]
    pub(super) fn is_empty(&self, py: Python<'_>) -> bool {
        self.len(py) == 0
    }

    /// Shows the garbage collector what waits here; the loop is not running any longer.
    pub(super) fn show(&self, py: Python<'_>) {
        self.0.with(py, |queue| {
            for entry in queue {
                match entry {
                    Entry::Native(handle) => Handle::show(handle.bind(py)),
                    Entry::Timer(timer) => Handle::show(timer.bind(py).as_super()),
                    Entry::Foreign(_) | Entry::Event(_) => {}
                }
            }
        });
    }

    /// Empties the queue. What was in it is dropped after that, since that may run Python code.
    pub(super) fn clear(&self, py: Python<'_>) {
        let entries = self.0.with(py, mem::take);
        drop(entries);
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        let traverse = |queue: &VecDeque<Entry>| {
            queue.iter().try_for_each(|entry| match entry {
                Entry::Native(handle) => visit.call(handle),
                Entry::Timer(timer) => visit.call(timer),
                Entry::Foreign(handle) => visit.call(handle),
                Entry::Event(_) => Ok(()),
            })
        };
        self.0.during_traverse(traverse).unwrap_or(Ok(()))
    }
}
