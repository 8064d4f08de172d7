//! A coroutine that waits, as the runtime sees it.

use pyo3::intern;
use pyo3::prelude::*;

use crate::python::bridge::{OnLoop, running_pyloop};
use crate::python::pyloop::LoopHandle;
use crate::python::release;

/// A future of the loop that somebody waits for. It is only a signal: whoever waits looks again when it comes, so that nothing is lost with a
/// task that is cancelled at this moment.
pub(super) struct Waiter {
    future: OnLoop<Py<PyAny>>,
    home: LoopHandle,
}

impl Waiter {
    /// Gives the future as well, ready to be yielded to a task.
    pub(super) fn new(py: Python<'_>) -> PyResult<(Self, Bound<'_, PyAny>)> {
        let event_loop = running_pyloop(py)?;
        let home = event_loop.get().handle();
        let future = event_loop.call_method0(intern!(py, "create_future"))?;
        future.setattr(intern!(py, "_asyncio_future_blocking"), true)?;
        let waiter = Self { future: OnLoop::new(future.clone().unbind(), home.clone()), home };
        Ok((waiter, future))
    }

    /// Wakes it, from any thread.
    pub(super) fn wake(self) {
        let Self { future, home } = self;
        let told = home.deliver(Box::new(move |py| {
            let future = future.into_inner(py).into_bound(py);
            let woken = || -> PyResult<()> {
                if !future.call_method0(intern!(py, "done"))?.is_truthy()? {
                    future.call_method1(intern!(py, "set_result"), (py.None(),))?;
                }
                Ok(())
            };
            if let Err(error) = woken() {
                // Only a loop that is being closed refuses.
                tracing::debug!(%error, "a coroutine that waits for a WebSocket was not woken");
            }
        }));
        if let Err(back) = told {
            release::bury(back);
        }
    }
}
