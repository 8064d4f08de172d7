//! How it runs: its turns, what it parks in, and the context and process that it runs in.

use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use tokio::runtime;

use super::{LoopCore, lock};
use crate::python::context;
use crate::python::pyloop::driver::{self, Driver, Local};
use crate::python::pyloop::inbox::LoopHandle;

impl LoopCore {
    /// A way to hand jobs to this loop.
    pub(crate) fn handle(&self) -> LoopHandle {
        let local = self.fused().map(|local| local.runtime);
        LoopHandle::new(self.inbox.clone(), local)
    }

    /// From now on connections may be served on the loop thread; gives the runtime that does.
    ///
    /// # Errors
    ///
    /// When the loop has none: it does not run yet, or was made in a forked child.
    pub(crate) fn fuse(&self) -> PyResult<runtime::Handle> {
        let local = lock(&self.local).clone().ok_or_else(|| {
            PyRuntimeError::new_err(
                "this event loop cannot serve connections on its own thread: it does not run, or was made in a forked child",
            )
        })?;
        local.hold();
        self.fused.store(true, Ordering::Relaxed);
        Ok(local.runtime)
    }

    /// What runs on the loop thread while it parks, if connections are served there.
    pub(in crate::python::pyloop) fn fused(&self) -> Option<Local> {
        if !self.fused.load(Ordering::Relaxed) {
            return None;
        }
        lock(&self.local).clone()
    }

    /// The number of the turn, which is another in the next one.
    pub(in crate::python::pyloop) fn turn(&self) -> u64 {
        self.progress.turn()
    }

    /// Notes in `last` that something was written in this turn; true when that was so before, so that what is written now can wait
    /// for the end of the turn. While the loop does not run there is no end to wait for.
    pub(in crate::python::pyloop) fn writes_again(&self, last: &AtomicU64) -> bool {
        let turn = self.turn();
        last.swap(turn, Ordering::Relaxed) == turn && self.is_turning()
    }

    pub(in crate::python::pyloop) fn next_turn(&self) {
        self.progress.next_turn();
    }

    /// Whether the loop runs. What waits in it is hidden from the garbage collector meanwhile; see [`collect`](crate::python::pyloop::collect).
    #[inline]
    pub(in crate::python::pyloop) fn is_turning(&self) -> bool {
        self.progress.is_running()
    }

    pub(in crate::python::pyloop) fn begin_turns(&self) {
        self.progress.begin();
    }

    pub(in crate::python::pyloop) fn end_turns(&self, py: Python<'_>) {
        self.progress.end();
        self.spares.clear(py);
        self.ready.show(py);
        self.timers.show(py);
    }

    pub(in crate::python::pyloop) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    pub(in crate::python::pyloop) fn clear_stop(&self) {
        self.stopping.store(false, Ordering::Relaxed);
    }

    /// False in a child of the process that made the loop: the epoll set is shared with the parent there.
    pub(in crate::python::pyloop) fn is_of_this_process(&self) -> bool {
        self.process == process::id()
    }

    pub(in crate::python::pyloop) fn take_driver(&self) -> PyResult<Box<dyn Driver>> {
        let driver = lock(&self.driver).take();
        match driver {
            Some(driver) => Ok(driver),
            None => {
                let driver = driver::choose(self.poller()?, self.park_in_tokio)?;
                *lock(&self.local) = driver.local();
                Ok(driver)
            }
        }
    }

    pub(in crate::python::pyloop) fn put_driver(&self, driver: Box<dyn Driver>) {
        *lock(&self.driver) = Some(driver);
    }

    /// Jobs start from copies of the context that is current now.
    pub(in crate::python::pyloop) fn remember_context(&self, py: Python<'_>) -> PyResult<()> {
        let context = context::copy_current(py)?.unbind();
        let before = lock(&self.base_context).replace(context);
        drop(before);
        Ok(())
    }

    /// A context for one job.
    pub(in crate::python::pyloop) fn job_context<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let base = lock(&self.base_context).as_ref().map(|context| context.clone_ref(py));
        match base {
            Some(base) => context::copy(base.bind(py)),
            None => context::copy_current(py),
        }
    }
}
