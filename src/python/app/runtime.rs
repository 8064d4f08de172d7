//! The runtime of the process, for calls from Python.

use std::io;
use std::num::NonZeroUsize;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use tokio::runtime::Runtime;

use crate::python::errors::config_error;
use crate::service::server;

/// Sets the workers of the runtime before it starts: `count`, or for 0 the one that is left beside a loop that serves
/// connections itself, for what stores and foreign libraries run there.
#[pyfunction]
pub(in crate::python) fn set_io_threads(py: Python<'_>, count: usize) -> PyResult<()> {
    match NonZeroUsize::new(count) {
        Some(count) => server::set_io_threads(count).map_err(|error| config_error(py, &error)),
        None => {
            // One that runs already does with any number.
            let _ = server::set_io_threads(NonZeroUsize::MIN);
            Ok(())
        }
    }
}

/// The runtime; it is started when nothing has used it yet.
pub(super) fn runtime() -> PyResult<&'static Runtime> {
    server::runtime()
        .map_err(|error: io::Error| PyRuntimeError::new_err(format!("the Tokio runtime cannot be started: {error}")))
}
