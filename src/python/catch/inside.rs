use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;

use super::{Raised, found};
use crate::python::bridge::OnLoop;
use crate::python::objects::Objects;
use crate::python::presence::Waits;
use crate::python::request::Request;

/// A request extension: where hooks of a native leaf leave the exception for which there is a handler.
#[derive(Clone)]
pub(in crate::python) struct RaisedInside {
    /// Of the handlers among the app's.
    index: usize,
    raised: Arc<Mutex<Option<OnLoop<Raised>>>>,
    /// What the request of the hook goes by, which the handler is given.
    waits: Arc<Mutex<Option<Waits>>>,
}

impl RaisedInside {
    pub(super) fn new(index: usize) -> Self {
        Self { index, raised: Arc::default(), waits: Arc::default() }
    }

    pub(super) fn take(&self) -> Option<OnLoop<Raised>> {
        self.raised.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(super) fn take_waits(&self) -> Option<Waits> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Has the handler take over from a hook that has failed: the client waits for its answer now.
    pub(in crate::python) fn hand_on(&self, waits: Waits) {
        let before = self.waits.lock().unwrap_or_else(PoisonError::into_inner).replace(waits);
        drop(before);
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
