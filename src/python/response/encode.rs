//! What Python answers, as an HTTP response.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use http::{HeaderValue, StatusCode};
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};

use super::Response;
use crate::Body;
use crate::python::convert::to_json;
use crate::python::objects::Objects;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
/// What may be returned.
const ANSWERS: &str = "a dict, list, scalar, dataclass, pydantic model, msgspec.Struct, str, bytes or Response";
const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

pub(super) fn assemble(status: StatusCode, mut headers: HeaderMap, body: Body) -> crate::Response {
    // RFC 9110, 15.3.5 and 15.4.5: these have no content.
    let body = if matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) || status.is_informational() {
        headers.remove(CONTENT_TYPE);
        headers.remove(CONTENT_LENGTH);
        Body::empty()
    } else {
        body
    };
    let mut response = crate::Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// The bytes of `value` and what they are.
pub(super) fn encode(value: &Bound<'_, PyAny>) -> PyResult<(Bytes, HeaderValue)> {
    // The common answers first: looking for attributes that are not there is slow before Python 3.13.
    if value.is_exact_instance_of::<PyDict>() || value.is_exact_instance_of::<PyList>() {
        return Ok((to_json(value)?.into(), JSON));
    }
    if let Ok(text) = value.cast::<PyString>()
        && (value.is_exact_instance_of::<PyString>() || !value.hasattr(intern!(value.py(), "_value_"))?)
    {
        return Ok((Bytes::copy_from_slice(text.to_str()?.as_bytes()), TEXT));
    }
    if let Ok(bytes) = value.cast::<PyBytes>() {
        return Ok((Bytes::copy_from_slice(bytes.as_bytes()), OCTETS));
    }
    if let Some(error) = unencodable(value)? {
        return Err(error);
    }
    Ok((to_json(value)?.into(), JSON))
}

/// What is wrong with a value that is no value yet.
fn unencodable(value: &Bound<'_, PyAny>) -> PyResult<Option<PyErr>> {
    let py = value.py();
    let kind = if value.hasattr(intern!(py, "__anext__"))? {
        "an async generator, which is sent in pieces only as Response(body=...)".to_owned()
    } else if value.hasattr(intern!(py, "__await__"))? {
        return awaitable(value).map(Some);
    } else if value.hasattr(intern!(py, "__next__"))? {
        "a generator or iterator, which is sent in pieces only as Response(body=...)".to_owned()
    } else {
        return Ok(None);
    };
    Ok(Some(PyTypeError::new_err(format!("a handler answered {kind}; return {ANSWERS}"))))
}

/// Names what was not awaited, and closes it: that it was never awaited is told here.
fn awaitable(value: &Bound<'_, PyAny>) -> PyResult<PyErr> {
    let py = value.py();
    let name = match value.getattr_opt(intern!(py, "__qualname__"))? {
        Some(name) => format!("{}(...)", name.str()?.to_string_lossy().replace("<locals>.", "")),
        None => value.get_type().name()?.to_string(),
    };
    if let Some(close) = value.getattr_opt(intern!(py, "close"))? {
        close.call0()?;
    }
    Ok(PyTypeError::new_err(format!(
        "a handler answered an awaitable that was not awaited: {name}; write `return await ...` in an `async def` handler"
    )))
}

/// What a handler or middleware returned, as a response; plain values get `default` as their status.
///
/// `objects` are those of the app whose loop iterates over a body that comes in pieces.
pub(in crate::python) fn answer(
    value: &Bound<'_, PyAny>,
    default: StatusCode,
    objects: &Objects,
) -> PyResult<crate::Response> {
    if let Ok(response) = value.cast::<Response>() {
        return response.get().to_http(value.py(), objects);
    }
    if default == StatusCode::NO_CONTENT && value.is_none() {
        return Ok(assemble(default, HeaderMap::new(), Body::empty()));
    }
    let (bytes, kind) = encode(value)?;
    let mut headers = HeaderMap::with_capacity(2);
    headers.insert(CONTENT_TYPE, kind);
    Ok(assemble(default, headers, bytes.into()))
}

/// The same where `write` makes JSON of what is no response.
pub(in crate::python) fn written(
    value: &Bound<'_, PyAny>,
    default: StatusCode,
    write: &Bound<'_, PyAny>,
    objects: &Objects,
) -> PyResult<crate::Response> {
    if value.is_instance_of::<Response>() || (default == StatusCode::NO_CONTENT && value.is_none()) {
        return answer(value, default, objects);
    }
    let json = write.call1((value,))?;
    let json = json.cast::<PyBytes>()?;
    let mut headers = HeaderMap::with_capacity(2);
    headers.insert(CONTENT_TYPE, JSON);
    Ok(assemble(default, headers, Bytes::copy_from_slice(json.as_bytes()).into()))
}

/// `value` as JSON, as it is written where a handler returns it.
#[pyfunction]
pub(in crate::python) fn encode_json<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    Ok(PyBytes::new(value.py(), &to_json(value)?))
}
