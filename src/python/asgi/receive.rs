//! `receive`: the body of the request, a piece at a time, and then the end of the client's interest.

use std::sync::Arc;

use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use super::link::Link;
use super::send::Answering;
use crate::Body;
use crate::python::bridge::spawn_bringing;
use crate::python::ready::ready;
use crate::python::stream::{Arriving, Read};

#[pyclass(frozen, module = "ziggurat._ziggurat")]
pub(super) struct Receiving {
    body: Arc<Arriving>,
    link: Arc<Link>,
    /// Answered by the server when the body cannot be read.
    answering: Arc<Answering>,
}

fn part(py: Python<'_>, (body, more): (&[u8], bool)) -> PyResult<Py<PyAny>> {
    let message = PyDict::new(py);
    message.set_item(intern!(py, "type"), intern!(py, "http.request"))?;
    message.set_item(intern!(py, "body"), PyBytes::new(py, body))?;
    message.set_item(intern!(py, "more_body"), more)?;
    Ok(message.into_any().unbind())
}

fn disconnect(py: Python<'_>) -> PyResult<Py<PyAny>> {
    let message = PyDict::new(py);
    message.set_item(intern!(py, "type"), intern!(py, "http.disconnect"))?;
    Ok(message.into_any().unbind())
}

impl Receiving {
    /// The layers outside bound the body.
    pub(super) fn new(body: Body, link: Arc<Link>, answering: Arc<Answering>) -> Self {
        Self { body: Arriving::new(body, usize::MAX), link, answering }
    }

    /// What need not be waited for.
    fn at_once(&self, py: Python<'_>) -> Option<PyResult<Py<PyAny>>> {
        if let Some((data, more)) = self.body.take() {
            return Some(part(py, (&data, more)));
        }
        if self.link.is_over() {
            return Some(disconnect(py));
        }
        let (data, more) = self.body.at_once()?;
        Some(part(py, (&data, more)))
    }
}

#[pymethods]
impl Receiving {
    fn __call__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        if let Some(message) = self.at_once(py) {
            return ready(py, message?);
        }
        let (body, link, answering) = (self.body.clone(), self.link.clone(), self.answering.clone());
        let waiting = spawn_bringing(py, async move {
            let read = tokio::select! {
                biased;
                read = body.read() => read,
                () = link.ended() => Read::End,
            };
            if let Some(problem) = body.failure() {
                answering.refuse(problem);
                link.break_off();
            }
            if read != Read::Piece {
                // The client has gone, or is to have its answer first.
                link.ended().await;
            }
            move |py: Python<'_>| match (read, body.take()) {
                (Read::Piece, Some((data, more))) => part(py, (&data, more)),
                (Read::End | Read::Failed | Read::Cut, _) => disconnect(py),
                (Read::Piece, None) => Err(PyRuntimeError::new_err("receive() was awaited twice at once")),
            }
        })?;
        Ok(waiting.into_any().unbind())
    }
}
