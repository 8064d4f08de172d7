//! Handles that have served and wait for the next call.
//!
//! Most handles are seen by nobody but the loop: `call_soon` gives them back, the caller drops them, and they are gone when
//! they have run. So they are filled anew, which saves making an object. A loop keeps some while it runs, hidden from the
//! garbage collector, and lets go of them when it stops.

use std::mem;

use pyo3::prelude::*;

use super::guarded::Guarded;
use super::handle::Handle;
use super::timer_handle::TimerHandle;

/// How many of a kind are kept.
const KEPT: usize = 4096;

#[derive(Default)]
pub(super) struct Spares {
    handles: Guarded<Vec<Py<Handle>>>,
    timers: Guarded<Vec<Py<TimerHandle>>>,
}

impl Spares {
    #[inline]
    pub(super) fn handle<'py>(&self, py: Python<'py>) -> Option<Bound<'py, Handle>> {
        self.handles.with(py, Vec::pop).map(|handle| handle.into_bound(py))
    }

    #[inline]
    pub(super) fn timer<'py>(&self, py: Python<'py>) -> Option<Bound<'py, TimerHandle>> {
        self.timers.with(py, Vec::pop).map(|timer| timer.into_bound(py))
    }

    #[inline]
    pub(super) fn keep_handle(&self, handle: Bound<'_, Handle>) {
        keep(&self.handles, handle);
    }

    #[inline]
    pub(super) fn keep_timer(&self, timer: Bound<'_, TimerHandle>) {
        keep(&self.timers, timer);
    }

    pub(super) fn clear(&self, py: Python<'_>) {
        let (handles, timers) = (self.handles.with(py, mem::take), self.timers.with(py, mem::take));
        drop((handles, timers));
    }
}

#[inline]
fn keep<T>(spares: &Guarded<Vec<Py<T>>>, object: Bound<'_, T>) {
    let py = object.py();
    let object = object.unbind();
    let rest = spares.with(py, |spares| {
        if spares.len() < KEPT {
            spares.push(object);
            return None;
        }
        Some(object)
    });
    drop(rest);
}
