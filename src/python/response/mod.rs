//! Answers that Python makes.

mod content;
mod cookies;
mod encode;
mod sending;

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, SET_COOKIE};
use http::{HeaderValue, StatusCode};
use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use pyo3::types::{PyBytes, PyString};

use self::content::{Content, taken};
use self::cookies::{Cookie, Expires};
use self::encode::encode;
pub(super) use self::encode::{answer, encode_json, written};
pub(super) use self::sending::streamed;
use super::file::SendFile;
use super::headers::{Headers, collect, header_value};
use super::stream::{BodyIterator, Form, is_chunks};
use crate::Body;

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
    /// What runs once it was handed over.
    background: Option<Py<PyAny>>,
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
        let state = State { status: parts.status, body, from_inside: true, background: None };
        Ok(Self { headers, state: Mutex::new(state) })
    }

    /// For a handler to say what else is to be answered than what it returns.
    pub(super) fn beside(py: Python<'_>, status: StatusCode) -> PyResult<Py<Self>> {
        let headers = Py::new(py, Headers::of_response(http::HeaderMap::new()))?;
        let body = Content::Here(Body::empty());
        let state = State { status, body, from_inside: false, background: None };
        Py::new(py, Self { headers, state: Mutex::new(state) })
    }

    pub(super) fn status_code(&self) -> StatusCode {
        self.lock().status
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

/// A text whose charset nobody names is taken for another one than UTF-8 by browsers and others.
pub(super) fn content_type(media_type: &str, is_utf8: bool) -> PyResult<HeaderValue> {
    let lower = media_type.to_ascii_lowercase();
    // Events are UTF-8 in any case.
    if is_utf8 && lower.starts_with("text/") && !lower.contains("charset=") && !lower.starts_with("text/event-stream") {
        return header_value("content-type", &format!("{media_type}; charset=utf-8"));
    }
    header_value("content-type", media_type)
}

fn status(number: u16) -> PyResult<StatusCode> {
    StatusCode::from_u16(number)
        .ok()
        .filter(|status| (200..600).contains(&status.as_u16()))
        .ok_or_else(|| PyValueError::new_err(format!("{number} is not the status of an answer; use 200 to 599")))
}

#[pymethods]
impl Response {
    #[new]
    #[pyo3(signature = (status = None, headers = None, body = None, *, content = None, media_type = None, background = None, status_code = None))]
    #[expect(clippy::too_many_arguments, reason = "those of Python")]
    fn new(
        py: Python<'_>,
        #[pyo3(from_py_with = first)] status: Option<u16>,
        headers: Option<&Bound<'_, PyAny>>,
        body: Option<&Bound<'_, PyAny>>,
        content: Option<&Bound<'_, PyAny>>,
        media_type: Option<&str>,
        background: Option<Py<PyAny>>,
        status_code: Option<u16>,
    ) -> PyResult<Self> {
        if status.is_some() && status_code.is_some() {
            return Err(PyTypeError::new_err("status and status_code are two names of one thing"));
        }
        let status = self::status(status.or(status_code).unwrap_or(200))?;
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
            // Bytes may be of any charset.
            let is_utf8 =
                matches!(body, Content::Chunks { .. }) || value.is_some_and(|value| value.is_instance_of::<PyString>());
            headers.insert(CONTENT_TYPE, content_type(media_type, is_utf8)?);
        }
        // It is counted when it is sent; a wrong one would break the connection.
        headers.remove(CONTENT_LENGTH);
        let state = State { status, body, from_inside: false, background };
        Ok(Self { headers: Py::new(py, Headers::of_response(headers))?, state: Mutex::new(state) })
    }

    /// The status of the answer, from 200 to 599; it may be set.
    #[getter]
    fn status(&self) -> u16 {
        self.lock().status.as_u16()
    }

    #[setter]
    fn set_status(&self, value: u16) -> PyResult<()> {
        self.lock().status = status(value)?;
        Ok(())
    }

    /// The status by the name that others give it.
    #[getter(status_code)]
    fn status_by_other_name(&self) -> u16 {
        self.status()
    }

    #[setter(status_code)]
    fn set_status_by_other_name(&self, value: u16) -> PyResult<()> {
        self.set_status(value)
    }

    /// Has the body be a file. `name` tells its type where it is not that of the path.
    #[pyo3(signature = (path, *, root = None, name = None, missing_ok = false, location = ""))]
    fn _send_file(
        &self,
        path: PathBuf,
        root: Option<PathBuf>,
        name: Option<PathBuf>,
        missing_ok: bool,
        location: &str,
    ) {
        let file = SendFile { path, root, name, missing_ok, location: location.to_owned(), asked: None };
        let before = std::mem::replace(&mut self.lock().body, Content::File(Box::new(file)));
        drop(before);
    }

    /// Says in which form the body is sent that an iterator yields; `keep_alive` is for events, in seconds.
    #[pyo3(signature = (form, write = None, keep_alive = None))]
    fn _send_as(&self, form: &str, write: Option<Py<PyAny>>, keep_alive: Option<f64>) -> PyResult<()> {
        let form = Form::new(form, write)?;
        let keep_alive = keep_alive.map(Duration::try_from_secs_f64).transpose();
        let keep_alive = keep_alive.map_err(|error| PyValueError::new_err(format!("keep_alive: {error}")))?;
        let before = match &mut self.lock().body {
            Content::Chunks { form: own, keep_alive: every, .. } => {
                *every = keep_alive;
                Some(std::mem::replace(own, form))
            }
            _ => None,
        };
        drop(before);
        Ok(())
    }

    /// What runs once the answer was handed over, or None.
    #[getter]
    fn background(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.lock().background.as_ref().map(|tasks| tasks.clone_ref(py))
    }

    #[setter]
    fn set_background(&self, value: Option<Py<PyAny>>) {
        let before = std::mem::replace(&mut self.lock().background, value);
        drop(before);
    }

    /// Adds a `Set-Cookie`.
    #[pyo3(signature = (key, value = "", *, max_age = None, expires = None, path = Some("/"), domain = None, secure = false,
                        httponly = false, samesite = Some("lax"), partitioned = false),
           text_signature = "($self, key, value='', *, max_age=None, expires=None, path='/', domain=None, secure=False, httponly=False, samesite='lax', partitioned=False)")]
    #[expect(clippy::too_many_arguments, reason = "the attributes of a cookie, by name")]
    fn set_cookie(
        &self,
        py: Python<'_>,
        key: &str,
        value: &str,
        max_age: Option<i64>,
        expires: Option<&Bound<'_, PyAny>>,
        path: Option<&str>,
        domain: Option<&str>,
        secure: bool,
        httponly: bool,
        samesite: Option<&str>,
        partitioned: bool,
    ) -> PyResult<()> {
        let expires = expires.map(Expires::of).transpose()?;
        let cookie = Cookie { key, value, max_age, expires, path, domain, secure, httponly, samesite, partitioned };
        self.headers.bind(py).get().add(SET_COOKIE, cookie.header()?);
        Ok(())
    }

    /// Has the client forget a cookie; path, domain and prefix are those with which it was set.
    #[pyo3(signature = (key, *, path = Some("/"), domain = None, secure = false, httponly = false, samesite = Some("lax"),
                        partitioned = false),
           text_signature = "($self, key, *, path='/', domain=None, secure=False, httponly=False, samesite='lax', partitioned=False)")]
    #[expect(clippy::too_many_arguments, reason = "the attributes of a cookie, by name")]
    fn delete_cookie(
        &self,
        py: Python<'_>,
        key: &str,
        path: Option<&str>,
        domain: Option<&str>,
        secure: bool,
        httponly: bool,
        samesite: Option<&str>,
        partitioned: bool,
    ) -> PyResult<()> {
        let (max_age, expires) = (Some(0), Some(Expires::PAST));
        let cookie = Cookie { key, value: "", max_age, expires, path, domain, secure, httponly, samesite, partitioned };
        self.headers.bind(py).get().add(SET_COOKIE, cookie.header()?);
        Ok(())
    }

    /// The header fields of the answer, which may be changed.
    #[getter]
    fn headers(&self, py: Python<'_>) -> Py<Headers> {
        self.headers.clone_ref(py)
    }

    /// The bytes of the body; it may be set to `str` or `bytes`. A body in pieces is `body_iterator`.
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
                Content::File(_) => {
                    return Err(PyRuntimeError::new_err("the body is a file, which is read when it is sent"));
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
            Content::File(file) => {
                self.lock().body = Content::File(file);
                Err(PyRuntimeError::new_err("the body is a file, which is read when it is sent"))
            }
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
        let Ok(state) = self.state.try_lock() else { return Ok(()) };
        visit.call(&state.background)?;
        match &state.body {
            Content::Chunks { chunks, context, form, .. } => {
                visit.call(chunks)?;
                form.traverse(&visit)?;
                visit.call(context)
            }
            _ => Ok(()),
        }
    }

    fn __clear__(&self) {
        let (body, background) = {
            let mut state = self.lock();
            (std::mem::replace(&mut state.body, Content::Taken), state.background.take())
        };
        drop((body, background));
    }

    fn __repr__(&self) -> String {
        format!("<Response {}>", self.status())
    }
}

/// The first argument of a response, which is its status here, and its content in other frameworks.
fn first(given: &Bound<'_, PyAny>) -> PyResult<Option<u16>> {
    if given.is_instance_of::<PyString>() || given.is_instance_of::<PyBytes>() {
        let told = format!("{} is no status; write Response(content=...)", given.repr()?);
        return Err(PyTypeError::new_err(told));
    }
    given.extract()
}
