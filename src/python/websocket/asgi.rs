//! A socket as ASGI tells of it: by dicts.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};

use super::close::{self, Close};
use super::link::Link;
use super::message::{Message, Unable};
use super::object::{accepted, bytes_of, closing, text_of};
use super::operation::{Kind, Operation, unable_error};
use crate::Body;
use crate::python::asgi::{Head, headers_of};
use crate::python::ready::ready;

/// `receive`.
#[pyclass(frozen, module = "ziggurat._ziggurat")]
pub(in crate::python) struct SocketReceive {
    link: Arc<Link>,
    connected: AtomicBool,
}

impl SocketReceive {
    pub(in crate::python) fn new(link: Arc<Link>) -> Self {
        Self { link, connected: AtomicBool::new(false) }
    }
}

#[pymethods]
impl SocketReceive {
    fn __call__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        if !self.connected.swap(true, Ordering::Relaxed) {
            let message = PyDict::new(py);
            message.set_item(intern!(py, "type"), intern!(py, "websocket.connect"))?;
            return ready(py, message.into_any().unbind());
        }
        Ok(Py::new(py, Operation::receive(&self.link, Kind::Asgi, false).for_asgi())?.into_any())
    }
}

/// A message of the client.
pub(super) fn received<'py>(py: Python<'py>, message: &Message) -> PyResult<Bound<'py, PyAny>> {
    let made = PyDict::new(py);
    made.set_item(intern!(py, "type"), intern!(py, "websocket.receive"))?;
    let (text, bytes) = match message {
        Message::Text(text) => (Some(PyString::new(py, text)), None),
        Message::Binary(bytes) => (None, Some(PyBytes::new(py, bytes))),
    };
    made.set_item(intern!(py, "text"), text)?;
    made.set_item(intern!(py, "bytes"), bytes)?;
    Ok(made.into_any())
}

/// That it is over.
pub(super) fn disconnect<'py>(py: Python<'py>, close: &Close) -> PyResult<Bound<'py, PyAny>> {
    let made = PyDict::new(py);
    made.set_item(intern!(py, "type"), intern!(py, "websocket.disconnect"))?;
    made.set_item(intern!(py, "code"), close.code)?;
    made.set_item(intern!(py, "reason"), close.reason.as_str())?;
    Ok(made.into_any())
}

/// Why a message cannot be sent, in the words of ASGI where the client has gone.
pub(super) fn unable_to(py: Python<'_>, unable: Unable) -> PyErr {
    match unable {
        Unable::Over(_) => PyOSError::new_err("the client has gone"),
        unable => unable_error(py, unable),
    }
}

/// `send`.
#[pyclass(frozen, module = "ziggurat._ziggurat")]
pub(in crate::python) struct SocketSend {
    link: Arc<Link>,
    /// What is answered in place of accepting, as far as it was sent. Never locked while Python runs.
    denial: Mutex<Option<(Head, Vec<u8>)>>,
}

impl SocketSend {
    pub(in crate::python) fn new(link: Arc<Link>) -> Self {
        Self { link, denial: Mutex::new(None) }
    }

    fn denial(&self) -> Option<(Head, Vec<u8>)> {
        mem::take(&mut *self.denial.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn deny(&self, py: Python<'_>, message: &Bound<'_, PyDict>) -> PyResult<()> {
        let Some((mut head, mut whole)) = self.denial() else {
            return Err(PyRuntimeError::new_err(
                "websocket.http.response.body was sent before websocket.http.response.start",
            ));
        };
        if let Some(Message::Binary(body)) =
            given(message, intern!(py, "body"))?.map(|body| bytes_of(&body)).transpose()?.flatten()
        {
            whole.extend_from_slice(&body);
        }
        if message.get_item(intern!(py, "more_body"))?.map_or(Ok(false), |more| more.is_truthy())? {
            *self.denial.lock().unwrap_or_else(PoisonError::into_inner) = Some((head, whole));
            return Ok(());
        }
        // The connection counts for itself.
        head.headers.remove(CONTENT_LENGTH);
        let body = if head.has_no_body() { Body::empty() } else { Body::from(bytes::Bytes::from(whole)) };
        self.link.deny(head.response(body)).map_err(|unable| unable_to(py, unable))
    }
}

/// What a message says; none where it says nothing, or None.
fn given<'py>(message: &Bound<'py, PyDict>, name: &Bound<'py, PyString>) -> PyResult<Option<Bound<'py, PyAny>>> {
    Ok(message.get_item(name)?.filter(|value| !value.is_none()))
}

fn sent(message: &Bound<'_, PyDict>) -> PyResult<Message> {
    let py = message.py();
    let found = match (given(message, intern!(py, "text"))?, given(message, intern!(py, "bytes"))?) {
        (Some(text), None) => Some(text_of(text.cast::<PyString>()?)?),
        (None, Some(bytes)) => bytes_of(&bytes)?,
        _ => None,
    };
    found.ok_or_else(|| PyValueError::new_err("a websocket.send has either text, a str, or bytes"))
}

#[pymethods]
impl SocketSend {
    fn __call__(&self, py: Python<'_>, message: &Bound<'_, PyDict>) -> PyResult<Py<PyAny>> {
        let Some(kind) = message.get_item(intern!(py, "type"))? else {
            return Err(PyValueError::new_err("a message has a type"));
        };
        let operation = match kind.cast::<PyString>()?.to_str()? {
            "websocket.send" => Operation::sending(&self.link, sent(message)?),
            "websocket.accept" => {
                let subprotocol = given(message, intern!(py, "subprotocol"))?.map(|name| name.extract()).transpose()?;
                let headers = given(message, intern!(py, "headers"))?;
                let headers = headers.map_or_else(|| Ok(HeaderMap::new()), |headers| headers_of(&headers))?;
                accepted(&self.link, subprotocol, headers)?
            }
            // Nobody is told a code or a reason before it is accepted; FastAPI gives what is none.
            "websocket.close" if self.link.is_undecided() => Operation::close(&self.link, closing(close::NORMAL, "")?),
            "websocket.close" => {
                let code = given(message, intern!(py, "code"))?.map_or(Ok(close::NORMAL), |code| code.extract())?;
                let reason: Option<String> =
                    given(message, intern!(py, "reason"))?.map(|text| text.extract()).transpose()?;
                Operation::close(&self.link, closing(code, &reason.unwrap_or_default())?)
            }
            "websocket.http.response.start" => {
                if !self.link.is_undecided() {
                    return Err(PyRuntimeError::new_err("the handshake was answered already"));
                }
                let head = Head::read(message)?;
                *self.denial.lock().unwrap_or_else(PoisonError::into_inner) = Some((head, Vec::new()));
                return ready(py, py.None());
            }
            "websocket.http.response.body" => {
                self.deny(py, message)?;
                return ready(py, py.None());
            }
            other => {
                return Err(PyValueError::new_err(format!("{other:?} is no message that is sent over a WebSocket")));
            }
        };
        Ok(Py::new(py, operation.for_asgi())?.into_any())
    }
}
