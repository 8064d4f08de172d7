//! Awaitables whose value is there, which take no turn of the loop, or is made when something else is over.

use std::sync::{Mutex, PoisonError};

use pyo3::exceptions::{PyRuntimeError, PyStopIteration};
use pyo3::intern;
use pyo3::prelude::*;

use super::bridge::RustFuture;

#[pyclass(frozen, module = "ziggurat._ziggurat")]
struct Ready(
    // Never locked while Python runs.
    Mutex<Option<Held>>,
);

enum Held {
    Value(Py<PyAny>),
    Late(Make),
    /// When this is over.
    After(Py<RustFuture>, Make),
}

type Make = Box<dyn FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send>;

/// Gives `value` to whoever awaits it.
pub(super) fn ready(py: Python<'_>, value: Py<PyAny>) -> PyResult<Py<PyAny>> {
    held(py, Held::Value(value))
}

/// Gives, or raises, what `make` does when it is awaited; if nobody does, that never runs.
pub(super) fn ready_late(
    py: Python<'_>,
    make: impl FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send + 'static,
) -> PyResult<Py<PyAny>> {
    held(py, Held::Late(Box::new(make)))
}

/// Waits for `waited`, and gives, or raises, what `make` does then; if whoever awaits it is cancelled first, that never runs.
pub(super) fn ready_after(
    py: Python<'_>,
    waited: Bound<'_, RustFuture>,
    make: impl FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send + 'static,
) -> PyResult<Py<PyAny>> {
    held(py, Held::After(waited.unbind(), Box::new(make)))
}

fn held(py: Python<'_>, held: Held) -> PyResult<Py<PyAny>> {
    Ok(Py::new(py, Ready(Mutex::new(Some(held))))?.into_any())
}

#[pymethods]
impl Ready {
    fn __await__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let value = match held {
            Some(Held::Value(value)) => value,
            Some(Held::Late(make)) => make(py)?,
            Some(Held::After(waited, make)) => match waited.call_method0(py, intern!(py, "__next__")) {
                Ok(step) => {
                    *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Held::After(waited, make));
                    return Ok(step);
                }
                Err(error) if error.is_instance_of::<PyStopIteration>(py) => make(py)?,
                Err(error) => return Err(error),
            },
            None => return Err(PyRuntimeError::new_err("this was awaited already")),
        };
        Err(PyStopIteration::new_err((value,)))
    }
}
