//! Futures that the loop thread begins and polls itself, before it leaves them to the runtime.
//!
//! What a middleware calls ends in most cases in one more job of the same loop. Handed to the runtime it would come back as that job
//! and go there and back again with its answer: four hand-overs between threads. Polled here, the job that it submits starts at
//! once, inside of the caller's step, and its answer is there for a second look. A job that is not done by then, as one whose
//! coroutine waits, leaves the future pending, and the runtime takes it over.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::ptr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

use super::core::LoopCore;
use super::inbox::{Inbox, Queued};
use super::outbox::Outbox;
use super::{spawn, task};
use crate::python::interrupt;

thread_local! {
    /// For whose loop this thread polls a future, and the job that it has submitted. Never borrowed while it is polled.
    static POLLED: RefCell<Option<Polled>> = const { RefCell::new(None) };
}

struct Polled {
    inbox: *const Inbox,
    job: Option<Queued>,
}

/// Keeps a job that was submitted by a future of this loop that is polled on this thread; gives back any other.
pub(super) fn keep(inbox: &Arc<Inbox>, queued: Queued) -> Option<Queued> {
    POLLED.with_borrow_mut(|polled| match polled {
        // A second one waits for its turn, as any other.
        Some(polled) if ptr::eq(polled.inbox, &**inbox) && polled.job.is_none() => {
            polled.job = Some(queued);
            None
        }
        _ => Some(queued),
    })
}

/// A future, as far as the loop thread came with it.
pub(crate) enum Looked<F: Future> {
    Ready(F::Output),
    /// To be polled again, wherever that is, since nobody is told of its progress here.
    Pending(F),
}

/// Begins a future on the loop thread, which runs Python code now, and polls it: twice if it submits a job of this loop, which
/// starts in between.
///
/// # Errors
///
/// What must leave the loop, and when the runtime does not start.
pub(crate) fn look<F>(event_loop: &Bound<'_, LoopCore>, begin: impl FnOnce() -> F) -> PyResult<Looked<F>>
where
    F: Future + Unpin,
{
    let core = event_loop.get();
    let runtime = core.handle().runtime().map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
    let _entered = runtime.enter();
    let look = |mut future: F| match Pin::new(&mut future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Looked::Ready(output),
        Poll::Pending => Looked::Pending(future),
    };
    let (looked, job) = gathering(core.inbox(), || look(begin()));
    let Some(job) = job else { return Ok(looked) };
    start(event_loop, job)?;
    Ok(match looked {
        Looked::Pending(future) => look(future),
        ready @ Looked::Ready(_) => ready,
    })
}

/// What `f` gives, and the job that it has submitted.
fn gathering<R>(inbox: &Arc<Inbox>, f: impl FnOnce() -> R) -> (R, Option<Queued>) {
    /// Puts back what was there before, on a panic too; a job is dropped then with the future that waits for it.
    struct Restore(Option<Polled>);

    impl Drop for Restore {
        fn drop(&mut self) {
            let polled = POLLED.replace(self.0.take());
            drop(polled);
        }
    }

    let _restore = Restore(POLLED.replace(Some(Polled { inbox: Arc::as_ptr(inbox), job: None })));
    let result = f();
    let job = POLLED.with_borrow_mut(|polled| polled.as_mut().and_then(|polled| polled.job.take()));
    (result, job)
}

/// Starts a job inside the step of another task.
fn start(event_loop: &Bound<'_, LoopCore>, job: Queued) -> PyResult<()> {
    let _direct = Outbox::aside();
    let outer = Interrupted::begin(event_loop)?;
    let started = task::start(event_loop, job);
    outer.end().and(started)
}

/// What `loop.create_task(coroutine, context=context)` gives, whose first step is taken at once, inside of whatever runs now.
pub(crate) fn begin<'py>(
    event_loop: &Bound<'py, LoopCore>,
    coroutine: &Bound<'py, PyAny>,
    context: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let (py, core) = (event_loop.py(), event_loop.get());
    if core.is_debug() || core.has_task_factory() {
        let options = PyDict::new(py);
        options.set_item(intern!(py, "context"), context)?;
        return spawn::task(event_loop, coroutine, Some(&options));
    }
    let outer = Interrupted::begin(event_loop)?;
    let stepped = task::first_step(event_loop, context, coroutine.clone().unbind());
    outer.end()?;
    let (task, interrupt) = interrupt::noting(py, stepped)?;
    if let Some(error) = interrupt {
        // What it raised otherwise is told by the task.
        interrupt::note(py, &error);
    }
    Ok(task)
}

/// The task whose step is interrupted. A task that starts eagerly sees to that itself; before Python 3.12 there are none.
struct Interrupted<'a, 'py> {
    event_loop: &'a Bound<'py, LoopCore>,
    task: Option<Bound<'py, PyAny>>,
}

impl<'a, 'py> Interrupted<'a, 'py> {
    fn begin(event_loop: &'a Bound<'py, LoopCore>) -> PyResult<Self> {
        let py = event_loop.py();
        if task::starts_eagerly(py) {
            return Ok(Self { event_loop, task: None });
        }
        let task = module(py)?.call_method1("current_task", (event_loop,))?;
        if task.is_none() {
            return Ok(Self { event_loop, task: None });
        }
        module(py)?.call_method1("_leave_task", (event_loop, &task))?;
        Ok(Self { event_loop, task: Some(task) })
    }

    fn end(self) -> PyResult<()> {
        let Some(task) = self.task else { return Ok(()) };
        module(task.py())?.call_method1("_enter_task", (self.event_loop, task)).map(drop)
    }
}

fn module(py: Python<'_>) -> PyResult<Bound<'_, PyModule>> {
    static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    MODULE.get_or_try_init(py, || py.import("asyncio.tasks").map(Bound::unbind)).map(|module| module.bind(py).clone())
}
