//! What a handler was given that has to do with its answer.

use pyo3::prelude::*;

use crate::python::request::Request;

/// Kept while a handler runs.
#[derive(Default)]
pub(super) struct Given {
    pub(super) request: Option<Py<Request>>,
}
