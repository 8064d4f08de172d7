//! Timers: a heap by deadline, first come first served among equals.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};

use super::handle::TimerHandle;

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
}

// The heap gives its greatest first, so the earliest is the greatest.
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
struct Heap {
    timers: BinaryHeap<Timer>,
    next_seq: u64,
    cancelled: usize,
}

/// The timers of a loop. The lock is never held while a reference is dropped, since that may run Python code.
#[derive(Default)]
pub(super) struct Timers(Mutex<Heap>);

impl Timers {
    fn heap(&self) -> MutexGuard<'_, Heap> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, when_ns: u64, handle: Py<TimerHandle>) {
        let mut heap = self.heap();
        let seq = heap.next_seq;
        heap.next_seq += 1;
        heap.timers.push(Timer { when_ns, seq, handle });
    }

    /// A timer in the heap was cancelled. Once they are more than half, all of them go.
    pub(super) fn cancelled(&self) {
        let mut heap = self.heap();
        heap.cancelled += 1;
        if heap.timers.len() < COMPACT_FROM || heap.cancelled * 2 <= heap.timers.len() {
            return;
        }
        let (dead, alive): (Vec<_>, Vec<_>) =
            mem::take(&mut heap.timers).into_vec().into_iter().partition(Timer::is_cancelled);
        heap.timers = alive.into();
        heap.cancelled = 0;
        drop(heap);
        drop(dead);
    }

    /// The earliest deadline; timers cancelled at the head go on the way.
    pub(super) fn next_deadline(&self) -> Option<u64> {
        loop {
            let mut heap = self.heap();
            let head = heap.timers.peek()?;
            if !head.is_cancelled() {
                return Some(head.when_ns);
            }
            let dead = heap.pop();
            drop(heap);
            drop(dead);
        }
    }

    /// Takes the next timer that is due.
    pub(super) fn pop_due(&self, now_ns: u64) -> Option<Py<TimerHandle>> {
        let mut heap = self.heap();
        if heap.timers.peek()?.when_ns > now_ns {
            return None;
        }
        heap.pop().map(|timer| timer.handle)
    }

    pub(super) fn clear(&self) {
        let timers = mem::take(&mut *self.heap());
        drop(timers);
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.heap().timers.iter().try_for_each(|timer| visit.call(&timer.handle))
    }
}

impl Heap {
    fn pop(&mut self) -> Option<Timer> {
        let timer = self.timers.pop()?;
        timer.handle.get().unschedule();
        if timer.is_cancelled() {
            self.cancelled = self.cancelled.saturating_sub(1);
        }
        Some(timer)
    }
}
