//! What an answer has for a body.

use std::time::Duration;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::Body;
use crate::python::context;
use crate::python::file::SendFile;
use crate::python::stream::Form;

/// Where the body is.
pub(super) enum Content {
    Here(Body),
    /// What yields it, and in which context.
    Chunks {
        chunks: Py<PyAny>,
        context: Py<PyAny>,
        form: Form,
        /// Of server-sent events: how long nothing may be sent.
        keep_alive: Option<Duration>,
    },
    /// In a file, which is opened when it is sent.
    File(Box<SendFile>),
    /// Whoever iterates over it has it, or it was sent.
    Taken,
}

impl Content {
    pub(super) fn chunks(chunks: &Bound<'_, PyAny>) -> PyResult<Self> {
        let context = context::copy_current(chunks.py())?.unbind();
        Ok(Self::Chunks { chunks: chunks.clone().unbind(), context, form: Form::Chunks, keep_alive: None })
    }
}

/// What who wants the body is told, where another has it.
pub(super) fn taken(why: &str) -> PyErr {
    PyRuntimeError::new_err(format!("the body of this response was taken, {why}"))
}
