//! What other threads may ask of the loop thread: jobs.

use std::fmt;

use pyo3::prelude::*;

/// Work for the loop thread, made on any thread.
///
/// A job waits in the inbox without the interpreter, and may be dropped on the thread that submits it, so it carries
/// Rust data and ids and never a `Py<T>`.
pub(crate) trait Job: Send + 'static {
    /// The context that it runs in and that is its own; without one it is a copy of the loop's. Called on the loop thread, attached.
    fn context<'py>(&self, _: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(None)
    }

    /// Runs on the loop thread, attached, inside its context.
    fn start(self: Box<Self>, py: Python<'_>) -> Started;

    /// The loop will not run it. Called on any thread, perhaps without the interpreter.
    fn refused(self: Box<Self>, why: Refused);
}

/// How far a job got when it was started.
pub(crate) enum Started {
    /// It is done.
    Finished,
    /// The loop is to run this coroutine, in the job's context, and tell `finish` how it ended.
    Coroutine {
        /// An object that `asyncio.Task` accepts.
        coroutine: Py<PyAny>,
        /// Who waits for the result.
        finish: Box<dyn Finish>,
    },
}

/// Takes the result of a job's coroutine.
///
/// It may hold `Py<T>`: it is made, called and dropped on the loop thread while attached.
pub(crate) trait Finish: Send {
    /// Called once, when the task is done. A cancelled task ends with `CancelledError`.
    ///
    /// Not called when the loop is closed with the task still pending: then it is only dropped.
    fn finish(self: Box<Self>, py: Python<'_>, result: PyResult<Bound<'_, PyAny>>);

    /// Whether the coroutine lasts as long as its client likes, as one that speaks on a WebSocket. Such do not count against the limit of
    /// suspended coroutines, which is for those that have work to do: the server's limit of connections bounds them.
    fn lasts(&self) -> bool {
        false
    }
}

/// Why a job that was accepted will not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Whoever submitted it let go of it.
    Cancelled,
    /// Too many coroutines are suspended.
    Overloaded,
    /// The loop stopped or was closed before its turn came.
    Stopped,
}

/// Why a job was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overloaded {
    /// The inbox is full.
    InboxFull,
    /// Too many coroutines are suspended.
    TooManyInFlight,
    /// The loop is closed.
    Closed,
}

impl fmt::Display for Overloaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InboxFull => "the inbox of the event loop is full",
            Self::TooManyInFlight => "too many coroutines are waiting on the event loop",
            Self::Closed => "the event loop is closed",
        })
    }
}

impl std::error::Error for Overloaded {}
