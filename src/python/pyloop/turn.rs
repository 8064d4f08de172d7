//! The turns of the loop thread: park, take what came in, run what was ready.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;

use super::clock;
use super::collect;
use super::core::LoopCore;
use super::driver::{Driver, Local};
use super::fused::Park;
use super::handle::{Handle, leaves_the_loop};
use super::inbox::Notice;
use super::outbox::Outbox;
use super::poller::{BATCH, Event, WAKER};
use super::ready::Entry;
use super::signals::Wakeup;
use super::timer_handle::TimerHandle;
use super::{runtime, task};
use crate::python::errors;
use crate::python::interrupt::Listening;

/// While there is work, descriptors are asked for at most this often; it also lets other Python threads in.
const POLL_EVERY_NS: u64 = 250_000;
/// While turns are short, the clock is read once in this many of them at most, and at least once in so long.
const CLOCK_STRIDE: u32 = 16;
const CLOCK_EVERY_NS: u64 = 20_000;
/// With a timer that is due so soon, the clock is read in each turn.
const SOON_NS: u64 = 1_000_000;
/// Bounds of what one turn takes from the inbox, in number and in time, so that callbacks and I/O get theirs.
const JOBS_PER_TURN: usize = 128;
const NOTICES_PER_TURN: usize = 256;
const INBOX_TIME_NS: u64 = 2_000_000;

/// Runs turns until the loop is stopped or something is raised that must leave it.
pub(super) fn run(event_loop: &Bound<'_, LoopCore>) -> PyResult<()> {
    let (py, core) = (event_loop.py(), event_loop.get());
    if !core.is_of_this_process() {
        return Err(PyRuntimeError::new_err(
            "this event loop was made before a fork; make a new one in the child process",
        ));
    }
    let mut driver = core.take_driver()?;
    core.remember_context(py)?;
    let wakeup = Wakeup::set(event_loop)?;
    core.begin_turns();
    let result = {
        let _entered = runtime::enter();
        let outbox = Outbox::open();
        let listening = Listening::begin();
        let result = Turns::new(event_loop, &mut *driver, &outbox, &listening).run();
        // What was written in a turn that an interrupt ended leaves all the same, for there may be no further turn.
        let flushed = core.dirty().flush(event_loop);
        result.and(flushed).and(listening.heard(py))
    };
    core.end_turns(py);
    core.put_driver(driver);
    core.inbox().wake_up();
    core.inbox().refuse_all();
    core.clear_stop();
    let restored = wakeup.restore(event_loop);
    result.and(restored)
}

struct Turns<'a, 'py> {
    event_loop: &'a Bound<'py, LoopCore>,
    core: &'a LoopCore,
    driver: &'a mut dyn Driver,
    outbox: &'a Outbox,
    listening: &'a Listening,
    /// What of the driver serves connections on this thread, once they are.
    fused: Option<Local>,
    events: Vec<Event>,
    last_poll: Option<u64>,
    pace: Pace,
}

/// The time of a busy loop. Reading the clock costs as much as all else of a turn with one short callback.
struct Pace {
    now: u64,
    stride: u32,
    left: u32,
}

impl Pace {
    /// The time, at most so long ago as the constants above say when turns go on as they did.
    #[inline]
    fn now(&mut self, deadline: Option<u64>) -> u64 {
        if self.left == 0 || deadline.is_some_and(|at| at < self.now + SOON_NS) {
            return self.read();
        }
        self.left -= 1;
        self.now
    }

    fn read(&mut self) -> u64 {
        let now = clock::now_ns();
        self.stride = if now - self.now > CLOCK_EVERY_NS { 1 } else { (self.stride * 2).min(CLOCK_STRIDE) };
        self.left = self.stride - 1;
        self.now = now;
        now
    }
}

/// What one turn may still take of something, in number and in time.
struct Quota {
    left: usize,
    end: Option<u64>,
}

impl Quota {
    fn new(number: usize) -> Self {
        Self { left: number, end: None }
    }

    /// Whether one more may be taken, which counts. The first one is taken in any case.
    fn is_left(&mut self) -> bool {
        let now = clock::now_ns();
        let end = *self.end.get_or_insert(now + INBOX_TIME_NS);
        let is_left = self.left > 0 && now < end;
        self.left = self.left.saturating_sub(1);
        is_left
    }
}

impl<'a, 'py> Turns<'a, 'py> {
    fn new(
        event_loop: &'a Bound<'py, LoopCore>,
        driver: &'a mut dyn Driver,
        outbox: &'a Outbox,
        listening: &'a Listening,
    ) -> Self {
        Self {
            event_loop,
            core: event_loop.get(),
            driver,
            outbox,
            listening,
            fused: None,
            events: Vec::with_capacity(BATCH),
            last_poll: None,
            pace: Pace { now: 0, stride: 1, left: 0 },
        }
    }

    fn run(&mut self) -> PyResult<()> {
        let py = self.event_loop.py();
        loop {
            // Before parking: a signal noted since the last look would otherwise wait for the next event.
            py.check_signals()?;
            let stopping = self.core.is_stopping();
            let now = self.poll(stopping)?;
            self.dispatch()?;
            self.take_inbox()?;
            while let Some(timer) = self.core.timers().pop_due(py, now) {
                self.core.ready().push(py, Entry::Timer(timer));
            }
            self.run_ready()?;
            self.core.next_turn();
            self.core.dirty().flush(self.event_loop)?;
            self.hand_over();
            self.listening.heard(py)?;
            if stopping || self.core.is_stopping() {
                return Ok(());
            }
        }
    }

    /// Parks if there is nothing to do, else looks at the descriptors if it is time; gives the time after that.
    fn poll(&mut self, stopping: bool) -> PyResult<u64> {
        let (py, core) = (self.event_loop.py(), self.core);
        if self.fused.is_none() {
            self.fused = core.fused();
        }
        let deadline = core.timers().next_deadline(py, core);
        let mut now = self.pace.now(deadline);
        let busy = stopping
            || !core.ready().is_empty(py)
            || !core.dirty().is_empty()
            || !core.inbox().is_empty()
            || deadline.is_some_and(|at| at <= now);
        if busy {
            if self.last_poll.is_some_and(|last| now - last < POLL_EVERY_NS) && !self.owes_answers() {
                return Ok(now);
            }
            self.park(Some(Duration::ZERO))?;
            self.last_poll = Some(now);
            return Ok(now);
        }
        if core.inbox().fall_asleep() && core.ready().is_empty(py) {
            now = clock::now_ns();
            let timeout = deadline.map(|at| Duration::from_nanos(at.saturating_sub(now)));
            let parked = self.park(timeout);
            // Before it counts as awake: the turn has lasted since then, for who looks after the loop.
            core.next_turn();
            core.inbox().wake_up();
            parked?;
            py.check_signals()?;
        }
        core.inbox().wake_up();
        now = self.pace.read();
        self.last_poll = Some(now);
        Ok(now)
    }

    /// Answers leave together; those for connections on this thread leave in the park.
    fn hand_over(&self) {
        if self.fused.is_none() {
            self.outbox.flush();
        }
    }

    /// Whether connections on this thread wait for answers, which leave in a park only.
    fn owes_answers(&self) -> bool {
        self.fused.is_some() && !self.outbox.is_empty()
    }

    fn park(&mut self, timeout: Option<Duration>) -> PyResult<()> {
        let py = self.event_loop.py();
        let Some(local) = &self.fused else {
            return Ok(py.detach(|| self.driver.park(timeout, &mut self.events, &mut || ()))?);
        };
        let mut answers = self.outbox.take();
        let _park = Park::begin(self.core.inbox(), &local.end);
        Ok(py.detach(|| self.driver.park(timeout, &mut self.events, &mut || answers.deliver()))?)
    }

    fn dispatch(&mut self) -> PyResult<()> {
        if self.events.is_empty() {
            return Ok(());
        }
        let poller = self.core.poller()?;
        for event in self.events.drain(..) {
            // The waker has done its work.
            if event.token != WAKER {
                self.core.watches().dispatch(self.event_loop.py(), self.core.ready(), &poller, event);
            }
        }
        Ok(())
    }

    fn take_inbox(&mut self) -> PyResult<()> {
        let (py, inbox) = (self.event_loop.py(), self.core.inbox());
        if inbox.is_empty() {
            return Ok(());
        }
        let mut quota = Quota::new(NOTICES_PER_TURN);
        while quota.is_left()
            && let Some(notice) = inbox.pop_notice()
        {
            match notice {
                Notice::Cancel(id) => {
                    if let Some(task) = self.core.jobs().get(py, id)
                        && let Err(error) = self.cancel(task.bind(py))
                    {
                        if leaves_the_loop(py, &error) {
                            inbox.put_back(Notice::Cancel(id));
                            return Err(error);
                        }
                        errors::log(py, &error, "the cancellation of a job");
                    }
                }
                Notice::Ended(id) => self.core.futures().ended(self.event_loop, id),
                Notice::Deliver(deliver) => {
                    // A panic ends what waits for this and not the loop; the panic hook has told what and where.
                    if catch_unwind(AssertUnwindSafe(|| deliver(py))).is_err() {
                        tracing::error!("what was brought to the event loop could not be taken: a panic");
                    }
                }
            }
        }
        let mut quota = Quota::new(JOBS_PER_TURN);
        while quota.is_left()
            && let Some(queued) = inbox.pop_job()
        {
            let begun = self.core.is_debug().then(clock::now_ns);
            task::start(self.event_loop, queued)?;
            if let Some(begun) = begun {
                let took = clock::seconds(clock::now_ns() - begun);
                self.event_loop.call_method1(intern!(py, "_note_first_step"), (took,))?;
            }
        }
        self.hand_over();
        Ok(())
    }

    /// Cancels the task of a job. One that goes on all the same is told of later.
    fn cancel(&self, task: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = task.py();
        task.call_method0(intern!(py, "cancel"))?;
        // A loop of the core alone, as Rust's own tests have it, tells of nothing.
        match self.event_loop.getattr_opt(intern!(py, "_note_cancelled"))? {
            Some(note) => note.call1((task,)).map(drop),
            None => Ok(()),
        }
    }

    /// Runs what was ready when this began, and not what becomes ready meanwhile. What an error leaves is still in the queue.
    fn run_ready(&mut self) -> PyResult<()> {
        let (py, ready) = (self.event_loop.py(), self.core.ready());
        for _ in 0..ready.len(py) {
            let Some(entry) = ready.pop(py) else { break };
            if let Err(error) = self.run_entry(entry)
                && !task::ended_a_job(self.event_loop, &error)
            {
                return Err(error);
            }
        }
        Ok(())
    }

    #[inline]
    fn run_entry(&self, entry: Entry) -> PyResult<()> {
        let py = self.event_loop.py();
        match entry {
            Entry::Native(handle) => {
                let handle = handle.into_bound(py);
                let result = self.run_handle(&handle);
                Handle::release(handle, self.core);
                result
            }
            Entry::Timer(timer) => {
                let timer = timer.into_bound(py);
                let result = self.run_handle(timer.as_super());
                TimerHandle::release(timer, self.core);
                result
            }
            Entry::Foreign(handle) => self.run_with_care(handle.bind(py)),
            Entry::Event(event) => {
                let begun = self.core.is_debug().then(clock::now_ns);
                self.core.watches().tell_source(self.event_loop, event)?;
                if let Some(begun) = begun {
                    let took = clock::seconds(clock::now_ns() - begun);
                    self.event_loop.call_method1(intern!(py, "_note_io"), (event.fd(), took))?;
                }
                Ok(())
            }
        }
    }

    #[inline]
    fn run_handle(&self, handle: &Bound<'_, Handle>) -> PyResult<()> {
        if handle.get().is_cancelled() {
            Ok(())
        } else if self.core.is_debug() {
            self.run_with_care(handle.as_any())
        } else if collect::is_sole(handle.as_any()) {
            Handle::run_alone(handle)
        } else {
            Handle::run(handle)
        }
    }

    /// In debug mode, and for handles of the base class.
    fn run_with_care(&self, handle: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = self.event_loop.py();
        if handle.getattr(intern!(py, "_cancelled"))?.is_truthy()? {
            return Ok(());
        }
        if self.core.is_debug() {
            self.run_in_debug(handle)
        } else {
            handle.call_method0(intern!(py, "_run")).map(drop)
        }
    }

    /// No interrupt can come before the call, as it could in Python.
    fn run_in_debug(&self, handle: &Bound<'_, PyAny>) -> PyResult<()> {
        let (py, event_loop) = (self.event_loop.py(), self.event_loop);
        event_loop.setattr(intern!(py, "_current_handle"), handle)?;
        let begun = clock::now_ns();
        let result = handle.call_method0(intern!(py, "_run"));
        let took = clock::seconds(clock::now_ns() - begun);
        event_loop.setattr(intern!(py, "_current_handle"), py.None())?;
        result?;
        event_loop.call_method1(intern!(py, "_note_handle"), (handle, took)).map(drop)
    }
}
