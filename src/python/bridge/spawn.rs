//! Rust futures awaited from Python.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use super::asyncio;
use super::future::RustFuture;
use super::promise::{Outcome, Promise, Shared};
use crate::python::pyloop::{LoopCore, LoopHandle, tokio_works};

/// Runs a Rust future on the runtime and gives what Python awaits.
///
/// To be called inside a coroutine, or a callback, of a running [PyLoop](crate::python): the awaitable belongs to that loop.
/// It is a future for all of asyncio, so `wait_for`, `gather`, `shield`, `asyncio.timeout` and task groups take it, and
/// whoever awaits it keeps its context variables.
///
/// The future begins at once, on a worker of the runtime. It never touches the interpreter there: its result is turned into
/// a Python object on the loop thread, and an error into an exception. What it carries should be Rust data; a Python object
/// can travel in [`OnLoop`](super::OnLoop), which sees to it that it is released on the loop thread.
///
/// - Cancelling it from Python, also by cancelling the task that awaits it, drops the Rust future at its next `.await`.
/// - So does letting go of it without awaiting it.
/// - A panic raises `RuntimeError` where it is awaited.
/// - A result that comes when the loop is closed is dropped.
/// - Python holds no thread while it waits.
///
/// # Errors
/// `RuntimeError` when no loop runs on this thread, when the running loop is not a PyLoop (then
/// `pyo3_async_runtimes::tokio::future_into_py` is the way, which works on any loop), and in a child process that was forked,
/// where the runtime has no threads.
///
/// # Example
/// ```
/// use std::time::Duration;
/// use pyo3::prelude::*;
/// use ziggurat::python::future_into_py;
///
/// /// `await pause(0.1)` in Python.
/// #[pyfunction]
/// fn pause(py: Python<'_>, seconds: f64) -> PyResult<Bound<'_, PyAny>> {
///     future_into_py(py, async move {
///         tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
///         PyResult::Ok(seconds)
///     })
/// }
/// ```
pub fn future_into_py<'py, F, T, E>(py: Python<'py>, future: F) -> PyResult<Bound<'py, PyAny>>
where
    F: Future<Output = Result<T, E>> + Send + 'static,
    T: for<'a> IntoPyObject<'a> + Send + 'static,
    E: Into<PyErr> + Send + 'static,
{
    let work = async move {
        match future.await {
            Ok(value) => Outcome { convert: Box::new(move |py| value.into_py_any(py)), failed: false },
            Err(error) => Outcome { convert: Box::new(move |_| Err(error.into())), failed: true },
        }
    };
    Ok(spawn(py, work)?.into_any())
}

/// Runs `work` on the runtime; what it brings is made into a Python object on the loop thread.
pub(in crate::python) fn spawn_bringing<F, C>(py: Python<'_>, work: F) -> PyResult<Bound<'_, RustFuture>>
where
    F: Future<Output = C> + Send + 'static,
    C: FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send + 'static,
{
    spawn(py, async move { Outcome { convert: Box::new(work.await), failed: false } })
}

fn spawn(py: Python<'_>, work: impl Future<Output = Outcome> + Send + 'static) -> PyResult<Bound<'_, RustFuture>> {
    begin(py, true, |runtime, promise| {
        let task = runtime.spawn(async move {
            // Inside, so that an aborted future is gone before whoever waits learns of it.
            let outcome = AssertUnwindSafe(work).catch_unwind().await;
            promise.keep(outcome.unwrap_or_else(|panic| {
                let error = panicked(&*panic);
                Outcome { convert: Box::new(move |_| Err(error)), failed: true }
            }));
        });
        task.abort_handle()
    })
}

/// Has `f` begin something on the runtime that keeps the promise; gives what Python awaits. If the work is `tied` to that, it ends
/// when Python lets go of it.
pub(super) fn begin<'py>(
    py: Python<'py>,
    tied: bool,
    f: impl FnOnce(&Handle, Promise) -> AbortHandle,
) -> PyResult<Bound<'py, RustFuture>> {
    let event_loop = running_pyloop(py)?;
    let home = event_loop.get().handle();
    let runtime = runtime(&home)?;
    let (shared, id) = (Shared::new(), home.next_id());
    let promise = Promise::new(shared.clone(), home.clone(), id);
    let task = f(&runtime, promise);
    Bound::new(py, RustFuture::new(&event_loop, shared, task, tied, home, id))
}

/// Where the work of a loop runs: on the global runtime, or beside the connections when the loop serves them itself.
fn runtime(home: &LoopHandle) -> PyResult<Handle> {
    if !tokio_works() {
        return Err(PyRuntimeError::new_err(
            "Rust futures do not run in a forked child process, where the runtime has no threads; \
             use multiprocessing's \"spawn\" or \"forkserver\"",
        ));
    }
    home.runtime().map_err(|error| PyRuntimeError::new_err(format!("the runtime did not start: {error}")))
}

/// What a panic of a Rust future raises where that is awaited.
pub(in crate::python) fn panicked(panic: &(dyn Any + Send)) -> PyErr {
    let words = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let words = format!("a Rust future panicked: {}", words.unwrap_or("no words were left"));
    PyRuntimeError::new_err(words)
}

/// The PyLoop that runs on this thread.
pub(in crate::python) fn running_pyloop(py: Python<'_>) -> PyResult<Bound<'_, LoopCore>> {
    asyncio::running_loop(py)?.cast_into::<LoopCore>().map_err(|error| {
        let other = error.into_inner();
        let class = other.get_type().name().map(|name| name.to_string()).unwrap_or_default();
        PyRuntimeError::new_err(format!(
            "this needs a running PyLoop, and the running loop is a {class}; \
             run the program with ziggurat.new_event_loop as its loop_factory"
        ))
    })
}
