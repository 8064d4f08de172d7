//! Interrupts that come where nobody can raise them.
//!
//! Turning a result into an answer runs Python code, and a `KeyboardInterrupt` may come just then. The request gets its answer,
//! which is a failure, but the interrupt was not meant for the request: it is noted here, and the loop raises it at the end
//! of the turn. The exception with which a task ended is never noted, since the task itself has raised it already.

use std::cell::{Cell, RefCell};

use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;

thread_local! {
    /// How many loops run on this thread: one may run inside a callback of another.
    static LOOPS: Cell<usize> = const { Cell::new(0) };
    /// Only ever set while a loop runs, and taken before it ends.
    static NOTED: RefCell<Option<PyErr>> = const { RefCell::new(None) };
}

/// Notes the error of `result` if it is an interrupt.
pub(super) fn noting<T>(py: Python<'_>, result: PyResult<T>) -> PyResult<T> {
    if let Err(error) = &result {
        note(py, error);
    }
    result
}

/// Has the loop of this thread raise `error` if it is an interrupt; without a loop nobody is there to raise it.
pub(super) fn note(py: Python<'_>, error: &PyErr) {
    if LOOPS.get() > 0 && error.is_instance_of::<PyKeyboardInterrupt>(py) {
        let before = NOTED.replace(Some(error.clone_ref(py)));
        drop(before);
    }
}

/// The run of a loop on this thread.
pub(super) struct Listening(());

impl Listening {
    pub(super) fn begin() -> Self {
        LOOPS.set(LOOPS.get() + 1);
        Self(())
    }

    /// An error if an interrupt was noted, which is forgotten then. The thread is attached.
    #[inline]
    pub(super) fn heard(&self, _: Python<'_>) -> PyResult<()> {
        NOTED.with_borrow_mut(Option::take).map_or(Ok(()), Err)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        LOOPS.set(LOOPS.get() - 1);
    }
}
