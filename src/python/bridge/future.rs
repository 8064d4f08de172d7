//! `RustFuture`: a Rust future as Python sees it.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::{PyRuntimeError, PyStopIteration};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use pyo3::types::{PyDict, PyType};
use tokio::task::AbortHandle;

use super::asyncio::{self, cancelled_error};
use super::promise::{Outcome, Shared};
use crate::python::pyloop::{LoopCore, LoopHandle};
use crate::python::{context, errors};

/// What a Rust future is to Python: awaitable, and a future for all of asyncio.
///
/// It has what `asyncio.Future` has for whoever waits, and nothing for whoever would set its result.
#[pyclass(frozen, weakref, module = "ziggurat._ziggurat")]
pub(in crate::python) struct RustFuture {
    shared: Arc<Shared>,
    work: AbortHandle,
    /// Whether the work ends with this object.
    tied: bool,
    event_loop: Py<LoopCore>,
    home: LoopHandle,
    id: u64,
    /// Set when it is yielded to a task, which takes it back when it has seen it.
    blocking: AtomicBool,
    /// Never locked while Python runs or a reference is dropped.
    state: Mutex<State>,
}

struct Callback {
    function: Py<PyAny>,
    context: Py<PyAny>,
}

enum State {
    Pending(Vec<Callback>),
    Result(Py<PyAny>),
    /// With whether somebody has seen it.
    Raised(PyErr, bool),
    /// With the message that `cancel` was given.
    Cancelled(Option<Py<PyAny>>),
}

/// What there is to see of a future that is done.
enum Done {
    Result(Py<PyAny>),
    Raised(PyErr),
    Cancelled(Option<Py<PyAny>>),
}

impl RustFuture {
    pub(super) fn new(
        event_loop: &Bound<'_, LoopCore>,
        shared: Arc<Shared>,
        work: AbortHandle,
        tied: bool,
        home: LoopHandle,
        id: u64,
    ) -> Self {
        Self {
            shared,
            work,
            tied,
            event_loop: event_loop.clone().unbind(),
            home,
            id,
            blocking: AtomicBool::new(false),
            state: Mutex::new(State::Pending(Vec::new())),
        }
    }

    /// Ends the Rust future, after which the Python one counts as cancelled.
    pub(in crate::python) fn abort_handle(&self) -> AbortHandle {
        self.work.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the outcome over if it is there.
    pub(super) fn settle(slf: &Bound<'_, Self>) {
        let (py, this) = (slf.py(), slf.get());
        let Some(Outcome { convert, .. }) = this.shared.take() else { return };
        let converted = catch_unwind(AssertUnwindSafe(|| convert(py))).unwrap_or_else(|_| {
            Err(PyRuntimeError::new_err("the result of a Rust future could not be converted: a panic"))
        });
        let state = match converted {
            Ok(value) => State::Result(value),
            Err(error) if asyncio::is_cancelled(py, &error) => State::Cancelled(
                error.value(py).getattr("args").and_then(|args| args.get_item(0)).ok().map(Bound::unbind),
            ),
            Err(error) if error.is_instance_of::<PyStopIteration>(py) => {
                let failure = PyRuntimeError::new_err("a Rust future raised StopIteration");
                failure.set_cause(py, Some(error));
                State::Raised(failure, false)
            }
            Err(error) => State::Raised(error, false),
        };
        Self::finish(slf, state);
    }

    /// It is done: calls back whoever waits.
    fn finish(slf: &Bound<'_, Self>, state: State) {
        let (py, this) = (slf.py(), slf.get());
        let before = mem::replace(&mut *this.lock(), state);
        let State::Pending(callbacks) = before else { return };
        if callbacks.is_empty() {
            return;
        }
        drop(this.event_loop.get().futures().remove(this.id));
        for Callback { function, context } in callbacks {
            if let Err(error) = Self::call_soon(slf, function, context) {
                errors::log(py, &error, "the end of a Rust future");
            }
        }
    }

    fn call_soon(slf: &Bound<'_, Self>, function: Py<PyAny>, context: Py<PyAny>) -> PyResult<()> {
        let py = slf.py();
        let options = PyDict::new(py);
        options.set_item(intern!(py, "context"), context)?;
        let event_loop = slf.get().event_loop.bind(py);
        event_loop.call_method(intern!(py, "call_soon"), (function, slf), Some(&options)).map(drop)
    }

    /// How it ended; none while it runs.
    fn outcome(slf: &Bound<'_, Self>) -> Option<Done> {
        let py = slf.py();
        Self::settle(slf);
        match &mut *slf.get().lock() {
            State::Pending(_) => None,
            State::Result(value) => Some(Done::Result(value.clone_ref(py))),
            State::Raised(error, seen) => {
                *seen = true;
                Some(Done::Raised(error.clone_ref(py)))
            }
            State::Cancelled(message) => Some(Done::Cancelled(message.as_ref().map(|message| message.clone_ref(py)))),
        }
    }

    fn value(py: Python<'_>, done: Done) -> PyResult<Py<PyAny>> {
        match done {
            Done::Result(value) => Ok(value),
            Done::Raised(error) => Err(error),
            Done::Cancelled(message) => Err(cancelled_error(py, message)),
        }
    }
}

#[pymethods]
impl RustFuture {
    #[getter]
    fn _asyncio_future_blocking(&self) -> bool {
        self.blocking.load(Ordering::Relaxed)
    }

    #[setter(_asyncio_future_blocking)]
    fn set_blocking(&self, blocking: bool) {
        self.blocking.store(blocking, Ordering::Relaxed);
    }

    /// The loop that it belongs to.
    fn get_loop(&self, py: Python<'_>) -> Py<LoopCore> {
        self.event_loop.clone_ref(py)
    }

    #[getter]
    fn _loop(&self, py: Python<'_>) -> Py<LoopCore> {
        self.event_loop.clone_ref(py)
    }

    /// Whether it has a result, has failed or was cancelled.
    fn done(slf: &Bound<'_, Self>) -> bool {
        Self::settle(slf);
        !matches!(*slf.get().lock(), State::Pending(_))
    }

    /// Whether it was cancelled.
    fn cancelled(slf: &Bound<'_, Self>) -> bool {
        Self::settle(slf);
        matches!(*slf.get().lock(), State::Cancelled(_))
    }

    /// Its result, or what it raised.
    fn result(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        match Self::outcome(slf) {
            Some(done) => Self::value(slf.py(), done),
            None => Err(asyncio::invalid_state(slf.py(), "Result is not set.")),
        }
    }

    /// What it raised, if it failed.
    fn exception(slf: &Bound<'_, Self>) -> PyResult<Option<Py<PyAny>>> {
        let py = slf.py();
        match Self::outcome(slf) {
            Some(Done::Result(_)) => Ok(None),
            Some(Done::Raised(error)) => Ok(Some(error.into_value(py).into_any())),
            Some(Done::Cancelled(message)) => Err(cancelled_error(py, message)),
            None => Err(asyncio::invalid_state(py, "Exception is not set.")),
        }
    }

    /// Has `callback` called with this future in the loop when it is done.
    #[pyo3(signature = (callback, /, *, context = None))]
    fn add_done_callback(slf: &Bound<'_, Self>, callback: Py<PyAny>, context: Option<Py<PyAny>>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        let context = match context {
            Some(context) => context,
            None => context::copy_current(py)?.unbind(),
        };
        Self::settle(slf);
        let mut callback = Some(Callback { function: callback, context });
        let first = match &mut *this.lock() {
            State::Pending(callbacks) => {
                callbacks.extend(callback.take());
                callbacks.len() == 1
            }
            _ => false,
        };
        if let Some(Callback { function, context }) = callback {
            return Self::call_soon(slf, function, context);
        }
        if first {
            // From here on the loop keeps it: who waits for it may be held by nothing else.
            drop(this.event_loop.get().futures().insert(this.id, slf.clone().unbind()));
            if !this.shared.wait() {
                Self::settle(slf);
            }
        }
        Ok(())
    }

    /// Takes a callback back; gives how often it had been added.
    #[pyo3(signature = (callback, /))]
    fn remove_done_callback(slf: &Bound<'_, Self>, callback: &Bound<'_, PyAny>) -> PyResult<usize> {
        let (py, this) = (slf.py(), slf.get());
        let functions: Vec<Py<PyAny>> = match &*this.lock() {
            State::Pending(callbacks) => callbacks.iter().map(|callback| callback.function.clone_ref(py)).collect(),
            _ => return Ok(0),
        };
        // Comparing may run Python, so it is done without the lock.
        let mut equal = Vec::new();
        for function in functions {
            if function.bind(py).eq(callback)? {
                equal.push(function);
            }
        }
        let (removed, left) = match &mut *this.lock() {
            State::Pending(callbacks) => {
                let (removed, kept): (Vec<_>, Vec<_>) = mem::take(callbacks)
                    .into_iter()
                    .partition(|callback| equal.iter().any(|function| function.is(&callback.function)));
                *callbacks = kept;
                (removed, callbacks.len())
            }
            _ => return Ok(0),
        };
        if left == 0 && !removed.is_empty() {
            drop(this.event_loop.get().futures().remove(this.id));
        }
        Ok(removed.len())
    }

    /// Ends the Rust future; false when it is done already.
    #[pyo3(signature = (msg = None))]
    fn cancel(slf: &Bound<'_, Self>, msg: Option<Py<PyAny>>) -> bool {
        let this = slf.get();
        Self::settle(slf);
        if !matches!(*this.lock(), State::Pending(_)) {
            return false;
        }
        if !this.shared.abandon() {
            Self::settle(slf);
            return false;
        }
        this.work.abort();
        Self::finish(slf, State::Cancelled(msg));
        true
    }

    /// Asked for by `asyncio.gather()`.
    #[getter]
    fn _cancel_message(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        match &*self.lock() {
            State::Cancelled(message) => message.as_ref().map(|message| message.clone_ref(py)),
            _ => None,
        }
    }

    fn _make_cancelled_error(slf: &Bound<'_, Self>) -> Py<PyAny> {
        let py = slf.py();
        let message = match &*slf.get().lock() {
            State::Cancelled(message) => message.as_ref().map(|message| message.clone_ref(py)),
            _ => None,
        };
        cancelled_error(py, message).into_value(py).into_any()
    }

    /// `RustFuture[int]`, for annotations.
    #[classmethod]
    fn __class_getitem__<'py>(cls: &Bound<'py, PyType>, item: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        cls.py().import("types")?.getattr("GenericAlias")?.call1((cls, item))
    }

    fn __await__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, Self> {
        slf.clone()
    }

    fn __iter__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, Self> {
        slf.clone()
    }

    fn __next__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, Self>> {
        let py = slf.py();
        if let Some(done) = Self::outcome(slf) {
            return Err(PyStopIteration::new_err((Self::value(py, done)?,)));
        }
        if slf.get().blocking.swap(true, Ordering::Relaxed) {
            return Err(PyRuntimeError::new_err("await wasn't used with future"));
        }
        Ok(slf.clone())
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let py = slf.py();
        Self::settle(slf);
        let shown = match &*slf.get().lock() {
            State::Pending(_) => return Ok("<RustFuture pending>".to_owned()),
            State::Cancelled(_) => return Ok("<RustFuture cancelled>".to_owned()),
            State::Result(value) => Ok(value.clone_ref(py)),
            State::Raised(error, _) => Err(error.clone_ref(py)),
        };
        Ok(match shown {
            Ok(value) => format!("<RustFuture finished result={}>", value.bind(py).repr()?),
            Err(error) => format!("<RustFuture finished exception={}>", error.value(py).repr()?),
        })
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.event_loop)?;
        match &*self.lock() {
            State::Pending(callbacks) => {
                for callback in callbacks {
                    visit.call(&callback.function)?;
                    visit.call(&callback.context)?;
                }
            }
            State::Result(value) => visit.call(value)?,
            State::Raised(..) => {}
            State::Cancelled(message) => visit.call(message)?,
        }
        Ok(())
    }

    fn __clear__(&self) {
        let state = mem::replace(&mut *self.lock(), State::Cancelled(None));
        drop(state);
    }
}

impl Drop for RustFuture {
    fn drop(&mut self) {
        // Nobody can wait for it any longer.
        if self.tied {
            self.work.abort();
        }
        let unseen =
            match mem::replace(self.state.get_mut().unwrap_or_else(PoisonError::into_inner), State::Cancelled(None)) {
                State::Raised(error, false) => Some(error),
                State::Pending(_) if !self.shared.abandon() => match self.shared.take() {
                    Some(Outcome { convert, failed: true }) => return self.report(move |py| convert(py).err()),
                    _ => None,
                },
                _ => None,
            };
        if let Some(error) = unseen {
            self.report(move |_| Some(error));
        }
    }
}

impl RustFuture {
    /// Tells the loop's exception handler of a failure that nobody has looked at, as asyncio does.
    fn report(&self, failure: impl FnOnce(Python<'_>) -> Option<PyErr> + Send + 'static) {
        let told = self.home.deliver(Box::new(move |py| {
            let Some(error) = failure(py) else { return };
            let tell = || -> PyResult<()> {
                let about = PyDict::new(py);
                about.set_item("message", "RustFuture exception was never retrieved")?;
                about.set_item("exception", error.clone_ref(py))?;
                asyncio::running_loop(py)?.call_method1("call_exception_handler", (about,)).map(drop)
            };
            if let Err(failure) = tell() {
                errors::log(py, &failure, "a Rust future that nobody looked at");
            }
        }));
        // Without a loop there is nobody to tell. It is dropped here, where the interpreter drops this future.
        drop(told);
    }
}
