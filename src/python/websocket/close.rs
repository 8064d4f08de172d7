//! How sockets end.

use http::StatusCode;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;
use tungstenite::Utf8Bytes;
use tungstenite::protocol::CloseFrame;

use crate::Response;
use crate::service::Problem;

pub(super) const NORMAL: u16 = 1000;
pub(super) const PROTOCOL: u16 = 1002;
pub(super) const UNSUPPORTED: u16 = 1003;
/// The peer gave no code; never sent.
pub(super) const NO_CODE: u16 = 1005;
/// The connection broke; never sent.
pub(super) const ABNORMAL: u16 = 1006;
pub(super) const INVALID: u16 = 1007;
pub(super) const POLICY: u16 = 1008;
pub(super) const TOO_BIG: u16 = 1009;
pub(super) const FAILED: u16 = 1011;
pub(super) const RESTART: u16 = 1012;

/// The most bytes of a reason: a control frame has 125, two of which are the code.
pub(super) const MAX_REASON: usize = 123;

/// A code and a reason (RFC 6455, 7.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Close {
    pub(super) code: u16,
    pub(super) reason: Utf8Bytes,
}

impl Close {
    pub(super) const fn new(code: u16, reason: &'static str) -> Self {
        Self { code, reason: Utf8Bytes::from_static(reason) }
    }

    /// Of a message with more than `limit` bytes.
    pub(super) fn too_big(limit: usize) -> Self {
        Self { code: TOO_BIG, reason: format!("a message may have {limit} bytes").into() }
    }

    /// What a client said when it closed.
    pub(super) fn told(frame: Option<CloseFrame>) -> Self {
        match frame {
            Some(CloseFrame { code, reason }) => Self { code: code.into(), reason },
            None => Self::new(NO_CODE, ""),
        }
    }

    pub(super) fn frame(&self) -> CloseFrame {
        CloseFrame { code: self.code.into(), reason: self.reason.clone() }
    }

    /// `WebSocketDisconnect`.
    pub(super) fn error(&self, py: Python<'_>) -> PyErr {
        let raised = || PyResult::Ok(PyErr::from_value(disconnect(py)?.call1((self.code, self.reason.as_str()))?));
        raised().unwrap_or_else(|error| error)
    }
}

/// Whether an endpoint may send this code.
pub(super) fn is_code(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

fn disconnect(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    CLASS.import(py, "ziggurat.exceptions", "WebSocketDisconnect")
}

fn exception(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    CLASS.import(py, "ziggurat.exceptions", "WebSocketException")
}

/// What the end of a handler leaves to its socket: the answer if that was not accepted, and a [`Close`] among its extensions where the
/// handler said one.
///
/// # Errors
/// Gives back an exception that says nothing of a socket.
pub(in crate::python) fn ended(py: Python<'_>, result: PyResult<Bound<'_, PyAny>>) -> PyResult<Response> {
    let error = match result {
        Ok(_) => return Ok(over()),
        Err(error) => error,
    };
    let is = |class: PyResult<&Bound<'_, PyType>>| {
        class.is_ok_and(|class| error.value(py).is_instance(class).unwrap_or(false))
    };
    if is(disconnect(py)) {
        // The client went, and the handler had nothing to do about it.
        return Ok(over());
    }
    if is(exception(py)) {
        let said = || -> PyResult<Close> {
            let code = error.value(py).getattr(intern!(py, "code"))?.extract()?;
            let reason: String = error.value(py).getattr(intern!(py, "reason"))?.extract()?;
            Ok(Close { code, reason: reason.into() })
        };
        if let Ok(close) = said()
            && is_code(close.code)
            && close.reason.len() <= MAX_REASON
        {
            return Ok(not_accepted(close));
        }
    }
    Err(error)
}

/// The same of an application that has ended as it should.
pub(in crate::python) fn over() -> Response {
    not_accepted(Close::new(NORMAL, ""))
}

fn not_accepted(close: Close) -> Response {
    let mut response = refused();
    response.extensions_mut().insert(close);
    response
}

/// The answer to a handshake that the handler does not want.
pub(super) fn refused() -> Response {
    Problem::forbidden("the socket was not accepted").into_response()
}

/// How the socket of a handler closes that ended with this answer.
pub(super) fn of_answer(answer: &Response) -> Close {
    if let Some(close) = answer.extensions().get::<Close>() {
        return close.clone();
    }
    match answer.status() {
        StatusCode::SERVICE_UNAVAILABLE => Close::new(RESTART, "the server stops"),
        status if status.is_client_error() => Close::new(POLICY, ""),
        _ => Close::new(FAILED, ""),
    }
}
