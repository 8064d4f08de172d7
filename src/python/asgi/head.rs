//! The head of an answer, as an application tells of it.

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyDict;

use crate::Body;
use crate::service::Response;

/// Status and headers.
pub(in crate::python) struct Head {
    status: StatusCode,
    pub(in crate::python) headers: HeaderMap,
    /// What its Content-Length announces.
    pub(in crate::python) length: Option<u64>,
}

/// Pairs of bytes.
pub(in crate::python) fn headers_of(given: &Bound<'_, PyAny>) -> PyResult<HeaderMap> {
    let mut headers = HeaderMap::new();
    for pair in given.try_iter()? {
        let (name, value): (PyBackedBytes, PyBackedBytes) = pair?.extract()?;
        let Ok(name) = HeaderName::from_bytes(&name) else {
            let name = String::from_utf8_lossy(&name);
            return Err(PyValueError::new_err(format!("{name:?} is not the name of a header")));
        };
        let Ok(value) = HeaderValue::from_bytes(&value) else {
            let what = format!("the value of the header {name} has a control character");
            return Err(PyValueError::new_err(what));
        };
        headers.append(name, value);
    }
    Ok(headers)
}

impl Head {
    /// Of an `http.response.start`.
    pub(in crate::python) fn read(message: &Bound<'_, PyDict>) -> PyResult<Self> {
        let py = message.py();
        let Some(status) = message.get_item(intern!(py, "status"))? else {
            return Err(PyValueError::new_err("http.response.start has no status"));
        };
        let status: u16 = status.extract()?;
        let status = StatusCode::from_u16(status)
            .ok()
            .filter(|status| (200..600).contains(&status.as_u16()))
            .ok_or_else(|| PyValueError::new_err(format!("{status} is not the status of an answer")))?;
        let given = message.get_item(intern!(py, "headers"))?;
        let mut headers = given.map_or_else(|| Ok(HeaderMap::new()), |given| headers_of(&given))?;
        // Framing is the connection's own business; code that sets it could only break it.
        headers.remove(TRANSFER_ENCODING);
        let length = match headers.get(CONTENT_LENGTH).map(HeaderValue::to_str) {
            None => None,
            Some(Ok(text)) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
            Some(_) => return Err(PyValueError::new_err("the Content-Length is not a number")),
        };
        Ok(Self { status, headers, length })
    }

    pub(in crate::python) fn has_no_body(&self) -> bool {
        matches!(self.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
    }

    pub(in crate::python) fn response(self, body: Body) -> Response {
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}
