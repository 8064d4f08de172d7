//! The body of a request that a handler reads when it wants it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::HeaderMap;
use http_body::Body as _;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use super::bridge::{running_pyloop, spawn_bringing};
use super::errors;
use super::form::{self, Form, Kind, Limits, READ_AS_FORM};
use super::pyloop::{Looked, look};
use super::ready::{ready, ready_late};
use super::request::Wanted;
use super::stream::{Arriving, RequestStream};
use crate::Body;
use crate::service::read_body;

/// Why there is no body after `request.stream()`.
pub(super) const STREAMED: &str =
    "request.stream() was given the body; keep what comes of it, or await request.body() in its place";

/// A body that was not read before Python was entered: it may be great.
pub(super) struct Unread {
    held: Mutex<Held>,
    max_body: usize,
}

enum Held {
    Body(Body),
    Reading,
    Bytes(Bytes),
    Form(Arc<Form>),
    Streamed(Arc<Arriving>),
    /// The request was answered, or a read was broken off.
    Gone,
}

impl Unread {
    pub(super) fn new(body: Body, max_body: usize) -> Arc<Self> {
        Arc::new(Self { held: Mutex::new(Held::Body(body)), max_body })
    }

    // Never held while Python runs.
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The form, if it was read.
    pub(super) fn form(&self) -> Option<Arc<Form>> {
        match &*self.lock() {
            Held::Form(form) => Some(form.clone()),
            _ => None,
        }
    }

    /// Lets go of what was not read.
    pub(super) fn end(&self) {
        let mut held = self.lock();
        match &*held {
            Held::Body(_) => {
                let unread = std::mem::replace(&mut *held, Held::Gone);
                drop(held);
                drop(unread);
            }
            Held::Streamed(body) => {
                let body = body.clone();
                drop(held);
                body.cut();
            }
            Held::Reading | Held::Bytes(_) | Held::Form(_) | Held::Gone => {}
        }
    }

    /// What is there, or the body to read it from.
    fn begin(&self) -> PyResult<Held> {
        let mut held = self.lock();
        Err(PyRuntimeError::new_err(match &*held {
            Held::Body(_) => return Ok(std::mem::replace(&mut *held, Held::Reading)),
            Held::Bytes(bytes) => return Ok(Held::Bytes(bytes.clone())),
            Held::Form(form) => return Ok(Held::Form(form.clone())),
            Held::Streamed(_) => STREAMED,
            Held::Reading => "the body is being read already; await that first",
            Held::Gone => "the body is not there: its request was answered, or a read of it was broken off",
        }))
    }

    /// What is awaited for `request.form()` of a request with these headers.
    pub(super) fn read_form(
        self: &Arc<Self>,
        py: Python<'_>,
        headers: &HeaderMap,
        limits: Limits,
    ) -> PyResult<Py<PyAny>> {
        let body = match self.begin()? {
            Held::Body(body) => body,
            Held::Form(form) => return ready(py, form::data_of(py, &form)?),
            Held::Bytes(bytes) => {
                let form = form::of_bytes(headers, &bytes, &limits);
                return ready_late(py, move |py| match form {
                    Ok(form) => form::data_of(py, &form),
                    Err(problem) => Err(errors::http_error(py, &problem)),
                });
            }
            Held::Reading | Held::Streamed(_) | Held::Gone => return Err(absent()),
        };
        let kind = match Kind::of(headers, body.is_end_stream()) {
            Ok(kind) => kind,
            Err(problem) => {
                // It may still be read as what it is.
                *self.lock() = Held::Body(body);
                return Err(errors::http_error(py, &problem));
            }
        };
        let (reading, max_body) = (Reading(Some(self.clone())), self.max_body);
        let read = spawn_bringing(py, async move {
            let read = form::of_body(body, &kind, &limits, max_body).await;
            reading.end(read.as_ref().map_or(Held::Gone, |form| Held::Form(form.clone())));
            move |py: Python<'_>| match read {
                Ok(form) => form::data_of(py, &form),
                Err(problem) => Err(errors::http_error(py, &problem)),
            }
        })?;
        Ok(read.into_any().unbind())
    }

    /// What is awaited for `request.body()` and `request.json()`.
    pub(super) fn read_body(self: &Arc<Self>, py: Python<'_>, wanted: Wanted) -> PyResult<Py<PyAny>> {
        let body = match self.begin()? {
            Held::Body(body) => body,
            Held::Bytes(bytes) => return ready(py, wanted.of(py, &bytes)?),
            Held::Form(_) => return Err(PyRuntimeError::new_err(READ_AS_FORM)),
            Held::Reading | Held::Streamed(_) | Held::Gone => return Err(absent()),
        };
        let (reading, max_body) = (Reading(Some(self.clone())), self.max_body);
        let read = Box::pin(async move {
            let read = read_body(body, max_body).await;
            reading.end(read.as_ref().map_or(Held::Gone, |bytes| Held::Bytes(bytes.clone())));
            read
        });
        let bring = move |py: Python<'_>, read| match read {
            Ok(bytes) => wanted.of(py, &bytes),
            Err(problem) => Err(errors::http_error(py, &problem)),
        };
        // What has come already takes no way to the workers and back.
        match look(&running_pyloop(py)?, || read)? {
            Looked::Ready(read) => ready_late(py, move |py| bring(py, read)),
            Looked::Pending(read) => {
                let read = spawn_bringing(py, async move {
                    let read = read.await;
                    move |py: Python<'_>| bring(py, read)
                })?;
                Ok(read.into_any().unbind())
            }
        }
    }

    /// The pieces of the body, as they come; all of it at once where it was read before.
    pub(super) fn stream(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let body = match self.begin()? {
            Held::Body(body) => body,
            Held::Bytes(bytes) => return RequestStream::create(py, Arriving::whole(bytes)),
            Held::Form(_) => return Err(PyRuntimeError::new_err(READ_AS_FORM)),
            Held::Reading | Held::Streamed(_) | Held::Gone => return Err(absent()),
        };
        let body = Arriving::new(body, self.max_body);
        *self.lock() = Held::Streamed(body.clone());
        RequestStream::create(py, body)
    }
}

fn absent() -> PyErr {
    errors::bug("a body that is not there was given")
}

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
