//! Timers: by deadline, first come first served among equals.
//!
//! Most programs set timers of one length, time-outs, so that each new one is the last to fall due; and most time-outs are
//! cancelled. So there is a queue in order of the deadlines, to whose end such a timer goes and from which it vanishes when
//! it is cancelled as the last, and beside it a heap for those that fall due before the end of the queue.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};
use std::mem;

use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};

use super::core::LoopCore;
use super::guarded::Guarded;
use super::handle::Handle;
use super::timer_handle::TimerHandle;

/// Below this many, cancelled timers wait for their deadline.
const COMPACT_FROM: usize = 100;

struct Timer {
    when_ns: u64,
    seq: u64,
    handle: Py<TimerHandle>,
}

impl Timer {
    fn key(&self) -> (u64, u64) {
        (self.when_ns, self.seq)
    }

    fn is_cancelled(&self) -> bool {
        self.handle.get().is_cancelled()
    }

    /// Lets go of the handle. May run Python code.
    fn release(self, py: Python<'_>, core: &LoopCore) {
        TimerHandle::release(self.handle.into_bound(py), core);
    }
}

// A heap gives its greatest first, so the earliest is the greatest.
impl Ord for Timer {
    fn cmp(&self, other: &Self) -> Ordering {
        other.key().cmp(&self.key())
    }
}

impl PartialOrd for Timer {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Timer {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Timer {}

#[derive(Default)]
struct Schedule {
    /// In order of the keys.
    queue: VecDeque<Timer>,
    /// Those that came after a later one.
    heap: BinaryHeap<Timer>,
    next_seq: u64,
    /// How many of them are cancelled.
    cancelled: usize,
}

impl Schedule {
    fn len(&self) -> usize {
        self.queue.len() + self.heap.len()
    }

    fn push(&mut self, when_ns: u64, handle: Py<TimerHandle>) {
        let timer = Timer { when_ns, seq: self.next_seq, handle };
        self.next_seq += 1;
        if self.queue.back().is_none_or(|last| last.when_ns <= when_ns) {
            self.queue.push_back(timer);
        } else {
            self.heap.push(timer);
        }
    }

    fn heap_is_first(&self) -> bool {
        match (self.queue.front(), self.heap.peek()) {
            (Some(queued), Some(heaped)) => heaped.key() < queued.key(),
            (queued, _) => queued.is_none(),
        }
    }

    fn first(&self) -> Option<&Timer> {
        if self.heap_is_first() { self.heap.peek() } else { self.queue.front() }
    }

    fn pop(&mut self) -> Option<Timer> {
        let timer = if self.heap_is_first() { self.heap.pop() } else { self.queue.pop_front() }?;
        self.forget(&timer);
        Some(timer)
    }

    /// A timer has left.
    fn forget(&mut self, timer: &Timer) {
        timer.handle.get().unschedule();
        if timer.is_cancelled() {
            self.cancelled = self.cancelled.saturating_sub(1);
        }
    }

    /// Takes out cancelled timers: those at the end of the queue, and all once they are more than half.
    fn compact(&mut self) -> Dead {
        if self.queue.back().is_some_and(Timer::is_cancelled)
            && let Some(timer) = self.queue.pop_back()
        {
            self.forget(&timer);
            return Dead::One(timer);
        }
        if self.len() < COMPACT_FROM || self.cancelled * 2 <= self.len() {
            return Dead::None;
        }
        let (mut dead, alive): (Vec<_>, Vec<_>) = mem::take(&mut self.queue).into_iter().partition(Timer::is_cancelled);
        self.queue = alive.into();
        let (more, alive): (Vec<_>, Vec<_>) = mem::take(&mut self.heap).into_iter().partition(Timer::is_cancelled);
        self.heap = alive.into();
        dead.extend(more);
        dead.iter().for_each(|timer| self.forget(timer));
        Dead::Many(dead)
    }
}

/// Timers that were taken out.
enum Dead {
    None,
    One(Timer),
    Many(Vec<Timer>),
}

/// The timers of a loop. Nothing is dropped while the schedule is in use, since that may run Python code.
#[derive(Default)]
pub(super) struct Timers(Guarded<Schedule>);

impl Timers {
    pub(super) fn push(&self, py: Python<'_>, when_ns: u64, handle: Py<TimerHandle>) {
        self.0.with(py, |schedule| schedule.push(when_ns, handle));
    }

    /// A timer that waits here was cancelled. `core` is the loop of these timers, here as below.
    pub(super) fn cancelled(&self, py: Python<'_>, core: &LoopCore) {
        let dead = self.0.with(py, |schedule| {
            schedule.cancelled += 1;
            schedule.compact()
        });
        match dead {
            Dead::None => {}
            Dead::One(timer) => timer.release(py, core),
            Dead::Many(timers) => timers.into_iter().for_each(|timer| timer.release(py, core)),
        }
    }

    /// The earliest deadline; cancelled timers at the head go on the way.
    #[inline]
    pub(super) fn next_deadline(&self, py: Python<'_>, core: &LoopCore) -> Option<u64> {
        loop {
            let dead = self.0.with(py, |schedule| match schedule.first() {
                None => Err(None),
                Some(first) if !first.is_cancelled() => Err(Some(first.when_ns)),
                Some(_) => Ok(schedule.pop()),
            });
            match dead {
                Err(deadline) => return deadline,
                Ok(dead) => dead.into_iter().for_each(|timer| timer.release(py, core)),
            }
        }
    }

    /// Takes the next timer that is due.
    pub(super) fn pop_due(&self, py: Python<'_>, now_ns: u64) -> Option<Py<TimerHandle>> {
        self.0.with(py, |schedule| {
            if schedule.first()?.when_ns > now_ns {
                return None;
            }
            schedule.pop().map(|timer| timer.handle)
        })
    }

    /// Shows the garbage collector what waits here; the loop is not running any longer.
    pub(super) fn show(&self, py: Python<'_>) {
        self.0.with(py, |schedule| {
            for timer in schedule.queue.iter().chain(&schedule.heap) {
                Handle::show(timer.handle.bind(py).as_super());
            }
        });
    }

    pub(super) fn clear(&self, py: Python<'_>) {
        let Schedule { queue, heap, .. } = self.0.with(py, mem::take);
        drop((queue, heap));
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        let traverse = |schedule: &Schedule| {
            schedule.queue.iter().chain(&schedule.heap).try_for_each(|timer| visit.call(&timer.handle))
        };
        self.0.during_traverse(traverse).unwrap_or(Ok(()))
    }
}
