//! `LoopCore`: the native half of PyLoop, which the Python half mixes into asyncio's own loop.
//!
//! It comes first in the order of bases, so what is defined here wins and everything else is the interpreter's code.
//! Names that the base class stores on the instance (`_ready`, `_closed`, `_stopping`, `_thread_id`, `_debug`, …) stay
//! the base's: nothing here may be called so.

use std::process;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use pyo3::types::{PyDict, PyTuple};
use tokio::runtime;

use super::call::Call;
use super::driver::{self, Driver, Local};
use super::flood::Progress;
use super::guarded::Guarded;
use super::handle::Handle;
use super::inbox::{DEFAULT_CAPACITY, DEFAULT_IN_FLIGHT, Inbox, LoopHandle};
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
use crate::python::context;

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
    pub(super) fn fused(&self) -> Option<Local> {
        if !self.fused.load(Ordering::Relaxed) {
            return None;
        }
        lock(&self.local).clone()
    }

    pub(super) fn ready(&self) -> &Ready {
        &self.ready
    }

    pub(super) fn timers(&self) -> &Timers {
        &self.timers
    }

    pub(super) fn spares(&self) -> &Spares {
        &self.spares
    }

    pub(super) fn watches(&self) -> &Watches {
        &self.watches
    }

    /// The sources that write at the end of the turn.
    pub(super) fn dirty(&self) -> &Dirty {
        &self.dirty
    }

    /// Where descriptors are read into.
    pub(super) fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// The number of the turn, which is another in the next one.
    pub(super) fn turn(&self) -> u64 {
        self.progress.turn()
    }

    /// Notes in `last` that something was written in this turn; true when that was so before, so that what is written now can wait
    /// for the end of the turn. While the loop does not run there is no end to wait for.
    pub(super) fn writes_again(&self, last: &AtomicU64) -> bool {
        let turn = self.turn();
        last.swap(turn, Ordering::Relaxed) == turn && self.is_turning()
    }

    pub(super) fn next_turn(&self) {
        self.progress.next_turn();
    }

    /// Which turn it is, for another thread.
    pub(super) fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    pub(in crate::python) fn jobs(&self) -> &Jobs {
        &self.jobs
    }

    /// The Rust futures that something on this loop waits for.
    pub(in crate::python) fn futures(&self) -> &Futures {
        &self.futures
    }

    pub(super) fn inbox(&self) -> &Arc<Inbox> {
        &self.inbox
    }

    pub(super) fn poller(&self) -> PyResult<Poller> {
        lock(&self.poller).clone().ok_or_else(closed_error)
    }

    pub(super) fn is_debug(&self) -> bool {
        self.debug.load(Ordering::Relaxed)
    }

    /// Whether the loop runs. What waits in it is hidden from the garbage collector meanwhile; see [`collect`](super::collect).
    #[inline]
    pub(super) fn is_turning(&self) -> bool {
        self.progress.is_running()
    }

    pub(super) fn has_task_factory(&self) -> bool {
        self.task_factory.load(Ordering::Relaxed)
    }

    /// `{"loop": self}`; to be passed and not to be changed.
    pub(super) fn loop_keyword<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyDict>> {
        let (py, place) = (slf.py(), &slf.get().loop_keyword);
        if let Some(keyword) = place.with(py, |keyword| keyword.as_ref().map(|keyword| keyword.clone_ref(py))) {
            return Ok(keyword.into_bound(py));
        }
        let keyword = PyDict::new(py);
        keyword.set_item(intern!(py, "loop"), slf)?;
        let before = place.with(py, |place| place.replace(keyword.clone().unbind()));
        drop(before);
        Ok(keyword)
    }

    pub(super) fn begin_turns(&self) {
        self.progress.begin();
    }

    pub(super) fn end_turns(&self, py: Python<'_>) {
        self.progress.end();
        self.spares.clear(py);
        self.ready.show(py);
        self.timers.show(py);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    pub(super) fn clear_stop(&self) {
        self.stopping.store(false, Ordering::Relaxed);
    }

    /// False in a child of the process that made the loop: the epoll set is shared with the parent there.
    pub(super) fn is_of_this_process(&self) -> bool {
        self.process == process::id()
    }

    pub(super) fn take_driver(&self) -> PyResult<Box<dyn Driver>> {
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

    pub(super) fn put_driver(&self, driver: Box<dyn Driver>) {
        *lock(&self.driver) = Some(driver);
    }

    /// Jobs start from copies of the context that is current now.
    pub(super) fn remember_context(&self, py: Python<'_>) -> PyResult<()> {
        let context = context::copy_current(py)?.unbind();
        let before = lock(&self.base_context).replace(context);
        drop(before);
        Ok(())
    }

    /// A context for one job.
    pub(super) fn job_context<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let base = lock(&self.base_context).as_ref().map(|context| context.clone_ref(py));
        match base {
            Some(base) => context::copy(base.bind(py)),
            None => context::copy_current(py),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        !self.closed.load(Ordering::Relaxed)
    }

    fn check_open(&self) -> PyResult<()> {
        if self.is_open() { Ok(()) } else { Err(closed_error()) }
    }

    /// What the base class checks in debug mode.
    fn check_callback(slf: &Bound<'_, Self>, callback: &Bound<'_, PyAny>, method: &str) -> PyResult<()> {
        slf.call_method1(intern!(slf.py(), "_check_callback"), (callback, method)).map(drop)
    }

    /// Whether `call_soon` and its kin have nothing to look after but the call.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        !(self.closed.load(Ordering::Relaxed) || self.debug.load(Ordering::Relaxed))
    }

    #[inline]
    pub(super) fn schedule<'py>(
        slf: &Bound<'py, Self>,
        call: Call,
        context: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Handle>> {
        let handle = Handle::new(slf, call, context)?;
        slf.get().ready.push(slf.py(), Entry::Native(handle.clone().unbind()));
        Ok(handle)
    }

    #[inline]
    pub(super) fn schedule_at<'py>(
        slf: &Bound<'py, Self>,
        when: f64,
        call: Call,
        context: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, TimerHandle>> {
        let timer = TimerHandle::new(slf, when, call, context)?;
        slf.get().timers.push(slf.py(), clock::deadline_ns(when), timer.clone().unbind());
        Ok(timer)
    }

    /// Schedules a call from any thread. A thread that floods the loop lets it run now and then.
    #[inline]
    pub(super) fn schedule_threadsafe<'py>(
        slf: &Bound<'py, Self>,
        call: Call,
        context: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Handle>> {
        let (py, this) = (slf.py(), slf.get());
        let handle = Self::schedule(slf, call, context)?;
        this.inbox.wake_attached(py);
        if this.progress.is_flooded(this.ready.len(py)) {
            py.detach(|| this.progress.give_way());
        }
        Ok(handle)
    }

    /// For `call_later` too: with asyncio it is `call_at` that complains.
    fn check_timer(slf: &Bound<'_, Self>, callback: &Bound<'_, PyAny>) -> PyResult<()> {
        let this = slf.get();
        this.check_open()?;
        if this.is_debug() {
            slf.call_method0(intern!(slf.py(), "_check_thread"))?;
            Self::check_callback(slf, callback, "call_at")?;
        }
        Ok(())
    }

    pub(super) fn watch<'py>(
        slf: &Bound<'py, Self>,
        fd: &Bound<'py, PyAny>,
        direction: Direction,
        callback: Bound<'py, PyAny>,
        args: Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, Handle>> {
        let (py, this) = (slf.py(), slf.get());
        this.check_open()?;
        let call = Call::with_tuple(callback, &args)?;
        let handle = Handle::for_descriptor(slf, call)?;
        if let Some(before) = this.watches.add(&this.poller()?, fd, direction, &handle)? {
            before.call_method0(py, intern!(py, "cancel"))?;
        }
        Ok(handle)
    }

    fn unwatch(slf: &Bound<'_, Self>, fd: &Bound<'_, PyAny>, direction: Direction) -> PyResult<bool> {
        let (py, this) = (slf.py(), slf.get());
        let Some(poller) = lock(&this.poller).clone() else { return Ok(false) };
        match this.watches.remove(&poller, fd, direction)? {
            Some(handle) => handle.call_method0(py, intern!(py, "cancel")).map(|_| true),
            // A transport of the interpreter's own making asks for its native half.
            None => this.watches.silence(&poller, fd, direction),
        }
    }
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
