//! Signals wake the loop through Python's own wake-up descriptor.
//!
//! The handler in C runs on whichever thread the kernel picks, which may be a runtime worker, and then nothing
//! interrupts the wait of the loop thread. So while the loop runs in the main thread, the interpreter writes each
//! signal number into the loop's socket pair, which the base class made and reads.

use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::core::LoopCore;

/// The wake-up descriptor as it was before the run; none when this is not the main thread.
pub(super) struct Wakeup(Option<i32>);

impl Wakeup {
    /// Sets the loop's descriptor for the time of a run.
    pub(super) fn set(event_loop: &Bound<'_, LoopCore>) -> PyResult<Self> {
        let py = event_loop.py();
        let socket = event_loop.getattr(intern!(py, "_csock"))?;
        if socket.is_none() {
            return Ok(Self(None));
        }
        match set_wakeup_fd(py, socket.call_method0(intern!(py, "fileno"))?.extract()?) {
            Ok(before) => Ok(Self(Some(before))),
            // "set_wakeup_fd only works in main thread of the main interpreter"
            Err(error) if error.is_instance_of::<PyValueError>(py) => Ok(Self(None)),
            Err(error) => Err(error),
        }
    }

    /// Puts the one before back. With signal handlers on the loop its own stays, so that a signal between two runs is
    /// not lost.
    pub(super) fn restore(self, event_loop: &Bound<'_, LoopCore>) -> PyResult<()> {
        let Some(before) = self.0 else { return Ok(()) };
        let py = event_loop.py();
        if event_loop.getattr(intern!(py, "_signal_handlers"))?.is_truthy()? {
            return Ok(());
        }
        match set_wakeup_fd(py, before) {
            // The one before may have been closed meanwhile.
            Err(error) if error.is_instance_of::<PyValueError>(py) || error.is_instance_of::<PyOSError>(py) => {
                set_wakeup_fd(py, -1).map(drop)
            }
            other => other.map(drop),
        }
    }
}

fn set_wakeup_fd(py: Python<'_>, fd: i32) -> PyResult<i32> {
    let options = PyDict::new(py);
    // A full socket is full of signals that are about to be read.
    options.set_item(intern!(py, "warn_on_full_buffer"), false)?;
    py.import("signal")?.call_method(intern!(py, "set_wakeup_fd"), (fd,), Some(&options))?.extract()
}
