//! A thread beside the loop that sees when a turn does not end.
//!
//! A handler that computes, or blocks, holds the loop, and with it every other one; only another thread can tell while it lasts.
//! This one reads what the loop writes anyway, the number of its turn and whether it sleeps, and wants nothing of the interpreter
//! unless a turn lasts too long. Then a thread of its own enters it, as that may have to wait for what holds the lock.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use rustix::process::{Signal, getpid, kill_process};

use super::core::LoopCore;
use super::flood::Progress;
use super::inbox::Inbox;
use crate::python::{attach, errors};
use crate::service::LeafKind;

/// How often it looks at most and at least; between them a quarter of the limit.
const OFTEN: Duration = Duration::from_millis(5);
const SELDOM: Duration = Duration::from_millis(250);
/// A loop that has not come round for so long since it was to stop does not stop accepting by itself.
const BLOCKED: Duration = Duration::from_millis(200);
/// Who has the interpreter's lock gives it to others every 5 ms, but code that is not Python's.
const LOCKED: Duration = Duration::from_millis(50);
/// What holds the loop and was ended has so long to let go of it.
const KILLED_AFTER: Duration = Duration::from_secs(3);

/// What is to be done about a turn that lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    /// To tell who holds the loop.
    Warn,
    /// To stop accepting, which the loop does not come to.
    Drain,
    /// To end what holds it.
    End,
    /// To end the process.
    Kill,
}

impl Due {
    fn as_str(self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::Drain => "drain",
            Self::End => "end",
            Self::Kill => "kill",
        }
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Limits {
    warn_after: Option<Duration>,
    end_after: Option<Duration>,
}

/// Since when the app is to stop, and how long it may take.
#[derive(Debug, Clone, Copy)]
struct Stopping {
    since: Instant,
    grace: Duration,
}

/// A turn that was seen before.
struct Stall {
    turn: u64,
    since: Instant,
    warned: bool,
    ended: Option<Instant>,
    drained: bool,
}

impl Stall {
    fn new(turn: u64, now: Instant) -> Self {
        Self { turn, since: now, warned: false, ended: None, drained: false }
    }

    /// Takes notice of the turn that it is; `rests` while nothing can hold it.
    fn look(
        &mut self,
        now: Instant,
        turn: u64,
        rests: bool,
        limits: Limits,
        stopping: Option<Stopping>,
    ) -> Option<Due> {
        if rests || turn != self.turn {
            *self = Self { drained: self.drained, ..Self::new(turn, now) };
            return None;
        }
        let held = now.saturating_duration_since(self.since);
        if let Some(ended) = self.ended {
            return (now.saturating_duration_since(ended) >= KILLED_AFTER).then_some(Due::Kill);
        }
        let overdue = match stopping {
            Some(Stopping { since, grace }) => held >= grace && now.saturating_duration_since(since) >= grace,
            None => limits.end_after.is_some_and(|limit| held >= limit),
        };
        if overdue {
            self.ended = Some(now);
            return Some(Due::End);
        }
        if stopping.is_some_and(|stopping| now.saturating_duration_since(stopping.since) >= BLOCKED)
            && held >= BLOCKED
            && !self.drained
        {
            self.drained = true;
            return Some(Due::Drain);
        }
        if !self.warned && limits.warn_after.is_some_and(|limit| held >= limit) {
            self.warned = true;
            return Some(Due::Warn);
        }
        None
    }
}

#[derive(Default)]
struct Orders {
    stopping: Option<Stopping>,
    is_over: bool,
}

#[derive(Default)]
struct Shared {
    orders: Mutex<Orders>,
    given: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks after a loop as long as this lives. What it finds is told to `ziggurat._held`.
#[pyclass(frozen, module = "ziggurat._ziggurat")]
pub(super) struct Watchdog(Arc<Shared>);

#[pymethods]
impl Watchdog {
    /// `key` tells loops apart; who holds the loop is told after `warn_after` seconds, and ended after `end_after`.
    #[new]
    #[pyo3(signature = (event_loop, key, *, warn_after = None, end_after = None))]
    fn new(event_loop: &LoopCore, key: u64, warn_after: Option<f64>, end_after: Option<f64>) -> PyResult<Self> {
        let limits = Limits { warn_after: duration(warn_after)?, end_after: duration(end_after)? };
        let shared = Arc::new(Shared::default());
        let watch = Watch {
            progress: event_loop.progress().clone(),
            inbox: event_loop.inbox().clone(),
            key,
            limits,
            asks: Arc::default(),
        };
        let orders = shared.clone();
        thread::Builder::new().name("ziggurat-watch".into()).spawn(move || watch.run(&orders))?;
        Ok(Self(shared))
    }

    /// The app is to stop within so many seconds, whoever holds the loop.
    fn stop_within(&self, seconds: f64) -> PyResult<()> {
        let grace = Duration::try_from_secs_f64(seconds).map_err(|error| PyValueError::new_err(error.to_string()))?;
        self.0.lock().stopping.get_or_insert(Stopping { since: Instant::now(), grace });
        self.0.given.notify_all();
        Ok(())
    }

    /// The loop is left to itself.
    fn end(&self) {
        self.0.lock().is_over = true;
        self.0.given.notify_all();
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.end();
    }
}

fn duration(seconds: Option<f64>) -> PyResult<Option<Duration>> {
    let limit = seconds.map(Duration::try_from_secs_f64).transpose();
    limit.map_err(|error| PyValueError::new_err(error.to_string()))
}

struct Watch {
    progress: Arc<Progress>,
    inbox: Arc<Inbox>,
    key: u64,
    limits: Limits,
    /// Whether a thread is on its way into the interpreter.
    asks: Arc<AtomicBool>,
}

impl Watch {
    fn run(&self, shared: &Shared) {
        let least = [self.limits.warn_after, self.limits.end_after].into_iter().flatten().min();
        let tick = least.map_or(SELDOM, |limit| limit / 4).clamp(OFTEN, SELDOM);
        let mut stall = Stall::new(self.progress.turn(), Instant::now());
        let mut orders = shared.lock();
        loop {
            (orders, _) = shared.given.wait_timeout(orders, tick).unwrap_or_else(PoisonError::into_inner);
            if orders.is_over {
                return;
            }
            // Asleep as the loop says of itself: one that was woken and did not begin yet has been given nothing that could hold it.
            let rests = !self.progress.is_running() || self.inbox.is_asleep();
            let due = stall.look(Instant::now(), self.progress.turn(), rests, self.limits, orders.stopping);
            if let Some(due) = due {
                drop(orders);
                self.act(due, &stall);
                orders = shared.lock();
            }
        }
    }

    fn act(&self, due: Due, stall: &Stall) {
        if due == Due::Kill {
            tracing::error!(
                seconds = stall.since.elapsed().as_secs(),
                "the event loop is held by what neither ends nor lets go of the interpreter: the process is killed"
            );
            // Nothing less is sure to end it: whatever runs at the end of a process may wait for the same lock.
            let _ = kill_process(getpid(), Signal::KILL);
            return;
        }
        if self.asks.swap(true, Ordering::AcqRel) {
            return;
        }
        let asks = self.asks.clone();
        let (progress, key, turn, since) = (self.progress.clone(), self.key, stall.turn, stall.since);
        let begun = Instant::now();
        let asked = thread::Builder::new().name("ziggurat-held".into()).spawn(move || {
            attach::try_at(LeafKind::Python, |py| {
                let is_over = progress.turn() != turn;
                if is_over && begun.elapsed() < LOCKED {
                    return;
                }
                let told = py.import(intern!(py, "ziggurat._held")).and_then(|held| {
                    held.call_method1("tell", (key, due.as_str(), since.elapsed().as_secs_f64(), is_over))
                });
                if let Err(error) = told {
                    errors::log(py, &error, "who looks after the event loop");
                }
            });
            asks.store(false, Ordering::Release);
        });
        if let Err(error) = asked {
            self.asks.store(false, Ordering::Release);
            tracing::error!(%error, "the event loop is held, and there is no thread to find out by what");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn limits() -> Limits {
        Limits { warn_after: Some(MS(100)), end_after: Some(MS(1000)) }
    }

    #[test]
    fn a_turn_is_told_of_once_and_then_ended() {
        let begun = Instant::now();
        let mut stall = Stall::new(1, begun);
        let mut at = |ms| stall.look(begun + MS(ms), 1, false, limits(), None);
        assert_eq!([at(50), at(100), at(500)], [None, Some(Due::Warn), None]);
        assert_eq!([at(1000), at(2000)], [Some(Due::End), None]);
        assert_eq!(at(4000), Some(Due::Kill));
    }

    #[test]
    fn turns_that_end_and_sleep_are_no_stall() {
        let begun = Instant::now();
        let mut stall = Stall::new(1, begun);
        for step in 1..50 {
            assert_eq!(stall.look(begun + MS(step * 90), step, false, limits(), None), None);
        }
        for step in 50..60 {
            assert_eq!(stall.look(begun + MS(step * 90), 50, true, limits(), None), None);
        }
        assert_eq!(stall.look(begun + MS(59 * 90 + 99), 50, false, limits(), None), None);
        assert_eq!(stall.look(begun + MS(59 * 90 + 100), 50, false, limits(), None), Some(Due::Warn));
    }

    #[test]
    fn an_app_that_is_to_stop_drains_and_ends_after_its_grace() {
        let begun = Instant::now();
        let stopping = Some(Stopping { since: begun + MS(500), grace: MS(2000) });
        let mut stall = Stall::new(1, begun);
        let quiet = Limits::default();
        let mut at = |ms, turn| stall.look(begun + MS(ms), turn, false, quiet, stopping);
        assert_eq!([at(600, 1), at(700, 1), at(1900, 1)], [None, Some(Due::Drain), None]);
        assert_eq!(at(2400, 1), None);
        assert_eq!(at(2500, 1), Some(Due::End));
        // One that came round in between has its grace again.
        assert_eq!([at(2600, 2), at(4500, 2)], [None, None]);
        assert_eq!(at(4600, 2), Some(Due::End));
    }
}
