//! `LoopCore`: the native half of PyLoop, which the Python half mixes into asyncio's own loop.
//!
//! It comes first in the order of bases, so what is defined here wins and everything else is the interpreter's code.
//! Names that the base class stores on the instance (`_ready`, `_closed`, `_stopping`, `_thread_id`, `_debug`, …) stay
//! the base's: nothing here may be called so.
//!
//! Here is what it holds, and what asyncio calls on it. [`calls`] and [`descriptors`] do what these ask for, [`running`] is what a turn
//! needs, and [`parts`] what the rest of the loop reaches.

mod calls;
mod descriptors;
mod parts;
mod running;

use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use pyo3::types::{PyDict, PyTuple};

use super::call::Call;
use super::driver::{Driver, Local};
use super::flood::Progress;
use super::guarded::Guarded;
use super::handle::Handle;
use super::inbox::{DEFAULT_CAPACITY, DEFAULT_IN_FLIGHT, Inbox};
use super::jobs::Jobs;
use super::poller::Poller;
use super::ready::{Entry, Ready};
use super::source::Dirty;
use super::spare::Spares;
use super::timer_handle::TimerHandle;
use super::timers::Timers;
use super::transport::Scratch;
use super::watch::{Direction, Watches};
use super::{clock, spawn, turn};
use crate::python::bridge::Futures;

/// Ready queue, timers, descriptors and inbox of one loop.
///
/// Its state is touched by the thread that runs the loop; other threads only push to the ready queue and the inbox.
/// Locks are held for single steps and never while Python runs, so a callback may call back into the loop.
#[pyclass(subclass, frozen, module = "ziggurat._ziggurat")]
pub(crate) struct LoopCore {
    ready: Ready,
    timers: Timers,
    spares: Spares,
    watches: Watches,
    dirty: Dirty,
    scratch: Scratch,
    /// Which thread is in [`turn::run`], and in which turn.
    progress: Arc<Progress>,
    jobs: Jobs,
    futures: Futures,
    inbox: Arc<Inbox>,
    /// None once closed.
    poller: Mutex<Option<Poller>>,
    /// None before the first run, while it runs, and once closed.
    driver: Mutex<Option<Box<dyn Driver>>>,
    /// What of the driver can be used while it parks; none before the first run, once closed, and without Tokio.
    local: Mutex<Option<Local>>,
    /// Whether connections are served on the loop thread.
    fused: AtomicBool,
    park_in_tokio: bool,
    /// The context that each job gets a copy of: the one in which the loop was run.
    base_context: Mutex<Option<Py<PyAny>>>,
    process: u32,
    closed: AtomicBool,
    stopping: AtomicBool,
    debug: AtomicBool,
    task_factory: AtomicBool,
    /// `{"loop": self}`, with which futures and tasks are made.
    loop_keyword: Guarded<Option<Py<PyDict>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn closed_error() -> PyErr {
    PyRuntimeError::new_err("Event loop is closed")
}

#[pymethods]
impl LoopCore {
    #[new]
    #[pyo3(signature = (*, inbox_capacity = DEFAULT_CAPACITY, in_flight_limit = DEFAULT_IN_FLIGHT, park_in_tokio = false))]
    fn new(inbox_capacity: usize, in_flight_limit: usize, park_in_tokio: bool) -> PyResult<Self> {
        let inbox = Inbox::new(inbox_capacity, in_flight_limit).map_err(std::io::Error::from)?;
        let poller = Poller::new()?;
        poller.add_waker(inbox.waker())?;
        Ok(Self {
            ready: Ready::default(),
            timers: Timers::default(),
            spares: Spares::default(),
            watches: Watches::default(),
            dirty: Dirty::default(),
            scratch: Scratch::default(),
            progress: Arc::default(),
            jobs: Jobs::default(),
            futures: Futures::default(),
            inbox: Arc::new(inbox),
            poller: Mutex::new(Some(poller)),
            driver: Mutex::new(None),
            local: Mutex::new(None),
            fused: AtomicBool::new(false),
            park_in_tokio,
            base_context: Mutex::new(None),
            process: process::id(),
            closed: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            debug: AtomicBool::new(false),
            task_factory: AtomicBool::new(false),
            loop_keyword: Guarded::default(),
        })
    }

    /// Arranges for a callback to be called in the next turn.
    #[pyo3(signature = (callback, *args, context = None))]
    fn call_soon<'py>(
        slf: &Bound<'py, Self>,
        callback: Bound<'py, PyAny>,
        args: Bound<'py, PyTuple>,
        context: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Handle>> {
        let (py, this) = (slf.py(), slf.get());
        this.check_open()?;
        if this.is_debug() {
            slf.call_method0(intern!(py, "_check_thread"))?;
            Self::check_callback(slf, &callback, "call_soon")?;
        }
        Self::schedule(slf, Call::with_tuple(callback, &args)?, context)
    }

    /// The same from any thread; wakes the loop.
    #[pyo3(signature = (callback, *args, context = None))]
    fn call_soon_threadsafe<'py>(
        slf: &Bound<'py, Self>,
        callback: Bound<'py, PyAny>,
        args: Bound<'py, PyTuple>,
        context: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Handle>> {
        let this = slf.get();
        this.check_open()?;
        if this.is_debug() {
            Self::check_callback(slf, &callback, "call_soon_threadsafe")?;
        }
        Self::schedule_threadsafe(slf, Call::with_tuple(callback, &args)?, context)
    }

    /// Arranges for a callback to be called after `delay` seconds.
    #[pyo3(signature = (delay, callback, *args, context = None))]
    fn call_later<'py>(
        slf: &Bound<'py, Self>,
        delay: Option<f64>,
        callback: Bound<'py, PyAny>,
        args: Bound<'py, PyTuple>,
        context: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, TimerHandle>> {
        let delay = delay.ok_or_else(|| PyTypeError::new_err("delay must not be None"))?;
        Self::check_timer(slf, &callback)?;
        let when = clock::seconds(clock::now_ns()) + delay;
        Self::schedule_at(slf, when, Call::with_tuple(callback, &args)?, context)
    }

    /// Arranges for a callback to be called at an absolute time of the loop's clock.
    #[pyo3(signature = (when, callback, *args, context = None))]
    fn call_at<'py>(
        slf: &Bound<'py, Self>,
        when: Option<f64>,
        callback: Bound<'py, PyAny>,
        args: Bound<'py, PyTuple>,
        context: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, TimerHandle>> {
        let when = when.ok_or_else(|| PyTypeError::new_err("when cannot be None"))?;
        Self::check_timer(slf, &callback)?;
        Self::schedule_at(slf, when, Call::with_tuple(callback, &args)?, context)
    }

    /// The loop's clock, in seconds; the same as `time.monotonic()`.
    #[allow(clippy::unused_self, reason = "asyncio calls it on the loop")]
    fn time(&self) -> f64 {
        clock::seconds(clock::now_ns())
    }

    /// A future of this loop; the same as the base class gives.
    fn create_future<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        spawn::future(slf)
    }

    /// Makes a task of a coroutine; what the base class gives, without a frame of Python's for the usual case.
    #[pyo3(signature = (coro, **options))]
    fn create_task<'py>(
        slf: &Bound<'py, Self>,
        coro: &Bound<'py, PyAny>,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        slf.get().check_open()?;
        spawn::task(slf, coro, options)
    }

    /// Ends the run after the turn it is in.
    fn stop(slf: &Bound<'_, Self>) -> PyResult<()> {
        slf.get().stopping.store(true, Ordering::Relaxed);
        // The base class leaves `run_forever` by its own flag.
        slf.setattr(intern!(slf.py(), "_stopping"), true)
    }

    /// Where `run_forever` of the base class enters: runs turns until the loop is stopped.
    fn _run_once(slf: &Bound<'_, Self>) -> PyResult<()> {
        turn::run(slf)
    }

    /// Queues a handle of any make.
    fn _add_callback(&self, handle: Bound<'_, PyAny>) -> PyResult<()> {
        let py = handle.py();
        if handle.getattr(intern!(py, "_cancelled"))?.is_truthy()? {
            return Ok(());
        }
        self.ready.push(
            py,
            match handle.cast_into::<Handle>() {
                Ok(handle) => Entry::Native(handle.unbind()),
                Err(error) => Entry::Foreign(error.into_inner().unbind()),
            },
        );
        Ok(())
    }

    fn _add_callback_signalsafe(&self, handle: Bound<'_, PyAny>) -> PyResult<()> {
        self._add_callback(handle)?;
        self.inbox.wake();
        Ok(())
    }

    fn _write_to_self(&self) {
        self.inbox.wake();
    }

    #[pyo3(signature = (fd, callback, *args))]
    fn _add_reader<'py>(
        slf: &Bound<'py, Self>,
        fd: &Bound<'py, PyAny>,
        callback: Bound<'py, PyAny>,
        args: Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, Handle>> {
        Self::watch(slf, fd, Direction::Read, callback, args)
    }

    #[pyo3(signature = (fd, callback, *args))]
    fn _add_writer<'py>(
        slf: &Bound<'py, Self>,
        fd: &Bound<'py, PyAny>,
        callback: Bound<'py, PyAny>,
        args: Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, Handle>> {
        Self::watch(slf, fd, Direction::Write, callback, args)
    }

    fn _remove_reader(slf: &Bound<'_, Self>, fd: &Bound<'_, PyAny>) -> PyResult<bool> {
        Self::unwatch(slf, fd, Direction::Read)
    }

    fn _remove_writer(slf: &Bound<'_, Self>, fd: &Bound<'_, PyAny>) -> PyResult<bool> {
        Self::unwatch(slf, fd, Direction::Write)
    }

    /// What a descriptor is watched for, in the terms of `selectors`; none when it is not watched.
    fn _watch_mask(&self, fd: &Bound<'_, PyAny>) -> PyResult<Option<u32>> {
        self.watches.mask(fd)
    }

    /// The numbers of the watched descriptors.
    fn _watched(&self) -> Vec<usize> {
        self.watches.watched()
    }

    /// Tells the native half what `set_debug` was told.
    fn _set_core_debug(&self, enabled: bool) {
        self.debug.store(enabled, Ordering::Relaxed);
    }

    /// Tells the native half that `set_task_factory` was told of one, or of none.
    fn _set_core_task_factory(&self, is_set: bool) {
        self.task_factory.store(is_set, Ordering::Relaxed);
    }

    /// How many coroutines of jobs are suspended.
    #[getter]
    fn in_flight(&self) -> usize {
        self.inbox.suspended()
    }

    /// How many may be; further jobs are refused.
    #[getter]
    fn in_flight_limit(&self) -> usize {
        self.inbox.in_flight_limit()
    }

    #[setter]
    fn set_in_flight_limit(&self, limit: usize) {
        self.inbox.set_in_flight_limit(limit);
    }

    /// Closes the native half, after the base class has closed its own. May be called again.
    fn _close_core(&self, py: Python<'_>) {
        self.closed.store(true, Ordering::Relaxed);
        let (poller, driver) = (lock(&self.poller).take(), lock(&self.driver).take());
        let local = lock(&self.local).take();
        if self.is_of_this_process() {
            py.detach(|| drop((driver, poller, local)));
        } else {
            std::mem::forget(local);
            // Dropping a runtime in a forked child would wait for threads that the child does not have.
            std::mem::forget(driver);
        }
        self.inbox.close();
        self.release(py);
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.ready.traverse(&visit)?;
        self.timers.traverse(&visit)?;
        self.watches.traverse(&visit)?;
        self.jobs.traverse(&visit)?;
        self.loop_keyword.during_traverse(|keyword| visit.call(keyword)).unwrap_or(Ok(()))?;
        self.futures.traverse(&visit)?;
        if let Some(context) = &*lock(&self.base_context) {
            visit.call(context)?;
        }
        Ok(())
    }

    fn __clear__(&self, py: Python<'_>) {
        self.release(py);
    }
}

impl LoopCore {
    /// Lets go of everything of Python's.
    fn release(&self, py: Python<'_>) {
        self.ready.clear(py);
        self.timers.clear(py);
        self.watches.clear();
        self.dirty.clear();
        self.jobs.clear();
        let keyword = self.loop_keyword.with(py, Option::take);
        drop(keyword);
        self.futures.clear();
        let context = lock(&self.base_context).take();
        drop(context);
    }
}

impl Drop for LoopCore {
    fn drop(&mut self) {
        self.inbox.close();
    }
}
