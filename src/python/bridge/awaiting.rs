//! Python awaitables awaited from Rust.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyType};
use tokio::sync::oneshot;

use super::{OnLoop, Raised, asyncio, spawn};
use crate::python::context;
use crate::python::interrupt;
use crate::python::pyloop::{self, Delivery, LoopCore, LoopHandle};
use crate::python::release;

/// Awaits a Python awaitable from Rust; see [`into_future_with`], which is to be preferred.
///
/// The result stays a Python object, in a guard that lets it travel without the interpreter.
///
/// # Errors
/// As [`into_future_with`].
pub fn into_future(
    awaitable: Bound<'_, PyAny>,
) -> PyResult<impl Future<Output = Result<OnLoop<Py<PyAny>>, Raised>> + Send + 'static> {
    let home = spawn::running_pyloop(awaitable.py())?.get().handle();
    into_future_with(awaitable, move |_, value| Ok(OnLoop::new(value.unbind(), home)))
}

/// Awaits a Python awaitable from Rust and turns its result into Rust data on the loop thread.
///
/// To be called while attached, where a [PyLoop](crate::python) runs. The awaitable begins in the next turn of the loop, in a task
/// with a copy of the context variables that are current now; the future that this gives can be awaited on any thread of any
/// runtime. Code that is not attached makes its awaitables with [`EventLoop::run`](super::EventLoop::run).
///
/// - Dropping the future cancels the task, which may still clean up; nobody waits for that.
/// - An exception of the awaitable or of `map` is an error; so is its cancellation ([`Raised::is_cancelled`]).
/// - When the loop is closed before the awaitable ends, the error says so.
/// - The loop thread must not block on the future: the awaitable could never end.
///
/// # Errors
/// `RuntimeError` when no loop runs on this thread, or another than PyLoop.
///
/// # Example
/// ```
/// use pyo3::prelude::*;
/// use ziggurat::python::{future_into_py, into_future_with};
///
/// /// `await longer(fetch())` in Python, where `fetch()` gives a text.
/// #[pyfunction]
/// fn longer(awaitable: Bound<'_, PyAny>) -> PyResult<Bound<'_, PyAny>> {
///     let py = awaitable.py();
///     let text = into_future_with(awaitable, |_, value| value.extract::<String>())?;
///     future_into_py(py, async move {
///         let text = text.await?;
///         Ok::<_, ziggurat::python::Raised>(text + "!")
///     })
/// }
/// ```
pub fn into_future_with<T, M>(
    awaitable: Bound<'_, PyAny>,
    map: M,
) -> PyResult<impl Future<Output = Result<T, Raised>> + Send + use<T, M>>
where
    T: Send + 'static,
    M: for<'py> FnOnce(Python<'py>, Bound<'py, PyAny>) -> PyResult<T> + Send + 'static,
{
    let py = awaitable.py();
    let home = spawn::running_pyloop(py)?.get().handle();
    let context = Arc::new(OnLoop::new(context::copy_current(py)?.unbind(), home.clone()));
    let awaitable = OnLoop::new(awaitable.unbind(), home.clone());
    Ok(await_in(&home, context, move |py| Ok(awaitable.into_inner(py).into_bound(py)), map))
}

/// Runs `f` on the loop thread in a copy of `context`.
pub(super) fn call_in<T, F>(
    home: &LoopHandle,
    context: Arc<OnLoop<Py<PyAny>>>,
    f: F,
) -> impl Future<Output = Result<T, Raised>> + Send + use<T, F>
where
    T: Send + 'static,
    F: FnOnce(Python<'_>) -> PyResult<T> + Send + 'static,
{
    let (sender, receiver) = oneshot::channel();
    let back = home.clone();
    let told = home.deliver(Box::new(move |py| {
        let outcome = guarded(py, &back, || {
            let context = context::copy(context.get(py).bind(py))?;
            interrupt::noting(py, context::run(&context, || f(py)).flatten())
        });
        // Nobody may wait for it any longer.
        drop(sender.send(outcome));
    }));
    drop_back(told);
    async move { receiver.await.unwrap_or_else(|_| Err(Raised::closed())) }
}

/// Makes an awaitable on the loop thread and awaits it in a task there, both in a copy of `context`.
pub(super) fn await_in<T, A, M>(home: &LoopHandle, context: Arc<OnLoop<Py<PyAny>>>, make: A, map: M) -> Awaited<T>
where
    T: Send + 'static,
    A: for<'py> FnOnce(Python<'py>) -> PyResult<Bound<'py, PyAny>> + Send + 'static,
    M: for<'py> FnOnce(Python<'py>, Bound<'py, PyAny>) -> PyResult<T> + Send + 'static,
{
    let (awaited, begin) = awaiting(home, context, First::Queued, make, map);
    drop_back(home.deliver(Box::new(begin)));
    awaited
}

/// The same on the loop thread, which takes the first step at once.
pub(super) fn await_here<T, A, M>(
    py: Python<'_>,
    home: &LoopHandle,
    context: Arc<OnLoop<Py<PyAny>>>,
    make: A,
    map: M,
) -> Awaited<T>
where
    T: Send + 'static,
    A: for<'py> FnOnce(Python<'py>) -> PyResult<Bound<'py, PyAny>> + Send + 'static,
    M: for<'py> FnOnce(Python<'py>, Bound<'py, PyAny>) -> PyResult<T> + Send + 'static,
{
    let (awaited, begin) = awaiting(home, context, First::AtOnce, make, map);
    begin(py);
    awaited
}

/// When a task takes its first step.
#[derive(Clone, Copy)]
enum First {
    Queued,
    AtOnce,
}

/// What waits for it, and what begins it on the loop thread.
fn awaiting<T, A, M>(
    home: &LoopHandle,
    context: Arc<OnLoop<Py<PyAny>>>,
    first: First,
    make: A,
    map: M,
) -> (Awaited<T>, impl FnOnce(Python<'_>) + Send + use<T, A, M>)
where
    T: Send + 'static,
    A: for<'py> FnOnce(Python<'py>) -> PyResult<Bound<'py, PyAny>> + Send + 'static,
    M: for<'py> FnOnce(Python<'py>, Bound<'py, PyAny>) -> PyResult<T> + Send + 'static,
{
    let (sender, receiver) = oneshot::channel::<Result<T, Raised>>();
    let id = home.next_id();
    let back = home.clone();
    let run = move |py: Python<'_>| {
        if sender.is_closed() {
            // Dropped before it began. What was not begun is let go here, attached.
            return drop((make, map));
        }
        let finish_home = back.clone();
        let finish: Finish = Box::new(move |py, result| {
            let outcome = guarded(py, &finish_home, || result.and_then(|value| interrupt::noting(py, map(py, value))));
            drop(sender.send(outcome));
        });
        match catch_unwind(AssertUnwindSafe(|| begin(py, &context, first, make))) {
            Ok(Ok((_, task))) if matches!(first, First::AtOnce) && is_done(&task) => {
                finish(py, task.call_method0(intern!(py, "result")));
            }
            Ok(Ok((event_loop, task))) => wait(&event_loop, &task, id, finish),
            Ok(Err(error)) => finish(py, Err(error)),
            Err(_) => finish(py, Err(PyRuntimeError::new_err("a panic on the event loop"))),
        }
    };
    (Awaited { receiver, home: home.clone(), id, over: false }, run)
}

/// Lets go of what a closed loop gave back.
fn drop_back(told: Result<(), Delivery>) {
    if let Err(back) = told {
        release::bury(back);
    }
}

/// Takes the result of an awaitable on the loop thread.
pub(super) type Finish = Box<dyn FnOnce(Python<'_>, PyResult<Bound<'_, PyAny>>) + Send>;

fn guarded<T>(py: Python<'_>, home: &LoopHandle, f: impl FnOnce() -> PyResult<T>) -> Result<T, Raised> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(result) => result.map_err(|error| Raised::new(py, error, home)),
        // The panic hook has told what and where.
        Err(_) => Err(Raised::panicked()),
    }
}

/// Makes the task.
fn begin<'py>(
    py: Python<'py>,
    context: &OnLoop<Py<PyAny>>,
    first: First,
    make: impl FnOnce(Python<'py>) -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<(Bound<'py, LoopCore>, Bound<'py, PyAny>)> {
    let event_loop = spawn::running_pyloop(py)?;
    let context = context::copy(context.get(py).bind(py))?;
    let awaitable = context::run(&context, || make(py))??;
    if matches!(first, First::AtOnce) && is_coroutine(&awaitable)? {
        let task = pyloop::begin(&event_loop, &awaitable, &context)?;
        return Ok((event_loop, task));
    }
    let task = context::run(&context, || {
        if !is_coroutine(&awaitable)? {
            return asyncio::ensure_future(&awaitable, event_loop.as_any());
        }
        let options = PyDict::new(py);
        options.set_item(intern!(py, "context"), &context)?;
        event_loop.call_method(intern!(py, "create_task"), (awaitable,), Some(&options))
    })??;
    Ok((event_loop, task))
}

fn is_done(task: &Bound<'_, PyAny>) -> bool {
    task.call_method0(intern!(task.py(), "done")).and_then(|done| done.is_truthy()).unwrap_or(false)
}

/// Has `finish` called when the task is done.
fn wait(event_loop: &Bound<'_, LoopCore>, task: &Bound<'_, PyAny>, id: u64, finish: Finish) {
    let (py, core) = (event_loop.py(), event_loop.get());
    core.futures().expect(id, finish);
    core.jobs().insert(id, task.clone().unbind());
    let add = || {
        let done = Py::new(py, AwaitableDone { event_loop: event_loop.clone().unbind(), id })?;
        task.call_method1(intern!(py, "add_done_callback"), (done,))
    };
    if let Err(error) = add()
        && let Some(finish) = core.futures().finish(id)
    {
        drop(core.jobs().remove(id));
        finish(py, Err(error));
    }
}

fn is_coroutine(awaitable: &Bound<'_, PyAny>) -> PyResult<bool> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let py = awaitable.py();
    Ok(awaitable.get_type().is(CLASS.import(py, "types", "CoroutineType")?))
}

/// The done-callback of an awaitable that Rust waits for.
#[pyclass(frozen, module = "ziggurat._ziggurat")]
struct AwaitableDone {
    event_loop: Py<LoopCore>,
    id: u64,
}

#[pymethods]
impl AwaitableDone {
    fn __call__(&self, task: &Bound<'_, PyAny>) {
        let py = task.py();
        let core = self.event_loop.get();
        drop(core.jobs().remove(self.id));
        // None once the loop is closed.
        if let Some(finish) = core.futures().finish(self.id) {
            finish(py, task.call_method0(intern!(py, "result")));
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.event_loop)
    }
}

/// An awaitable on its way; dropping it cancels the task.
#[must_use = "dropping it cancels the task"]
pub(super) struct Awaited<T> {
    receiver: oneshot::Receiver<Result<T, Raised>>,
    home: LoopHandle,
    id: u64,
    over: bool,
}

impl<T> Future for Awaited<T> {
    type Output = Result<T, Raised>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = ready!(Pin::new(&mut self.receiver).poll(cx));
        self.over = true;
        Poll::Ready(outcome.unwrap_or_else(|_| Err(Raised::closed())))
    }
}

impl<T> Drop for Awaited<T> {
    fn drop(&mut self) {
        if !self.over {
            // Closed first: an awaitable that was not begun is not begun any more.
            self.receiver.close();
            self.home.cancel(self.id);
        }
    }
}
