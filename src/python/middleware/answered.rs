//! An answer of the inner service that was there at once.

use std::sync::{Arc, Mutex, PoisonError};

use pyo3::exceptions::{PyRuntimeError, PyStopIteration};
use pyo3::prelude::*;

use super::Exchange;

/// What `call_next` gives then: awaiting it takes no turn of the loop.
#[pyclass(frozen, module = "ziggurat._ziggurat")]
pub(super) struct Answered {
    exchange: Arc<Exchange>,
    /// Names what was lent to the inner request, where an exception is kept until this is awaited.
    lent: u64,
    // Never locked while Python runs.
    response: Mutex<Option<crate::Response>>,
}

impl Answered {
    pub(super) fn new(exchange: Arc<Exchange>, lent: u64, response: crate::Response) -> Self {
        Self { exchange, lent, response: Mutex::new(Some(response)) }
    }
}

#[pymethods]
impl Answered {
    fn __await__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let response = self.response.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(response) = response else {
            return Err(PyRuntimeError::new_err("what call_next gave was awaited already"));
        };
        Err(PyStopIteration::new_err((self.exchange.bring(py, self.lent, response)?,)))
    }
}
