//! Jobs become tasks here, and take their first step at once.
//!
//! The task is the interpreter's own `asyncio.Task`, so `current_task()`, timeouts and task groups work from the first
//! line. A coroutine that ends in its first step costs no callback and no turn of the loop.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use pyo3::exceptions::{PyKeyboardInterrupt, PyRuntimeError, PySystemExit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyType};

use super::collect;
use super::core::LoopCore;
use super::handle::Handle;
use super::inbox::{Inbox, Queued, Ticket};
use super::job::{Finish, Refused, Started};
use super::ready::Entry;
use crate::python::context;

/// Starts a job. An error is one that must leave the loop.
pub(super) fn start(event_loop: &Bound<'_, LoopCore>, queued: Queued) -> PyResult<()> {
    let (py, core) = (event_loop.py(), event_loop.get());
    let Queued { ticket, job } = queued;
    if !ticket.begin() {
        job.refused(Refused::Cancelled);
        return Ok(());
    }
    if core.inbox().is_saturated() {
        ticket.done();
        job.refused(Refused::Overloaded);
        return Ok(());
    }
    let context = match job.context(py)? {
        Some(context) => context,
        None => core.job_context(py)?,
    };
    let started = context::run(&context, || catch_unwind(AssertUnwindSafe(|| job.start(py))))?;
    match started {
        Ok(Started::Coroutine { coroutine, finish }) => step(event_loop, &context, coroutine, finish, ticket),
        Ok(Started::Finished) => {
            ticket.done();
            Ok(())
        }
        Err(_) => {
            // The panic hook has told what and where; whoever waits for the job sees that it is gone.
            ticket.done();
            tracing::error!("a job panicked on the event loop");
            Ok(())
        }
    }
}

/// The first step of a coroutine, in a task and in the context of the job.
fn step(
    event_loop: &Bound<'_, LoopCore>,
    context: &Bound<'_, PyAny>,
    coroutine: Py<PyAny>,
    finish: Box<dyn Finish>,
    ticket: Arc<Ticket>,
) -> PyResult<()> {
    let (py, core) = (event_loop.py(), event_loop.get());
    let (task, interrupt) = match first_step(event_loop, context, coroutine) {
        Ok(stepped) => stepped,
        Err(error) => {
            ticket.done();
            let interrupt = is_interrupt(py, &error).then(|| error.clone_ref(py));
            tell(py, finish, Err(error));
            return interrupt.map_or(Ok(()), Err);
        }
    };
    if task.call_method0(intern!(py, "done"))?.is_truthy()? {
        ticket.done();
        let result = result_of(&task);
        // Who makes an answer of it, or handles what it raised, sees its context variables.
        context::run(context, || tell(py, finish, result))?;
    } else {
        let id = ticket.id();
        let waiting = Waiting::new(core.inbox().clone(), ticket, finish);
        let callback = JobDone { event_loop: event_loop.clone().unbind(), id, waiting: Mutex::new(Some(waiting)) };
        let options = PyDict::new(py);
        options.set_item(intern!(py, "context"), context)?;
        task.call_method(intern!(py, "add_done_callback"), (Py::new(py, callback)?,), Some(&options))?;
        core.jobs().insert(id, task.unbind());
    }
    match interrupt {
        Some(error) if is_interrupt(py, &error) => Err(error),
        _ => Ok(()),
    }
}

/// Of a job, only an interrupt ends the run of the loop. `SystemExit` ends the job: one request must not end the rest.
fn is_interrupt(py: Python<'_>, error: &PyErr) -> bool {
    error.is_instance_of::<PyKeyboardInterrupt>(py)
}

/// Whether a step of a task raised `error` only because its job ended with it, so that the loop goes on.
pub(super) fn ended_a_job(event_loop: &Bound<'_, LoopCore>, error: &PyErr) -> bool {
    let py = event_loop.py();
    error.is_instance_of::<PySystemExit>(py)
        && event_loop.get().jobs().all(py).iter().any(|task| ended_with(task.bind(py), error).unwrap_or(false))
}

fn ended_with(task: &Bound<'_, PyAny>, error: &PyErr) -> PyResult<bool> {
    let py = task.py();
    if !task.call_method0(intern!(py, "done"))?.is_truthy()?
        || task.call_method0(intern!(py, "cancelled"))?.is_truthy()?
    {
        return Ok(false);
    }
    Ok(task.call_method0(intern!(py, "exception"))?.is(error.value(py)))
}

/// How a job's task ended. `CancelledError` stands for a cancellation from outside; where nobody asked for one, it came
/// out of something that the coroutine awaited, and is a failure like any other.
fn result_of<'py>(task: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = task.py();
    let error = match task.call_method0(intern!(py, "result")) {
        Err(error) => error,
        result => return result,
    };
    if task.call_method0(intern!(py, "cancelled"))?.is_truthy()?
        && !task.call_method0(intern!(py, "cancelling"))?.is_truthy()?
    {
        let failure = PyRuntimeError::new_err("what the coroutine awaited was cancelled, and the coroutine was not");
        failure.set_cause(py, Some(error));
        return Err(failure);
    }
    Err(error)
}

/// Makes the task and lets it take its first step; beside it an exception that must leave the loop.
pub(super) fn first_step<'py>(
    event_loop: &Bound<'py, LoopCore>,
    context: &Bound<'py, PyAny>,
    coroutine: Py<PyAny>,
) -> PyResult<(Bound<'py, PyAny>, Option<PyErr>)> {
    static TASK: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let py = event_loop.py();
    let class = TASK.import(py, "asyncio", "Task")?;
    let options = PyDict::new(py);
    options.set_item(intern!(py, "loop"), event_loop)?;
    options.set_item(intern!(py, "context"), context)?;
    if starts_eagerly(py) {
        options.set_item(intern!(py, "eager_start"), true)?;
        return Ok((class.call((coroutine,), Some(&options))?, None));
    }
    // Python 3.11 would print a number into a name at once, which later versions do when somebody asks for it.
    options.set_item(intern!(py, "name"), intern!(py, "ziggurat-job"))?;
    // Python 3.11 knows no eager start: the constructor schedules the first step, and we take it out of the queue again.
    let (core, place) = (event_loop.get(), event_loop.get().ready().len(py));
    let task = class.call((coroutine,), Some(&options))?;
    let Some(Entry::Native(step)) = core.ready().take(py, place) else {
        return Err(PyRuntimeError::new_err("the task did not schedule its first step"));
    };
    let step = step.into_bound(py);
    let stepped = if collect::is_sole(step.as_any()) { Handle::run_alone(&step) } else { Handle::run(&step) };
    Handle::release(step, core);
    Ok((task, stepped.err()))
}

/// Whether a task can take its first step in its constructor. PyO3 parses the version anew each time.
pub(super) fn starts_eagerly(py: Python<'_>) -> bool {
    static EAGERLY: OnceLock<bool> = OnceLock::new();
    *EAGERLY.get_or_init(|| py.version_info() >= (3, 12))
}

/// Hands a result over; a panic in there must not take the loop down.
fn tell(py: Python<'_>, finish: Box<dyn Finish>, result: PyResult<Bound<'_, PyAny>>) {
    if catch_unwind(AssertUnwindSafe(|| finish.finish(py, result))).is_err() {
        tracing::error!("the result of a job could not be taken: a panic on the event loop");
    }
}

/// A coroutine of a job that is suspended; it counts against the limit until this is dropped.
struct Waiting {
    inbox: Arc<Inbox>,
    ticket: Arc<Ticket>,
    finish: Option<Box<dyn Finish>>,
    counts: bool,
}

impl Waiting {
    fn new(inbox: Arc<Inbox>, ticket: Arc<Ticket>, finish: Box<dyn Finish>) -> Self {
        let counts = !finish.lasts();
        if counts {
            inbox.suspend();
        }
        Self { inbox, ticket, finish: Some(finish), counts }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.ticket.done();
        if self.counts {
            self.inbox.resume();
        }
    }
}

/// The done-callback of a suspended job.
#[pyclass(frozen, module = "ziggurat._ziggurat")]
struct JobDone {
    event_loop: Py<LoopCore>,
    id: u64,
    waiting: Mutex<Option<Waiting>>,
}

#[pymethods]
impl JobDone {
    fn __call__(&self, task: &Bound<'_, PyAny>) {
        let py = task.py();
        let entry = self.event_loop.get().jobs().remove(self.id);
        drop(entry);
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut waiting) = waiting else { return };
        let finish = waiting.finish.take();
        drop(waiting);
        if let Some(finish) = finish {
            tell(py, finish, result_of(task));
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // The loop holds the task, and the task holds this.
        visit.call(&self.event_loop)
    }
}
