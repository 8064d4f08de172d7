//! How descriptors are watched for callbacks of Python's.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::{LoopCore, lock};
use crate::python::pyloop::call::Call;
use crate::python::pyloop::handle::Handle;
use crate::python::pyloop::watch::Direction;

impl LoopCore {
    pub(in crate::python::pyloop) fn watch<'py>(
        slf: &Bound<'py, Self>,
        fd: &Bound<'py, PyAny>,
        direction: Direction,
        callback: Bound<'py, PyAny>,
        args: Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, Handle>> {
        let (py, this) = (slf.py(), slf.get());
        this.check_open()?;
        let call = Call::with_tuple(callback, &args)?;
        let handle = Handle::for_descriptor(slf, call)?;
        if let Some(before) = this.watches.add(&this.poller()?, fd, direction, &handle)? {
            before.call_method0(py, intern!(py, "cancel"))?;
        }
        Ok(handle)
    }

    pub(super) fn unwatch(slf: &Bound<'_, Self>, fd: &Bound<'_, PyAny>, direction: Direction) -> PyResult<bool> {
        let (py, this) = (slf.py(), slf.get());
        let Some(poller) = lock(&this.poller).clone() else { return Ok(false) };
        match this.watches.remove(&poller, fd, direction)? {
            Some(handle) => handle.call_method0(py, intern!(py, "cancel")).map(|_| true),
            // A transport of the interpreter's own making asks for its native half.
            None => this.watches.silence(&poller, fd, direction),
        }
    }
}
