//! `ziggurat.spawn_blocking`: Python functions on the runtime's threads for blocking work.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple};

use super::event_loop::current_loop;
use super::future::RustFuture;
use super::promise::Outcome;
use super::{OnLoop, spawn};
use crate::python::pyloop::tokio_works;
use crate::python::{attach, context};
use crate::service::LeafKind;

/// What a thread needs for a call.
struct Call {
    function: Py<PyAny>,
    args: Py<PyTuple>,
    kwargs: Option<Py<PyDict>>,
    context: Py<PyAny>,
}

impl Call {
    fn run(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let kwargs = self.kwargs.as_ref().map(|kwargs| kwargs.bind(py));
        context::run(self.context.bind(py), || self.function.bind(py).call(self.args.bind(py), kwargs))
            .flatten()
            .map(Bound::unbind)
    }
}

/// Calls a function in a thread, so that it may block; to be awaited.
///
/// As `asyncio.to_thread()`, with the runtime's own threads in place of the loop's default executor: the function sees the context
/// variables of the caller, and what it raises is raised where it is awaited. Cancelling drops a call that has not begun;
/// one that runs is run to its end, and its result is dropped. A call that nobody awaits is made all the same, and the program does not
/// end before it.
#[pyfunction]
#[pyo3(signature = (function, /, *args, **kwargs))]
pub(super) fn spawn_blocking<'py>(
    function: Bound<'py, PyAny>,
    args: Bound<'py, PyTuple>,
    kwargs: Option<Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, RustFuture>> {
    let py = function.py();
    let event_loop = current_loop(py)?;
    wait_at_exit(py)?;
    let call = Call {
        function: function.unbind(),
        args: args.unbind(),
        kwargs: kwargs.map(Bound::unbind),
        context: context::copy_current(py)?.unbind(),
    };
    let call = event_loop.keep(call);
    spawn::begin(py, false, move |runtime, promise| {
        let busy = Busy::new();
        let task = runtime.spawn_blocking(move || {
            promise.keep(run(call));
            drop(busy);
        });
        task.abort_handle()
    })
}

fn run(call: OnLoop<Call>) -> Outcome {
    let result = attach::try_at(LeafKind::Python, |py| {
        let result = call.get(py).run(py);
        // Here, where its objects can be released at once.
        drop(call);
        result
    });
    let result = result.unwrap_or_else(|| Err(PyRuntimeError::new_err("the interpreter is going down")));
    Outcome { failed: result.is_err(), convert: Box::new(move |_| result) }
}

/// How many calls have been asked for and are not over.
static BUSY: Mutex<usize> = Mutex::new(0);
static IDLE: Condvar = Condvar::new();

fn busy() -> MutexGuard<'static, usize> {
    BUSY.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Busy;

impl Busy {
    fn new() -> Self {
        *busy() += 1;
        Self
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut busy = busy();
        *busy -= 1;
        if *busy == 0 {
            IDLE.notify_all();
        }
    }
}

/// Waits until no call runs. The interpreter ends threads that come back to it while it goes down, in the midst of their Rust
/// frames, which end the process.
#[pyfunction]
pub(super) fn _wait_for_blocking(py: Python<'_>) {
    // A forked child has the count of its parent, and none of the threads that would bring it down. The lock may have been
    // held at the fork, so it is not touched.
    if !tokio_works() {
        return;
    }
    py.detach(|| {
        let mut busy = busy();
        while *busy > 0 {
            busy = IDLE.wait(busy).unwrap_or_else(PoisonError::into_inner);
        }
    });
}

/// Has the interpreter wait for the calls where it waits for the threads of executors.
fn wait_at_exit(py: Python<'_>) -> PyResult<()> {
    static REGISTERED: PyOnceLock<()> = PyOnceLock::new();
    REGISTERED.get_or_try_init(py, || {
        let wait = wrap_pyfunction!(_wait_for_blocking, py)?;
        py.import("threading")?.call_method1(intern!(py, "_register_atexit"), (wait,)).map(drop)
    })?;
    Ok(())
}
