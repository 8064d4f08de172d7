//! What Python answers, as an HTTP response.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, TRANSFER_ENCODING};
use http::{HeaderValue, StatusCode};
use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use pyo3::types::{PyBytes, PyDict, PyList, PyString};

use super::bridge::EventLoop;
use super::context;
use super::convert::to_json;
use super::headers::{Headers, collect, header_value};
use super::objects::Objects;
use super::stream::{BodyIterator, Outgoing, is_chunks};
use crate::Body;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// An answer with its own status, headers and body.
#[pyclass(frozen, subclass, module = "ziggurat")]
pub(super) struct Response {
    headers: Py<Headers>,
    // Never locked while Python runs.
    state: Mutex<State>,
}

struct State {
    status: StatusCode,
    body: Content,
    from_inside: bool,
}

/// Where the body is.
enum Content {
    Here(Body),
    /// What yields it, and in which context.
    Chunks {
        chunks: Py<PyAny>,
        context: Py<PyAny>,
    },
    /// Whoever iterates over it has it, or it was sent.
    Taken,
}

impl Content {
    fn chunks(chunks: &Bound<'_, PyAny>) -> PyResult<Self> {
        let context = context::copy_current(chunks.py())?.unbind();
        Ok(Self::Chunks { chunks: chunks.clone().unbind(), context })
    }
}

impl Response {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An answer that came from inside, for a middleware to look at; what its extensions told the layers outside is not part of it.
    pub(super) fn from_http(py: Python<'_>, response: crate::Response) -> PyResult<Self> {
        let (parts, body) = response.into_parts();
        let headers = Py::new(py, Headers::of_response(parts.headers))?;
        let body = Content::Here(body);
        let state = State { status: parts.status, body, from_inside: true };
        Ok(Self { headers, state: Mutex::new(state) })
    }

    /// What is sent. A body that is in memory can be sent again, a stream only once.
    fn to_http(&self, py: Python<'_>, objects: &Objects) -> PyResult<crate::Response> {
        let mut headers = self.headers.bind(py).get().snapshot();
        // Framing is the connection's own business; code that sets it could only break it.
        headers.remove(TRANSFER_ENCODING);
        let (status, body) = {
            let mut state = self.lock();
            let kept = match &state.body {
                Content::Here(body) => body.as_bytes().cloned(),
                _ => None,
            };
            // Without a body it is the length that GET would have had, in the answer to HEAD from inside.
            if kept.is_some() || !state.from_inside {
                headers.remove(CONTENT_LENGTH);
            }
            let body = match kept {
                Some(bytes) => Content::Here(bytes.into()),
                None => std::mem::replace(&mut state.body, Content::Taken),
            };
            (state.status, body)
        };
        let body = match body {
            Content::Here(body) => body,
            Content::Taken => return Err(taken("and a stream is sent once")),
            Content::Chunks { chunks, context } => match chunks.cast_bound::<BodyIterator>(py) {
                Ok(unchanged) => unchanged.get().take().unwrap_or_default(),
                Err(_) => {
                    headers.remove(CONTENT_LENGTH);
                    Body::new(Outgoing::new(EventLoop::new(objects.event_loop()?, context), chunks))
                }
            },
        };
        Ok(assemble(status, headers, body))
    }

    /// What was counted or tagged before is not true of a new body.
    fn replace_body(&self, py: Python<'_>, body: Content) -> PyResult<()> {
        let headers = self.headers.bind(py);
        for stale in ["content-length", "etag"] {
            if headers.contains(stale)? {
                headers.del_item(stale)?;
            }
        }
        let before = std::mem::replace(&mut self.lock().body, body);
        drop(before);
        Ok(())
    }
}

fn taken(why: &str) -> PyErr {
    PyRuntimeError::new_err(format!("the body of this response was taken, {why}"))
}

fn assemble(status: StatusCode, mut headers: HeaderMap, body: Body) -> crate::Response {
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

fn status(number: u16) -> PyResult<StatusCode> {
    StatusCode::from_u16(number)
        .ok()
        .filter(|status| (200..600).contains(&status.as_u16()))
        .ok_or_else(|| PyValueError::new_err(format!("{number} is not the status of an answer; use 200 to 599")))
}

/// The bytes of `value` and what they are.
fn encode(value: &Bound<'_, PyAny>) -> PyResult<(Bytes, HeaderValue)> {
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
    if let Some(kind) = unencodable(value)? {
        return Err(PyTypeError::new_err(format!(
            "a handler answered {kind}; return a dict, list, scalar, dataclass, pydantic model, str, bytes or Response"
        )));
    }
    Ok((to_json(value)?.into(), JSON))
}

fn unencodable(value: &Bound<'_, PyAny>) -> PyResult<Option<&'static str>> {
    let py = value.py();
    Ok(if value.hasattr(intern!(py, "__anext__"))? {
        Some("an async generator, which is sent in pieces only as Response(body=...)")
    } else if value.hasattr(intern!(py, "__await__"))? {
        Some("an awaitable that was not awaited")
    } else if value.hasattr(intern!(py, "__next__"))? {
        Some("a generator or iterator, which is sent in pieces only as Response(body=...)")
    } else {
        None
    })
}

/// What a handler or middleware returned, as a response; plain values get `default` as their status.
///
/// `objects` are those of the app whose loop iterates over a body that comes in pieces.
pub(super) fn answer(value: &Bound<'_, PyAny>, default: StatusCode, objects: &Objects) -> PyResult<crate::Response> {
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

#[pymethods]
impl Response {
    #[new]
    #[pyo3(signature = (status = 200, headers = None, body = None, *, content = None, media_type = None))]
    fn new(
        py: Python<'_>,
        status: u16,
        headers: Option<&Bound<'_, PyAny>>,
        body: Option<&Bound<'_, PyAny>>,
        content: Option<&Bound<'_, PyAny>>,
        media_type: Option<&str>,
    ) -> PyResult<Self> {
        let status = self::status(status)?;
        let mut headers = headers.map(collect).transpose()?.unwrap_or_default();
        let value = match (body, content) {
            (Some(_), Some(_)) => return Err(PyTypeError::new_err("body and content are two names of one thing")),
            (body, content) => body.or(content),
        };
        let body = match value {
            None => Content::Here(Body::empty()),
            Some(value) if is_chunks(value)? => Content::chunks(value)?,
            Some(value) => {
                let (encoded, kind) = encode(value)?;
                headers.entry(CONTENT_TYPE).or_insert(kind);
                Content::Here(encoded.into())
            }
        };
        if let Some(media_type) = media_type {
            headers.insert(CONTENT_TYPE, header_value("content-type", media_type)?);
        }
        // It is counted when it is sent; a wrong one would break the connection.
        headers.remove(CONTENT_LENGTH);
        let state = State { status, body, from_inside: false };
        Ok(Self { headers: Py::new(py, Headers::of_response(headers))?, state: Mutex::new(state) })
    }

    #[getter]
    fn status(&self) -> u16 {
        self.lock().status.as_u16()
    }

    #[setter]
    fn set_status(&self, value: u16) -> PyResult<()> {
        self.lock().status = status(value)?;
        Ok(())
    }

    #[getter]
    fn headers(&self, py: Python<'_>) -> Py<Headers> {
        self.headers.clone_ref(py)
    }

    #[getter]
    fn body<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        use http_body::Body as _;
        let bytes = {
            let state = self.lock();
            match &state.body {
                Content::Here(body) if body.is_end_stream() => Bytes::new(),
                Content::Here(body) if let Some(bytes) = body.as_bytes() => bytes.clone(),
                Content::Here(_) | Content::Chunks { .. } => {
                    return Err(PyRuntimeError::new_err("the body comes in pieces; iterate over body_iterator"));
                }
                Content::Taken => return Err(taken("by body_iterator or because it was sent")),
            }
        };
        Ok(PyBytes::new(py, &bytes))
    }

    #[setter]
    fn set_body(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let bytes = match value.cast::<PyString>() {
            Ok(text) => Bytes::copy_from_slice(text.to_str()?.as_bytes()),
            Err(_) => Bytes::copy_from_slice(value.cast::<PyBytes>()?.as_bytes()),
        };
        self.replace_body(py, Content::Here(bytes.into()))
    }

    /// The chunks of the body, as they come. Whoever asks has it: it is sent only if it is set again.
    #[getter]
    fn body_iterator(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let body = std::mem::replace(&mut self.lock().body, Content::Taken);
        match body {
            Content::Here(body) => Ok(Py::new(py, BodyIterator::new(body))?.into_any()),
            Content::Chunks { chunks, .. } => Ok(chunks),
            Content::Taken => Err(taken("by body_iterator or because it was sent")),
        }
    }

    #[setter]
    fn set_body_iterator(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        if !is_chunks(value)? {
            let class = value.get_type().name()?;
            return Err(PyTypeError::new_err(format!(
                "body_iterator was set to {class}; give an async iterator of bytes"
            )));
        }
        if value.is_instance_of::<BodyIterator>() {
            // What came from inside goes on as it is.
            let before = std::mem::replace(&mut self.lock().body, Content::chunks(value)?);
            drop(before);
            return Ok(());
        }
        self.replace_body(value.py(), Content::chunks(value)?)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.headers)?;
        match self.state.try_lock().as_deref() {
            Ok(State { body: Content::Chunks { chunks, context }, .. }) => {
                visit.call(chunks)?;
                visit.call(context)
            }
            _ => Ok(()),
        }
    }

    fn __clear__(&self) {
        let body = std::mem::replace(&mut self.lock().body, Content::Taken);
        drop(body);
    }

    fn __repr__(&self) -> String {
        format!("<Response {}>", self.status())
    }
}
