//! What a handler with dependencies is given to run functions on threads, and to answer before it cleans up.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use tokio::sync::oneshot;

use super::ending::watched;
use super::given::Given;
use super::sync::Work;
use crate::python::bridge::{RustFuture, current_loop, spawn_bringing};
use crate::python::objects::Objects;
use crate::python::pyloop::Reply;
use crate::python::{attach, context, errors, refusal};

/// Says that a call has answered, so that the end of its request does not end it.
pub(super) type Answered = Arc<AtomicBool>;

/// One call of a handler.
#[pyclass(frozen, module = "ziggurat._ziggurat")]
pub(in crate::python) struct Run {
    handler: usize,
    objects: Weak<Objects>,
    /// Where the answer is to go, and what was given that has to do with it. Never locked while Python runs.
    reply: Mutex<Option<(Reply, Given)>>,
    answered: Answered,
}

/// What a function gave, or raised.
type Brought = Box<dyn FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send>;

impl Run {
    pub(super) fn new(handler: usize, objects: &Arc<Objects>, reply: Reply, answered: Answered) -> Self {
        let reply = Mutex::new(Some((reply, Given::default())));
        Self { handler, objects: Arc::downgrade(objects), reply, answered }
    }

    /// Of a call that is asked for no answer.
    pub(super) fn unanswered(handler: usize, objects: &Arc<Objects>) -> Self {
        let (reply, answered) = (Mutex::new(None), Answered::default());
        Self { handler, objects: Arc::downgrade(objects), reply, answered }
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Reply, Given)>> {
        self.reply.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets what was given, before the handler begins.
    pub(super) fn set_given(&self, given: Given) {
        if let Some((_, none)) = &mut *self.lock() {
            *none = given;
        }
    }

    /// Where the answer is to go; none once it was given.
    pub(super) fn take(&self) -> Option<(Reply, Given)> {
        self.lock().take()
    }
}

#[pymethods]
impl Run {
    /// Calls a function on a thread of the pool, in a copy of the context; to be awaited.
    fn in_thread<'py>(&self, py: Python<'py>, function: Bound<'py, PyAny>) -> PyResult<Bound<'py, RustFuture>> {
        let objects = self.objects.upgrade().ok_or_else(|| errors::http_error(py, &refusal::stopping()))?;
        let Some(shared) = objects.shared.get() else { return Err(errors::bug("an app that runs was built")) };
        let event_loop = current_loop(py)?;
        let call = event_loop.keep((function.unbind(), context::copy_current(py)?.unbind()));
        let (sender, receiver) = oneshot::channel();
        let work = Work::Other(Box::new(move |py| {
            let (function, context) = call.into_inner(py);
            let called = || attach::staying(|| function.call0(py));
            let result = context::run(context.bind(py), called).flatten();
            drop((function, context));
            // Kept for the loop, which may not wait for it any longer.
            drop(sender.send(event_loop.keep(result)));
        }));
        if shared.sync.submit(work).is_err() {
            return Err(errors::http_error(py, &refusal::overloaded()));
        }
        spawn_bringing(py, async move {
            let brought: Brought = match receiver.await {
                Ok(result) => Box::new(move |py| result.into_inner(py)),
                Err(_) => {
                    Box::new(|_| Err(PyRuntimeError::new_err("the call was lost: the app stops, or it panicked")))
                }
            };
            brought
        })
    }

    /// Hands the answer over. Gives what is to be awaited until its body is over, where that comes in pieces.
    fn answer<'py>(&self, py: Python<'py>, value: Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, RustFuture>>> {
        let Some(objects) = self.objects.upgrade() else { return Ok(None) };
        let Some((reply, given)) = self.take() else { return Err(errors::bug("a handler answers once")) };
        let response = match objects.handler(self.handler).answer(&value, &given, &objects) {
            Ok(response) => response,
            Err(error) => {
                // The dependencies see it as if the handler had raised it; then it is answered.
                *self.lock() = Some((reply, given));
                return Err(error);
            }
        };
        drop(given);
        let (response, over) = watched(response);
        self.answered.store(true, Ordering::Release);
        reply.send(response);
        let Some(over) = over else { return Ok(None) };
        let waiting = spawn_bringing(py, async move {
            // It is over when the other side is dropped.
            let _ = over.await;
            |py: Python<'_>| Ok(py.None())
        })?;
        Ok(Some(waiting))
    }
}
