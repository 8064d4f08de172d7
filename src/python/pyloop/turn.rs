//! The turns of the loop thread: park, take what came in, run what was ready.

use std::collections::VecDeque;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;

use super::clock;
use super::core::LoopCore;
use super::driver::Driver;
use super::handle::Handle;
use super::inbox::Notice;
use super::outbox::Outbox;
use super::poller::{BATCH, Event, WAKER};
use super::ready::Entry;
use super::signals::Wakeup;
use super::{runtime, task};

/// While there is work, descriptors are asked for at most this often; it also lets other Python threads in.
const POLL_EVERY_NS: u64 = 250_000;
/// Bounds of what one turn takes from the inbox, in number and in time, so that callbacks and I/O get theirs.
const JOBS_PER_TURN: usize = 128;
const JOBS_TIME_NS: u64 = 2_000_000;

/// Runs turns until the loop is stopped or something is raised that must leave it.
pub(super) fn run(event_loop: &Bound<'_, LoopCore>) -> PyResult<()> {
    let core = event_loop.get();
    if !core.is_of_this_process() {
        return Err(PyRuntimeError::new_err(
            "this event loop was made before a fork; make a new one in the child process",
        ));
    }
    let mut driver = core.take_driver()?;
    core.remember_context(event_loop.py())?;
    let wakeup = Wakeup::set(event_loop)?;
    let result = {
        let _entered = runtime::enter();
        let outbox = Outbox::open();
        Turns::new(event_loop, &mut *driver, &outbox).run()
    };
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
    events: Vec<Event>,
    batch: VecDeque<Entry>,
    last_poll: Option<u64>,
}

impl<'a, 'py> Turns<'a, 'py> {
    fn new(event_loop: &'a Bound<'py, LoopCore>, driver: &'a mut dyn Driver, outbox: &'a Outbox) -> Self {
        Self {
            event_loop,
            core: event_loop.get(),
            driver,
            outbox,
            events: Vec::with_capacity(BATCH),
            batch: VecDeque::new(),
            last_poll: None,
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
            self.outbox.flush();
            while let Some(timer) = self.core.timers().pop_due(now) {
                self.core.ready().push(Entry::Native(timer.into_bound(py).into_super().unbind()));
            }
            self.run_ready()?;
            self.core.next_turn();
            self.core.dirty().flush(self.event_loop)?;
            self.outbox.flush();
            if stopping || self.core.is_stopping() {
                return Ok(());
            }
        }
    }

    /// Parks if there is nothing to do, else looks at the descriptors if it is time; gives the time after that.
    fn poll(&mut self, stopping: bool) -> PyResult<u64> {
        let (py, core) = (self.event_loop.py(), self.core);
        let now = clock::now_ns();
        let deadline = core.timers().next_deadline();
        let busy = stopping
            || !core.ready().is_empty()
            || !core.dirty().is_empty()
            || !core.inbox().is_empty()
            || deadline.is_some_and(|at| at <= now);
        if busy {
            if self.last_poll.is_some_and(|last| now - last < POLL_EVERY_NS) {
                return Ok(now);
            }
            py.detach(|| self.driver.park(Some(Duration::ZERO), &mut self.events))?;
            self.last_poll = Some(now);
            return Ok(now);
        }
        if core.inbox().fall_asleep() && core.ready().is_empty() {
            let timeout = deadline.map(|at| Duration::from_nanos(at - now));
            let parked = py.detach(|| self.driver.park(timeout, &mut self.events));
            core.inbox().wake_up();
            parked?;
            py.check_signals()?;
        }
        core.inbox().wake_up();
        let now = clock::now_ns();
        self.last_poll = Some(now);
        Ok(now)
    }

    fn dispatch(&mut self) -> PyResult<()> {
        if self.events.is_empty() {
            return Ok(());
        }
        let poller = self.core.poller()?;
        for event in self.events.drain(..) {
            if event.token == WAKER {
                self.core.inbox().clear_waker();
            } else {
                let begun = self.core.is_debug().then(clock::now_ns);
                self.core.watches().dispatch(self.event_loop, &poller, &event)?;
                if let Some(begun) = begun {
                    let took = clock::seconds(clock::now_ns() - begun);
                    self.event_loop.call_method1(intern!(self.event_loop.py(), "_note_io"), (event.fd(), took))?;
                }
            }
        }
        Ok(())
    }

    fn take_inbox(&mut self) -> PyResult<()> {
        let (py, inbox) = (self.event_loop.py(), self.core.inbox());
        while let Some(notice) = inbox.pop_notice() {
            match notice {
                Notice::Cancel(id) => {
                    if let Some(task) = self.core.jobs().get(py, id) {
                        task.bind(py).call_method0(intern!(py, "cancel"))?;
                    }
                }
                Notice::Deliver(deliver) => {
                    // A panic ends what waits for this and not the loop; the panic hook has told what and where.
                    if catch_unwind(AssertUnwindSafe(|| deliver(py))).is_err() {
                        tracing::error!("what was brought to the event loop could not be taken: a panic");
                    }
                }
            }
        }
        let mut begun = None;
        for _ in 0..JOBS_PER_TURN {
            let Some(queued) = inbox.pop_job() else { break };
            let before = clock::now_ns();
            let begun = *begun.get_or_insert(before);
            task::start(self.event_loop, queued)?;
            let after = clock::now_ns();
            if self.core.is_debug() {
                self.event_loop.call_method1(intern!(py, "_note_first_step"), (clock::seconds(after - before),))?;
            }
            if after - begun > JOBS_TIME_NS {
                break;
            }
        }
        Ok(())
    }

    /// Runs what was ready when this began, and not what becomes ready meanwhile.
    fn run_ready(&mut self) -> PyResult<()> {
        self.core.ready().take(&mut self.batch);
        while let Some(entry) = self.batch.pop_front() {
            if let Err(error) = self.run_entry(&entry)
                && !task::ended_a_job(self.event_loop, &error)
            {
                self.core.ready().give_back(mem::take(&mut self.batch));
                return Err(error);
            }
        }
        Ok(())
    }

    fn run_entry(&self, entry: &Entry) -> PyResult<()> {
        let py = self.event_loop.py();
        let handle = match entry {
            Entry::Native(handle) if handle.get().is_cancelled() => return Ok(()),
            Entry::Native(handle) if !self.core.is_debug() => return Handle::run(handle.bind(py)),
            Entry::Native(handle) => handle.bind(py).as_any(),
            Entry::Foreign(handle) => handle.bind(py),
        };
        if handle.getattr(intern!(py, "_cancelled"))?.is_truthy()? {
            return Ok(());
        }
        if self.core.is_debug() {
            self.event_loop.call_method1(intern!(py, "_run_in_debug"), (handle,)).map(drop)
        } else {
            handle.call_method0(intern!(py, "_run")).map(drop)
        }
    }
}
