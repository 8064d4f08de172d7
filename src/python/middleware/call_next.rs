//! The function that a middleware calls to go on.

use std::sync::Arc;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use super::Exchange;
use crate::python::request::Request;

/// `await call_next(request)` hands the request inward, once, and gives the answer.
#[pyclass(frozen, module = "ziggurat")]
pub(in crate::python) struct CallNext(pub(super) Arc<Exchange>);

#[pymethods]
impl CallNext {
    fn __call__(&self, py: Python<'_>, request: &Bound<'_, Request>) -> PyResult<Py<PyAny>> {
        if !request.get().is_of(&self.0) {
            return Err(PyTypeError::new_err("call_next takes the request that the middleware was given"));
        }
        self.0.call_next(py, request)
    }
}
