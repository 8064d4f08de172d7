//! Running Rust code inside a `contextvars.Context`.
#![allow(unsafe_code, reason = "`Context.run` would need a Python callable; entering needs none")]

use pyo3::ffi;
use pyo3::prelude::*;

struct Entered<'a, 'py>(&'a Bound<'py, PyAny>);

impl Drop for Entered<'_, '_> {
    fn drop(&mut self) {
        // SAFETY: attached, since the context is bound; it was entered on this thread by `run` and not exited since.
        let failed = unsafe { ffi::PyContext_Exit(self.0.as_ptr()) } != 0;
        if failed {
            // Code inside left another context current; the error would otherwise surface in the next call.
            drop(PyErr::take(self.0.py()));
        }
    }
}

/// Runs `f` with `context` current.
pub(super) fn run<R>(context: &Bound<'_, PyAny>, f: impl FnOnce() -> R) -> PyResult<R> {
    // SAFETY: attached, since the context is bound; a wrong type is answered with an exception.
    if unsafe { ffi::PyContext_Enter(context.as_ptr()) } != 0 {
        return Err(PyErr::fetch(context.py()));
    }
    let _entered = Entered(context);
    Ok(f())
}
