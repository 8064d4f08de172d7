//! The loop as Rust code sees it that runs elsewhere.

use std::fmt;
use std::sync::Arc;

use pyo3::prelude::*;

use super::awaiting::{Awaited, await_here, await_in, call_in};
use super::{OnLoop, Raised, spawn};
use crate::python::context;
use crate::python::pyloop::LoopHandle;

/// A running PyLoop and the context variables of whoever asked for it.
///
/// It is Rust data, cheap to clone, for futures that run on the runtime. What it is given runs on the loop thread, each
/// time in a copy of that context.
///
/// # Example
/// ```
/// use pyo3::prelude::*;
/// use ziggurat::python::{current_loop, future_into_py};
///
/// /// `await total(fetch)` in Python, where `fetch` is a coroutine function that gives a number.
/// #[pyfunction]
/// fn total(fetch: Bound<'_, PyAny>) -> PyResult<Bound<'_, PyAny>> {
///     let py = fetch.py();
///     let event_loop = current_loop(py)?;
///     let fetch = event_loop.keep(fetch.unbind());
///     future_into_py(py, async move {
///         // On a worker of the runtime, without the interpreter.
///         let first: i64 = event_loop
///             .run(move |py| fetch.get(py).bind(py).call1(("first",)), |_, number| number.extract())
///             .await?;
///         Ok::<_, ziggurat::python::Raised>(first + 1)
///     })
/// }
/// ```
#[derive(Clone)]
pub struct EventLoop {
    home: LoopHandle,
    context: Arc<OnLoop<Py<PyAny>>>,
}

/// The PyLoop that runs on this thread.
///
/// # Errors
/// `RuntimeError` when no loop runs on this thread, or another than PyLoop.
pub fn current_loop(py: Python<'_>) -> PyResult<EventLoop> {
    let home = spawn::running_pyloop(py)?.get().handle();
    Ok(EventLoop::new(home, context::copy_current(py)?.unbind()))
}

impl EventLoop {
    /// A loop that may run on another thread, and a context for what it runs.
    pub(in crate::python) fn new(home: LoopHandle, context: Py<PyAny>) -> Self {
        let context = Arc::new(OnLoop::new(context, home.clone()));
        Self { home, context }
    }

    /// Guards a Python object for the way through code that is not attached.
    pub fn keep<T: Send + 'static>(&self, value: T) -> OnLoop<T> {
        OnLoop::new(value, self.home.clone())
    }

    /// Runs `f` on the loop thread.
    ///
    /// It is queued at once and runs even if nobody waits for it. It must not block: the loop stands still meanwhile.
    pub fn call<T, F>(&self, f: F) -> impl Future<Output = Result<T, Raised>> + Send + use<T, F>
    where
        T: Send + 'static,
        F: FnOnce(Python<'_>) -> PyResult<T> + Send + 'static,
    {
        call_in(&self.home, self.context.clone(), f)
    }

    /// Makes an awaitable on the loop thread, awaits it there in a task, and turns its result into Rust data.
    ///
    /// It is queued at once. Dropping the future cancels the task; see [`into_future`](super::into_future).
    pub fn run<T, A, M>(&self, make: A, map: M) -> impl Future<Output = Result<T, Raised>> + Send + use<T, A, M>
    where
        T: Send + 'static,
        A: for<'py> FnOnce(Python<'py>) -> PyResult<Bound<'py, PyAny>> + Send + 'static,
        M: for<'py> FnOnce(Python<'py>, Bound<'py, PyAny>) -> PyResult<T> + Send + 'static,
    {
        let awaited: Awaited<T> = await_in(&self.home, self.context.clone(), make, map);
        awaited
    }

    /// The same on the loop thread: the task takes its first step before this returns, inside of whatever runs now.
    pub(in crate::python) fn run_here<T, A, M>(
        &self,
        py: Python<'_>,
        make: A,
        map: M,
    ) -> impl Future<Output = Result<T, Raised>> + Send + use<T, A, M>
    where
        T: Send + 'static,
        A: for<'py> FnOnce(Python<'py>) -> PyResult<Bound<'py, PyAny>> + Send + 'static,
        M: for<'py> FnOnce(Python<'py>, Bound<'py, PyAny>) -> PyResult<T> + Send + 'static,
    {
        let awaited: Awaited<T> = await_here(py, &self.home, self.context.clone(), make, map);
        awaited
    }
}

impl fmt::Debug for EventLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLoop").finish_non_exhaustive()
    }
}
