//! An exception, as Rust code that is not attached can hold it.

use std::error::Error;
use std::fmt;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use super::{OnLoop, asyncio};
use crate::python::pyloop::LoopHandle;

/// What Python raised.
///
/// Unlike a [`PyErr`] it can be shown and dropped on any thread without the interpreter. It turns into the exception again
/// where it leaves a future for [`future_into_py`](super::future_into_py).
#[derive(Debug)]
pub struct Raised {
    words: String,
    cancelled: bool,
    /// None when Python was never reached.
    error: Option<Box<OnLoop<PyErr>>>,
}

impl Raised {
    pub(super) fn new(py: Python<'_>, error: PyErr, home: &LoopHandle) -> Self {
        let class = error.get_type(py).name().map(|name| name.to_string()).unwrap_or_default();
        let words = match error.value(py).str() {
            Ok(text) if text.is_empty().unwrap_or(true) => class,
            Ok(text) => format!("{class}: {}", text.to_string_lossy()),
            Err(_) => class,
        };
        let cancelled = asyncio::is_cancelled(py, &error);
        Self { words, cancelled, error: Some(Box::new(OnLoop::new(error, home.clone()))) }
    }

    pub(super) fn closed() -> Self {
        Self { words: "RuntimeError: Event loop is closed".to_owned(), cancelled: false, error: None }
    }

    pub(super) fn panicked() -> Self {
        Self { words: "RuntimeError: a panic on the event loop".to_owned(), cancelled: false, error: None }
    }

    /// Whether it is `asyncio.CancelledError`: the task was cancelled from the Python side.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled
    }

    /// The exception itself.
    pub fn into_err(self, _: Python<'_>) -> PyErr {
        self.into()
    }
}

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl Error for Raised {}

/// On any thread; the exception must then go back to Python, or be dropped while attached.
impl From<Raised> for PyErr {
    fn from(mut raised: Raised) -> Self {
        match raised.error.take() {
            Some(error) => error.take(),
            None => PyRuntimeError::new_err(raised.words.trim_start_matches("RuntimeError: ").to_owned()),
        }
    }
}
