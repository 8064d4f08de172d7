//! `receive`: the body of the request, a piece at a time, and then the end of the client's interest.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http_body::Body as _;
use http_body_util::BodyExt;
use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use super::link::Link;
use super::send::Answering;
use crate::Body;
use crate::python::bridge::spawn_bringing;
use crate::python::ready::ready;
use crate::service::Problem;

#[pyclass(frozen, module = "ziggurat._ziggurat")]
pub(super) struct Receiving {
    incoming: Arc<Incoming>,
    link: Arc<Link>,
    /// Answered by the server when the body cannot be read.
    answering: Arc<Answering>,
}

/// A body that is being read. Whoever waits for a piece may be cancelled, as when an application asks in passing whether its client
/// is still there, and nothing of the body is lost by it.
struct Incoming {
    /// None when it was read to its end.
    body: tokio::sync::Mutex<Option<Body>>,
    /// What was read and has not been handed out, and whether more follows. Never locked while Python runs.
    pieces: Mutex<VecDeque<(Bytes, bool)>>,
}

impl Incoming {
    /// Takes what was read for somebody.
    fn take(&self) -> Option<(Bytes, bool)> {
        self.pieces.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// Reads a piece, to be taken; false when there is no more.
    async fn read(&self) -> Result<bool, Problem> {
        let mut held = self.body.lock().await;
        let Some(body) = held.as_mut() else { return Ok(false) };
        let read = piece(body).await;
        if !matches!(read, Ok((_, true))) {
            *held = None;
        }
        // From the piece to here nothing waits, so that it cannot get lost.
        self.pieces.lock().unwrap_or_else(PoisonError::into_inner).push_back(read?);
        Ok(true)
    }
}

/// The next piece, and whether more follow.
async fn piece(body: &mut Body) -> Result<(Bytes, bool), Problem> {
    loop {
        match body.frame().await {
            None => return Ok((Bytes::new(), false)),
            Some(Err(error)) => return Err(Problem::unreadable(error.as_ref())),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) if body.is_end_stream() => return Ok((data, false)),
                Ok(data) if data.is_empty() => {}
                Ok(data) => return Ok((data, true)),
                Err(_trailers) => {}
            },
        }
    }
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
    pub(super) fn new(body: Body, link: Arc<Link>, answering: Arc<Answering>) -> Self {
        let incoming = Incoming { body: tokio::sync::Mutex::new(Some(body)), pieces: Mutex::default() };
        Self { incoming: Arc::new(incoming), link, answering }
    }

    /// What need not be waited for.
    fn at_once(&self, py: Python<'_>) -> Option<PyResult<Py<PyAny>>> {
        if let Some((data, more)) = self.incoming.take() {
            return Some(part(py, (&data, more)));
        }
        if self.link.is_over() {
            return Some(disconnect(py));
        }
        let mut held = self.incoming.body.try_lock().ok()?;
        let whole = match held.as_ref() {
            Some(body) if body.is_end_stream() => Some(Bytes::new()),
            Some(body) => body.as_bytes().cloned(),
            None => None,
        }?;
        *held = None;
        drop(held);
        Some(part(py, (&whole, false)))
    }
}

#[pymethods]
impl Receiving {
    fn __call__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        if let Some(message) = self.at_once(py) {
            return ready(py, message?);
        }
        let (incoming, link, answering) = (self.incoming.clone(), self.link.clone(), self.answering.clone());
        let waiting = spawn_bringing(py, async move {
            let read = tokio::select! {
                biased;
                read = incoming.read() => read,
                () = link.ended() => Ok(false),
            };
            let read = read.unwrap_or_else(|problem| {
                answering.refuse(problem);
                link.break_off();
                false
            });
            if !read {
                // The client has gone, or is to have its answer first.
                link.ended().await;
            }
            move |py: Python<'_>| match (read, incoming.take()) {
                (false, _) => disconnect(py),
                (true, Some((data, more))) => part(py, (&data, more)),
                (true, None) => Err(PyRuntimeError::new_err("receive() was awaited twice at once")),
            }
        })?;
        Ok(waiting.into_any().unbind())
    }
}
