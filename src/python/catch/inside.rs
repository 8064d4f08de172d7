use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;

use super::{Raised, found};
use crate::python::bridge::OnLoop;
use crate::python::objects::Objects;
use crate::python::request::Request;

/// A request extension: where hooks of a native leaf leave the exception for which there is a handler.
#[derive(Clone)]
pub(in crate::python) struct RaisedInside {
    /// Of the handlers among the app's.
    index: usize,
    raised: Arc<Mutex<Option<OnLoop<Raised>>>>,
}

impl RaisedInside {
    pub(super) fn new(index: usize) -> Self {
        Self { index, raised: Arc::default() }
    }

    pub(super) fn take(&self) -> Option<OnLoop<Raised>> {
        self.raised.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Leaves `error`; whatever is answered now, its handler answers.
    ///
    /// # Errors
    /// Gives it back where there is no handler for it.
    pub(in crate::python) fn leave(
        &self,
        py: Python<'_>,
        objects: &Objects,
        error: PyErr,
        request: Option<Py<Request>>,
        whose: &str,
    ) -> Result<(), PyErr> {
        let raised = found(py, objects, Some(self.index), error, request, whose)?;
        let before = self.raised.lock().unwrap_or_else(PoisonError::into_inner).replace(raised);
        drop(before);
        Ok(())
    }
}
