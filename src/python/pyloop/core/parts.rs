//! What the rest of the loop reaches of it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::{LoopCore, closed_error, lock};
use crate::python::bridge::Futures;
use crate::python::pyloop::flood::Progress;
use crate::python::pyloop::inbox::Inbox;
use crate::python::pyloop::jobs::Jobs;
use crate::python::pyloop::poller::Poller;
use crate::python::pyloop::ready::Ready;
use crate::python::pyloop::source::Dirty;
use crate::python::pyloop::spare::Spares;
use crate::python::pyloop::timers::Timers;
use crate::python::pyloop::transport::Scratch;
use crate::python::pyloop::watch::Watches;

impl LoopCore {
    pub(in crate::python::pyloop) fn ready(&self) -> &Ready {
        &self.ready
    }

    pub(in crate::python::pyloop) fn timers(&self) -> &Timers {
        &self.timers
    }

    pub(in crate::python::pyloop) fn spares(&self) -> &Spares {
        &self.spares
    }

    pub(in crate::python::pyloop) fn watches(&self) -> &Watches {
        &self.watches
    }

    /// The sources that write at the end of the turn.
    pub(in crate::python::pyloop) fn dirty(&self) -> &Dirty {
        &self.dirty
    }

    /// Where descriptors are read into.
    pub(in crate::python::pyloop) fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// Which turn it is, for another thread.
    pub(in crate::python::pyloop) fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    pub(in crate::python) fn jobs(&self) -> &Jobs {
        &self.jobs
    }

    /// The Rust futures that something on this loop waits for.
    pub(in crate::python) fn futures(&self) -> &Futures {
        &self.futures
    }

    pub(in crate::python::pyloop) fn inbox(&self) -> &Arc<Inbox> {
        &self.inbox
    }

    pub(in crate::python::pyloop) fn poller(&self) -> PyResult<Poller> {
        lock(&self.poller).clone().ok_or_else(closed_error)
    }

    pub(in crate::python::pyloop) fn is_debug(&self) -> bool {
        self.debug.load(Ordering::Relaxed)
    }

    pub(in crate::python::pyloop) fn has_task_factory(&self) -> bool {
        self.task_factory.load(Ordering::Relaxed)
    }

    /// `{"loop": self}`; to be passed and not to be changed.
    pub(in crate::python::pyloop) fn loop_keyword<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyDict>> {
        let (py, place) = (slf.py(), &slf.get().loop_keyword);
        if let Some(keyword) = place.with(py, |keyword| keyword.as_ref().map(|keyword| keyword.clone_ref(py))) {
            return Ok(keyword.into_bound(py));
        }
        let keyword = PyDict::new(py);
        keyword.set_item(intern!(py, "loop"), slf)?;
        let before = place.with(py, |place| place.replace(keyword.clone().unbind()));
        drop(before);
        Ok(keyword)
    }
}
