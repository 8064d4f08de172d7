//! What is used of asyncio, looked up once.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

/// The loop that runs on this thread.
pub(super) fn running_loop(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    static FUNCTION: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    FUNCTION.import(py, "asyncio", "get_running_loop")?.call0()
}

/// Wraps any awaitable in a task, or gives it back when it is a future already.
pub(super) fn ensure_future<'py>(
    awaitable: &Bound<'py, PyAny>,
    event_loop: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    static FUNCTION: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let options = pyo3::types::PyDict::new(awaitable.py());
    options.set_item("loop", event_loop)?;
    FUNCTION.import(awaitable.py(), "asyncio", "ensure_future")?.call((awaitable,), Some(&options))
}

pub(super) fn invalid_state(py: Python<'_>, words: &'static str) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let raised = || PyResult::Ok(PyErr::from_value(CLASS.import(py, "asyncio", "InvalidStateError")?.call1((words,))?));
    raised().unwrap_or_else(|error| error)
}

pub(super) fn cancelled(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    CLASS.import(py, "asyncio", "CancelledError")
}

/// `CancelledError`, with the message that `cancel` was given.
pub(super) fn cancelled_error(py: Python<'_>, message: Option<Py<PyAny>>) -> PyErr {
    let raised = || {
        let class = cancelled(py)?;
        let value = match message {
            Some(message) => class.call1((message,))?,
            None => class.call0()?,
        };
        PyResult::Ok(PyErr::from_value(value))
    };
    raised().unwrap_or_else(|error| error)
}

pub(super) fn is_cancelled(py: Python<'_>, error: &PyErr) -> bool {
    cancelled(py).is_ok_and(|class| error.get_type(py).is_subclass(class).unwrap_or(false))
}
