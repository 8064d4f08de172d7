//! How calls are scheduled, and what is checked of them first.

use std::sync::atomic::Ordering;

use pyo3::intern;
use pyo3::prelude::*;

use super::{LoopCore, closed_error};
use crate::python::pyloop::call::Call;
use crate::python::pyloop::clock;
use crate::python::pyloop::handle::Handle;
use crate::python::pyloop::ready::Entry;
use crate::python::pyloop::timer_handle::TimerHandle;

impl LoopCore {
    pub(in crate::python::pyloop) fn is_open(&self) -> bool {
        !self.closed.load(Ordering::Relaxed)
    }

    pub(super) fn check_open(&self) -> PyResult<()> {
        if self.is_open() { Ok(()) } else { Err(closed_error()) }
    }

    /// What the base class checks in debug mode.
    pub(super) fn check_callback(slf: &Bound<'_, Self>, callback: &Bound<'_, PyAny>, method: &str) -> PyResult<()> {
        slf.call_method1(intern!(slf.py(), "_check_callback"), (callback, method)).map(drop)
    }

    /// Whether `call_soon` and its kin have nothing to look after but the call.
    #[inline]
    pub(in crate::python::pyloop) fn is_plain(&self) -> bool {
        !(self.closed.load(Ordering::Relaxed) || self.debug.load(Ordering::Relaxed))
    }

    #[inline]
    pub(in crate::python::pyloop) fn schedule<'py>(
        slf: &Bound<'py, Self>,
        call: Call,
        context: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Handle>> {
        let handle = Handle::new(slf, call, context)?;
        slf.get().ready.push(slf.py(), Entry::Native(handle.clone().unbind()));
        Ok(handle)
    }

    #[inline]
    pub(in crate::python::pyloop) fn schedule_at<'py>(
        slf: &Bound<'py, Self>,
        when: f64,
        call: Call,
        context: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, TimerHandle>> {
        let timer = TimerHandle::new(slf, when, call, context)?;
        slf.get().timers.push(slf.py(), clock::deadline_ns(when), timer.clone().unbind());
        Ok(timer)
    }

    /// Schedules a call from any thread. A thread that floods the loop lets it run now and then.
    #[inline]
    pub(in crate::python::pyloop) fn schedule_threadsafe<'py>(
        slf: &Bound<'py, Self>,
        call: Call,
        context: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Handle>> {
        let (py, this) = (slf.py(), slf.get());
        let handle = Self::schedule(slf, call, context)?;
        this.inbox.wake_attached(py);
        if this.progress.is_flooded(this.ready.len(py)) {
            py.detach(|| this.progress.give_way());
        }
        Ok(handle)
    }

    /// For `call_later` too: with asyncio it is `call_at` that complains.
    pub(super) fn check_timer(slf: &Bound<'_, Self>, callback: &Bound<'_, PyAny>) -> PyResult<()> {
        let this = slf.get();
        this.check_open()?;
        if this.is_debug() {
            slf.call_method0(intern!(slf.py(), "_check_thread"))?;
            Self::check_callback(slf, callback, "call_at")?;
        }
        Ok(())
    }
}
