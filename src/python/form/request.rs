//! `request.form()`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyList, PyString, PyType};

use super::limits::Limits;
use super::read::{self, Kind};
use super::{Form, UploadFile, Value};
use crate::Body;
use crate::python::bridge::spawn_bringing;
use crate::python::errors;
use crate::python::ready::{ready, ready_late};
use crate::python::request::body_json;
use crate::service::{Location, Problem, read_body};

/// What is in a form, as `ziggurat.FormData`.
pub(in crate::python) fn data_of(py: Python<'_>, form: &Form) -> PyResult<Py<PyAny>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let pairs = PyList::empty(py);
    for (name, value) in &form.pairs {
        let value = match value {
            Value::Text(text) => PyString::new(py, text).into_any(),
            Value::File(file) => Bound::new(py, UploadFile::new(file.clone()))?.into_any(),
        };
        pairs.append((&**name, value))?;
    }
    Ok(CLASS.import(py, "ziggurat._forms", "FormData")?.call1((pairs,))?.unbind())
}

/// Makes something that is awaited, or entered with `async with`, of something that is awaited.
pub(in crate::python) fn opened(py: Python<'_>, awaited: Py<PyAny>) -> PyResult<Py<PyAny>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    Ok(CLASS.import(py, "ziggurat._forms", "FormOpening")?.call1((awaited,))?.unbind())
}

/// The form in a body that is in memory.
pub(in crate::python) fn of_bytes(headers: &HeaderMap, bytes: &Bytes, limits: &Limits) -> Result<Arc<Form>, Problem> {
    let kind = Kind::of(headers, bytes.is_empty())?;
    checked(read::of_bytes(bytes, &kind, limits))
}

/// Whoever asks for all of a form wants texts that are texts.
fn checked(read: Result<Form, Problem>) -> Result<Arc<Form>, Problem> {
    let form = read?;
    if form.wrong.is_empty() {
        return Ok(Arc::new(form));
    }
    let names = form.wrong.iter().filter_map(|wrong| match &wrong.at {
        Location::Pointer(pointer) => Some(pointer.as_str()),
        _ => None,
    });
    let names: Vec<&str> = names.take(10).collect();
    let detail = format!("fields of the form are not UTF-8: {}", names.join(", "));
    Err(Problem::of(StatusCode::UNPROCESSABLE_ENTITY).detail(detail).errors(form.wrong))
}

/// The body of a form that is read when it is asked for: parts of it may be great.
pub(in crate::python) struct Unread {
    held: Mutex<Held>,
    kind: Kind,
    max_body: usize,
}

enum Held {
    Body(Body),
    Reading,
    Bytes(Bytes),
    Form(Arc<Form>),
    /// The request was answered, or a read was broken off.
    Gone,
}

impl Unread {
    pub(in crate::python) fn new(body: Body, kind: Kind, max_body: usize) -> Arc<Self> {
        Arc::new(Self { held: Mutex::new(Held::Body(body)), kind, max_body })
    }

    // Never held while Python runs.
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The form, if it was read.
    pub(in crate::python) fn form(&self) -> Option<Arc<Form>> {
        match &*self.lock() {
            Held::Form(form) => Some(form.clone()),
            _ => None,
        }
    }

    /// Lets go of what was not read.
    pub(in crate::python) fn end(&self) {
        let mut held = self.lock();
        if let Held::Body(_) = &*held {
            let unread = std::mem::replace(&mut *held, Held::Gone);
            drop(held);
            drop(unread);
        }
    }

    /// What is there, or the body to read it from.
    fn begin(&self) -> PyResult<Held> {
        let mut held = self.lock();
        match &*held {
            Held::Body(_) => Ok(std::mem::replace(&mut *held, Held::Reading)),
            Held::Bytes(bytes) => Ok(Held::Bytes(bytes.clone())),
            Held::Form(form) => Ok(Held::Form(form.clone())),
            Held::Reading => Err(PyRuntimeError::new_err("the body is being read already; await that first")),
            Held::Gone => Err(PyRuntimeError::new_err(
                "the body is not there: its request was answered, or a read of it was broken off",
            )),
        }
    }

    /// What is awaited for `request.form()`.
    pub(in crate::python) fn read_form(self: &Arc<Self>, py: Python<'_>, limits: Limits) -> PyResult<Py<PyAny>> {
        let body = match self.begin()? {
            Held::Body(body) => body,
            Held::Form(form) => return ready(py, data_of(py, &form)?),
            Held::Bytes(bytes) => {
                let form = checked(read::of_bytes(&bytes, &self.kind, &limits));
                return ready_late(py, move |py| match form {
                    Ok(form) => data_of(py, &form),
                    Err(problem) => Err(errors::http_error(py, &problem)),
                });
            }
            Held::Reading | Held::Gone => return Err(errors::bug("a body that is not there was given")),
        };
        let reading = Reading(Some(self.clone()));
        let read = spawn_bringing(py, async move {
            let this = reading.0.as_ref();
            let (kind, max_body) = this.map_or((Kind::Nothing, 0), |this| (this.kind.clone(), this.max_body));
            let read = checked(read::read(body, &kind, &limits, &[], max_body).await);
            reading.end(read.as_ref().map_or(Held::Gone, |form| Held::Form(form.clone())));
            move |py: Python<'_>| match read {
                Ok(form) => data_of(py, &form),
                Err(problem) => Err(errors::http_error(py, &problem)),
            }
        })?;
        Ok(read.into_any().unbind())
    }

    /// What is awaited for `request.body()` and `request.json()`.
    pub(in crate::python) fn read_body(self: &Arc<Self>, py: Python<'_>, json: bool) -> PyResult<Py<PyAny>> {
        let made = move |py: Python<'_>, bytes: &Bytes| match json {
            true => body_json(py, bytes),
            false => Ok(PyBytes::new(py, bytes).into_any().unbind()),
        };
        let body = match self.begin()? {
            Held::Body(body) => body,
            Held::Bytes(bytes) => return ready(py, made(py, &bytes)?),
            Held::Form(_) => return Err(PyRuntimeError::new_err(READ_AS_FORM)),
            Held::Reading | Held::Gone => return Err(errors::bug("a body that is not there was given")),
        };
        let (reading, max_body) = (Reading(Some(self.clone())), self.max_body);
        let read = spawn_bringing(py, async move {
            let read = read_body(body, max_body).await;
            reading.end(read.as_ref().map_or(Held::Gone, |bytes| Held::Bytes(bytes.clone())));
            move |py: Python<'_>| match read {
                Ok(bytes) => made(py, &bytes),
                Err(problem) => Err(errors::http_error(py, &problem)),
            }
        })?;
        Ok(read.into_any().unbind())
    }
}

/// Why there are no bytes.
pub(in crate::python) const READ_AS_FORM: &str = "the body was read as a form; await request.form()";

/// A read that is under way. The body goes with it when it is cancelled, and then nothing follows.
struct Reading(Option<Arc<Unread>>);

impl Reading {
    fn end(mut self, held: Held) {
        if let Some(unread) = self.0.take() {
            *unread.lock() = held;
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if let Some(unread) = self.0.take() {
            *unread.lock() = Held::Gone;
        }
    }
}
