//! A body, as what Python iterates over.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http_body_util::BodyExt;
use pyo3::exceptions::{PyRuntimeError, PyStopAsyncIteration};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::Body;
use crate::python::bridge::spawn_bringing;
use crate::python::ready::ready;

/// The chunks of a body, as they come. What comes behind them, as trailers, is left out.
#[pyclass(frozen, module = "ziggurat._ziggurat")]
pub(in crate::python) struct BodyIterator(Arc<Mutex<State>>);

enum State {
    Idle(Body),
    /// Its next chunk is awaited.
    Reading,
    Over,
}

impl BodyIterator {
    pub(in crate::python) fn new(body: Body) -> Self {
        Self(Arc::new(Mutex::new(State::Idle(body))))
    }

    /// The body, where nothing was read of it yet or not all.
    pub(in crate::python) fn take(&self) -> Option<Body> {
        let mut state = lock(&self.0);
        match mem::replace(&mut *state, State::Over) {
            State::Idle(body) => Some(body),
            other => {
                *state = other;
                None
            }
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads the next chunk; the body is given back unless it has ended.
async fn next(mut body: Body) -> (State, PyResult<Option<Bytes>>) {
    loop {
        match body.frame().await {
            None => return (State::Over, Ok(None)),
            Some(Err(error)) => {
                let broken = PyRuntimeError::new_err(format!("the body broke off: {error}"));
                return (State::Over, Err(broken));
            }
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) if data.is_empty() => {}
                Ok(data) => return (State::Idle(body), Ok(Some(data))),
                Err(_trailers) => {}
            },
        }
    }
}

#[pymethods]
impl BodyIterator {
    fn __aiter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __anext__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let before = mem::replace(&mut *lock(&self.0), State::Reading);
        let body = match before {
            State::Idle(body) => body,
            State::Reading => return Err(PyRuntimeError::new_err("the next chunk is awaited already")),
            State::Over => {
                *lock(&self.0) = State::Over;
                return Err(PyStopAsyncIteration::new_err(()));
            }
        };
        if let Some(bytes) = body.as_bytes() {
            *lock(&self.0) = State::Over;
            return ready(py, PyBytes::new(py, bytes).into_any().unbind());
        }
        let reading = Reading(Some(self.0.clone()));
        let chunk = spawn_bringing(py, async move {
            let (state, chunk) = next(body).await;
            reading.end(state);
            move |py: Python<'_>| match chunk? {
                Some(bytes) => Ok(PyBytes::new(py, &bytes).into_any().unbind()),
                None => Err(PyStopAsyncIteration::new_err(())),
            }
        })?;
        Ok(chunk.into_any().unbind())
    }

    /// Lets go of what was not read.
    fn aclose(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let body = self.take();
        drop(body);
        ready(py, py.None())
    }
}

/// A read that is under way. The body goes with it when it is cancelled, and then nothing follows.
struct Reading(Option<Arc<Mutex<State>>>);

impl Reading {
    fn end(mut self, state: State) {
        if let Some(slot) = self.0.take() {
            *lock(&slot) = state;
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if let Some(slot) = self.0.take() {
            *lock(&slot) = State::Over;
        }
    }
}
