//! `WebSocket`: what a handler is given.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyString, PyType};
use tungstenite::Utf8Bytes;

use super::close::{self, Close};
use super::handshake::{Accepted, is_reserved};
use super::link::Link;
use super::message::{Message, Stage};
use super::operation::{Kind, Messages, Operation};
use crate::python::convert::to_json;
use crate::python::errors;
use crate::python::headers::collect;
use crate::python::request::Request;

/// A WebSocket, from its handshake on.
#[pyclass(frozen, weakref, module = "ziggurat")]
pub(in crate::python) struct WebSocket {
    request: Py<Request>,
    link: Arc<Link>,
}

impl WebSocket {
    pub(in crate::python) fn create(
        py: Python<'_>,
        request: Py<Request>,
        link: Arc<Link>,
    ) -> PyResult<Bound<'_, PyAny>> {
        Ok(Bound::new(py, Self { request, link })?.into_any())
    }

    fn of_request<'py>(&self, py: Python<'py>, name: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
        self.request.bind(py).getattr(name)
    }

    fn sending(&self, message: Message) -> Operation {
        Operation::sending(&self.link, message)
    }

    fn messages(&self, kind: Kind) -> Messages {
        Messages { link: self.link.clone(), kind }
    }
}

pub(super) fn text_of(text: &Bound<'_, PyString>) -> PyResult<Message> {
    Ok(Message::Text(Utf8Bytes::from(text.to_str()?)))
}

/// The bytes of anything that has some; none where it has not.
pub(super) fn bytes_of(data: &Bound<'_, PyAny>) -> PyResult<Option<Message>> {
    if let Ok(bytes) = data.cast::<PyBytes>() {
        return Ok(Some(Message::Binary(Bytes::copy_from_slice(bytes.as_bytes()))));
    }
    match PyBuffer::<u8>::get(data) {
        Ok(buffer) => Ok(Some(Message::Binary(buffer.to_vec(data.py())?.into()))),
        Err(_) => Ok(None),
    }
}

/// Accepts a handshake, once what it is accepted with is known to be right.
pub(super) fn accepted(link: &Arc<Link>, subprotocol: Option<String>, headers: HeaderMap) -> PyResult<Operation> {
    if let Some(name) = headers.keys().find(|name| is_reserved(name)) {
        return Err(PyValueError::new_err(format!("the header {name} belongs to the handshake itself")));
    }
    if let Some(wanted) = &subprotocol
        && !link.offered.contains(wanted)
    {
        let offered = if link.offered.is_empty() { "none".to_owned() } else { link.offered.join(", ") };
        return Err(PyValueError::new_err(format!(
            "the client does not speak the subprotocol {wanted:?}, and would end the connection; it offers: {offered}"
        )));
    }
    let chosen = subprotocol.or_else(|| link.agreed.clone());
    let field = chosen.as_deref().map(HeaderValue::from_str).transpose();
    let field = field.map_err(|_| PyValueError::new_err("that is not the name of a subprotocol"))?;
    Ok(Operation::accept(link, Accepted { subprotocol: field, headers }))
}

/// How a socket is closed, once that is known to be something that can be sent.
pub(super) fn closing(code: u16, reason: &str) -> PyResult<Close> {
    if !close::is_code(code) {
        return Err(PyValueError::new_err(format!(
            "{code} is no code to close with; use 1000 to 1003, 1007 to 1014, or 3000 to 4999"
        )));
    }
    if reason.len() > close::MAX_REASON {
        return Err(PyValueError::new_err(format!(
            "a reason has at most {} bytes, and this one {}",
            close::MAX_REASON,
            reason.len()
        )));
    }
    Ok(Close { code, reason: reason.into() })
}

fn class_of(value: &Bound<'_, PyAny>) -> String {
    value.get_type().name().map_or_else(|_| "an object".to_owned(), |name| name.to_string())
}

#[pymethods]
impl WebSocket {
    /// As of `Request`.
    fn __getattr__(slf: &Bound<'_, Self>, name: &str) -> PyResult<Py<PyAny>> {
        Err(errors::missing(slf.as_any(), name))
    }

    /// Accepts the handshake. Until then nothing can be sent or received.
    #[pyo3(signature = (subprotocol = None, headers = None))]
    fn accept(&self, subprotocol: Option<String>, headers: Option<&Bound<'_, PyAny>>) -> PyResult<Operation> {
        let headers = headers.map(collect).transpose()?.unwrap_or_else(HeaderMap::new);
        accepted(&self.link, subprotocol, headers)
    }

    /// The next message: `str` or `bytes`, as the client sent it.
    fn receive(&self) -> Operation {
        Operation::receive(&self.link, Kind::Any, false)
    }

    /// The next message. A client that sends bytes is let go with 1003.
    fn receive_text(&self) -> Operation {
        Operation::receive(&self.link, Kind::Text, false)
    }

    /// The next message. A client that sends text is let go with 1003.
    fn receive_bytes(&self) -> Operation {
        Operation::receive(&self.link, Kind::Bytes, false)
    }

    /// The next message, parsed. A client that sends something else is let go with 1007.
    fn receive_json(&self) -> Operation {
        Operation::receive(&self.link, Kind::Json, false)
    }

    fn __aiter__(&self) -> Messages {
        self.messages(Kind::Any)
    }

    /// Texts, until the socket is over: `async for text in ws.iter_text()`.
    fn iter_text(&self) -> Messages {
        self.messages(Kind::Text)
    }

    /// Binary messages, until the socket is over.
    fn iter_bytes(&self) -> Messages {
        self.messages(Kind::Bytes)
    }

    /// Messages, parsed, until the socket is over.
    fn iter_json(&self) -> Messages {
        self.messages(Kind::Json)
    }

    /// Sends a `str` as text and bytes as bytes.
    fn send(&self, data: &Bound<'_, PyAny>) -> PyResult<Operation> {
        if let Ok(text) = data.cast::<PyString>() {
            return Ok(self.sending(text_of(text)?));
        }
        match bytes_of(data)? {
            Some(message) => Ok(self.sending(message)),
            None => Err(PyTypeError::new_err(format!(
                "send takes str or bytes, not {}; for other values there is send_json",
                class_of(data)
            ))),
        }
    }

    /// Sends a text. Waits while the client is behind, as `send` does.
    fn send_text(&self, data: &Bound<'_, PyString>) -> PyResult<Operation> {
        Ok(self.sending(text_of(data)?))
    }

    /// Sends a binary message. Waits while the client is behind, as `send` does.
    fn send_bytes(&self, data: &Bound<'_, PyAny>) -> PyResult<Operation> {
        match bytes_of(data)? {
            Some(message) => Ok(self.sending(message)),
            None => Err(PyTypeError::new_err(format!("send_bytes takes bytes, not {}", class_of(data)))),
        }
    }

    /// Sends what a handler may return, as JSON: dicts, dataclasses, models and so on.
    #[pyo3(signature = (data, mode = "text"))]
    fn send_json(&self, data: &Bound<'_, PyAny>, mode: &str) -> PyResult<Operation> {
        let json = Bytes::from(to_json(data)?);
        let message = match mode {
            "text" => Message::Text(json.try_into().map_err(|_| PyValueError::new_err("the JSON is not UTF-8"))?),
            "binary" => Message::Binary(json),
            _ => return Err(PyValueError::new_err(format!("mode is {mode:?}; write \"text\" or \"binary\""))),
        };
        Ok(self.sending(message))
    }

    /// Closes the socket once all that was sent has gone out. Before it was accepted, refuses the handshake with 403.
    #[pyo3(signature = (code = close::NORMAL, reason = ""), text_signature = "($self, code=1000, reason='')")]
    fn close(&self, code: u16, reason: &str) -> PyResult<Operation> {
        Ok(Operation::close(&self.link, closing(code, reason)?))
    }

    /// The subprotocol that was accepted.
    #[getter]
    fn subprotocol(&self) -> Option<&str> {
        self.link.chosen.get().and_then(|chosen| chosen.to_str().ok())
    }

    /// Those that the client offers, the best first.
    #[getter]
    fn subprotocols(&self) -> Vec<String> {
        self.link.offered.clone()
    }

    /// How far the client is.
    #[getter]
    fn client_state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        state_of(py, self.link.stages().0)
    }

    /// How far the handler is: disconnected also once it has closed the socket.
    #[getter]
    fn application_state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        state_of(py, self.link.stages().1)
    }

    /// As `Request.path`.
    #[getter]
    fn path<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.of_request(py, intern!(py, "path"))
    }

    /// As `Request.url`, with `ws` for `http`.
    #[getter]
    fn url(&self, py: Python<'_>) -> PyResult<String> {
        let url: String = self.of_request(py, intern!(py, "url"))?.extract()?;
        Ok(url.strip_prefix("http").map(|rest| format!("ws{rest}")).unwrap_or(url))
    }

    /// The URL of the route of the app that is called so, with these parameters in its path.
    #[pyo3(signature = (name, /, **params))]
    fn url_for<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        params: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.of_request(py, intern!(py, "url_for"))?.call((name,), params)
    }

    /// As `Request.query_string`.
    #[getter]
    fn query_string<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.of_request(py, intern!(py, "query_string"))
    }

    /// As `Request.query`.
    #[getter]
    fn query<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.of_request(py, intern!(py, "query"))
    }

    /// Those of the handshake.
    #[getter]
    fn headers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.of_request(py, intern!(py, "headers"))
    }

    /// As `Request.cookies`.
    #[getter]
    fn cookies<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.of_request(py, intern!(py, "cookies"))
    }

    /// As `Request.path_params`.
    #[getter]
    fn path_params<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.of_request(py, intern!(py, "path_params"))
    }

    /// As `Request.client`.
    #[getter]
    fn client<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.of_request(py, intern!(py, "client"))
    }

    /// As `Request.auth`.
    #[getter]
    fn auth<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.of_request(py, intern!(py, "auth"))
    }

    /// As `Request.state`.
    #[getter]
    fn state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.of_request(py, intern!(py, "state"))
    }

    /// As `Request.request_id`.
    #[getter]
    fn request_id<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.of_request(py, intern!(py, "request_id"))
    }

    /// As `Request.trace_context`.
    #[getter]
    fn trace_context<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.of_request(py, intern!(py, "trace_context"))
    }

    /// The app whose socket it is.
    #[getter]
    fn app<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.of_request(py, intern!(py, "app"))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let path: String = self.of_request(py, intern!(py, "path"))?.extract()?;
        Ok(format!("<WebSocket {path} {:?}>", self.link.stages().0))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.request)
    }
}

/// A member of `ziggurat.WebSocketState`.
fn state_of(py: Python<'_>, stage: Stage) -> PyResult<Bound<'_, PyAny>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let name = match stage {
        Stage::Connecting => intern!(py, "CONNECTING"),
        Stage::Open => intern!(py, "CONNECTED"),
        Stage::Closed => intern!(py, "DISCONNECTED"),
    };
    CLASS.import(py, "ziggurat.websockets", "WebSocketState")?.getattr(name)
}
