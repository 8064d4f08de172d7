#![allow(unsafe_code)] // PyO3 offers the type `Context` but none of its C calls.
//! Entering and copying `contextvars` contexts.

use std::sync::Weak;

use pyo3::ffi;
use pyo3::prelude::*;

use super::objects::Objects;

/// A copy of the context that is current on this thread.
pub(super) fn copy_current(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    // SAFETY: the thread is attached; the call gives a new reference, or null with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyContext_CopyCurrent()) }
}

/// A copy of this context.
pub(super) fn copy<'py>(context: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: the call checks the type of its argument, and gives a new reference or null with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(context.py(), ffi::PyContext_Copy(context.as_ptr())) }
}

/// A copy of the context that a middleware outside left, if there is one.
pub(super) fn of_surroundings<'py>(
    py: Python<'py>,
    objects: &Weak<Objects>,
    surroundings: Option<u64>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let Some((id, objects)) = surroundings.zip(objects.upgrade()) else { return Ok(None) };
    objects.context(py, id).map(|outer| copy(outer.bind(py))).transpose()
}

/// Runs `f` with this context entered.
///
/// # Errors
///
/// When the object is not a context or is entered already; `f` has not run then.
pub(super) fn run<R>(context: &Bound<'_, PyAny>, f: impl FnOnce() -> R) -> PyResult<R> {
    // SAFETY: the call checks the type of its argument.
    if unsafe { ffi::PyContext_Enter(context.as_ptr()) } < 0 {
        return Err(PyErr::fetch(context.py()));
    }
    let entered = Entered(context);
    let result = f();
    drop(entered);
    Ok(result)
}

/// Leaves the context again, on a panic too.
struct Entered<'a, 'py>(&'a Bound<'py, PyAny>);

impl Drop for Entered<'_, '_> {
    fn drop(&mut self) {
        // SAFETY: this context was entered by this thread, and whoever entered others inside has left them.
        if unsafe { ffi::PyContext_Exit(self.0.as_ptr()) } < 0 {
            PyErr::fetch(self.0.py()).write_unraisable(self.0.py(), Some(self.0));
        }
    }
}
