//! An awaitable that is done: awaiting it takes no turn of the loop.

use std::sync::{Mutex, PoisonError};

use pyo3::exceptions::{PyRuntimeError, PyStopIteration};
use pyo3::prelude::*;

#[pyclass(frozen, module = "ziggurat._ziggurat")]
struct Ready(
    // Never locked while Python runs.
    Mutex<Option<Held>>,
);

enum Held {
    Value(Py<PyAny>),
    Late(Make),
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
            None => return Err(PyRuntimeError::new_err("this was awaited already")),
        };
        Err(PyStopIteration::new_err((value,)))
    }
}
