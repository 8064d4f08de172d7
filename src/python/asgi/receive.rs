//! `receive`: the body of the request, a piece at a time, and then the end of the client's interest.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
use crate::python::request::ready;
use crate::service::Problem;

#[pyclass(frozen, module = "ziggurat._ziggurat")]
pub(super) struct Receiving {
    body: Arc<Mutex<Held>>,
    link: Arc<Link>,
    /// Answered by the server when the body cannot be read.
    answering: Arc<Answering>,
}

enum Held {
    Unread(Body),
    /// A piece is awaited.
    Reading,
    Over,
}

impl Receiving {
    pub(super) fn new(body: Body, link: Arc<Link>, answering: Arc<Answering>) -> Self {
        Self { body: Arc::new(Mutex::new(Held::Unread(body))), link, answering }
    }
}

fn lock(held: &Mutex<Held>) -> MutexGuard<'_, Held> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A piece of a body, and what is left of that.
type Piece = Result<(Bytes, Option<Body>), Problem>;

async fn piece(mut body: Body) -> Piece {
    loop {
        match body.frame().await {
            None => return Ok((Bytes::new(), None)),
            Some(Err(error)) => return Err(Problem::unreadable(error.as_ref())),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) if body.is_end_stream() => return Ok((data, None)),
                Ok(data) if data.is_empty() => {}
                Ok(data) => return Ok((data, Some(body))),
                Err(_trailers) => {}
            },
        }
    }
}

fn part(py: Python<'_>, body: &[u8], more: bool) -> PyResult<Py<PyAny>> {
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

#[pymethods]
impl Receiving {
    fn __call__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let body = {
            let mut held = lock(&self.body);
            match mem::replace(&mut *held, Held::Reading) {
                Held::Unread(body) => body,
                Held::Reading => return Err(PyRuntimeError::new_err("receive() is awaited already; one at a time")),
                Held::Over => {
                    *held = Held::Over;
                    drop(held);
                    return self.end(py);
                }
            }
        };
        if self.link.is_over() {
            *lock(&self.body) = Held::Over;
            return ready(py, disconnect(py)?);
        }
        if body.is_end_stream() {
            *lock(&self.body) = Held::Over;
            return ready(py, part(py, b"", false)?);
        }
        if let Some(bytes) = body.as_bytes() {
            *lock(&self.body) = Held::Over;
            return ready(py, part(py, bytes, false)?);
        }
        let reading = Reading(Some(self.body.clone()));
        let (link, answering) = (self.link.clone(), self.answering.clone());
        let read = spawn_bringing(py, async move {
            let read = tokio::select! {
                biased;
                piece = piece(body) => Some(piece),
                () = link.ended() => None,
            };
            let told = match read {
                Some(Ok((data, left))) => {
                    let more = left.is_some();
                    reading.end(left.map_or(Held::Over, Held::Unread));
                    Some((data, more))
                }
                Some(Err(problem)) => {
                    reading.end(Held::Over);
                    answering.refuse(problem);
                    link.break_off();
                    None
                }
                None => {
                    reading.end(Held::Over);
                    None
                }
            };
            move |py: Python<'_>| match told {
                Some((data, more)) => part(py, &data, more),
                None => disconnect(py),
            }
        })?;
        Ok(read.into_any().unbind())
    }
}

impl Receiving {
    /// When the client has its answer, or has gone.
    fn end(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        if self.link.is_over() {
            return ready(py, disconnect(py)?);
        }
        let link = self.link.clone();
        let ended = spawn_bringing(py, async move {
            link.ended().await;
            disconnect
        })?;
        Ok(ended.into_any().unbind())
    }
}

/// A read that is under way. When it is cancelled the body is gone with it, and nothing follows.
struct Reading(Option<Arc<Mutex<Held>>>);

impl Reading {
    fn end(mut self, held: Held) {
        if let Some(slot) = self.0.take() {
            *lock(&slot) = held;
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if let Some(slot) = self.0.take() {
            *lock(&slot) = Held::Over;
        }
    }
}
