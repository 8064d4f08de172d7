//! Threads that call into a loop faster than it gets to run.
//!
//! A thread that does nothing but `call_soon_threadsafe` keeps the interpreter's lock for a whole switch interval, 5 ms, in which
//! tens of thousands of calls gather. So it lets go of the lock now and then, and waits a moment for the loop to take it.

use std::ptr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// After so many calls that wait, a thread that adds to them gives way.
const FLOOD: usize = 4096;

/// So often and for so long; a loop that is busy otherwise is not waited for.
const TIMES: u32 = 4;
const FOR: Duration = Duration::from_micros(50);

/// The thread that runs a loop, and how far it is.
#[derive(Default)]
pub(super) struct Progress {
    /// 0 while no thread runs it.
    thread: AtomicUsize,
    turn: AtomicU64,
}

impl Progress {
    /// This thread runs the loop from now on.
    pub(super) fn begin(&self) {
        self.thread.store(this_thread(), Ordering::Relaxed);
    }

    pub(super) fn end(&self) {
        self.thread.store(0, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn is_running(&self) -> bool {
        self.thread.load(Ordering::Relaxed) != 0
    }

    /// The number of the turn, which is another in the next one.
    pub(super) fn turn(&self) -> u64 {
        self.turn.load(Ordering::Relaxed)
    }

    pub(super) fn next_turn(&self) {
        // Only the loop thread counts.
        self.turn.store(self.turn() + 1, Ordering::Relaxed);
    }

    /// Whether this thread, which has just added the last of so many calls that wait, floods the loop.
    #[inline]
    pub(super) fn is_flooded(&self, waiting: usize) -> bool {
        waiting.is_multiple_of(FLOOD) && self.is_running() && self.thread.load(Ordering::Relaxed) != this_thread()
    }

    /// Waits a moment for the loop to run what is ready; to be called without the interpreter's lock.
    pub(super) fn give_way(&self) {
        let turn = self.turn();
        for _ in 0..TIMES {
            thread::yield_now();
            if self.turn() != turn {
                return;
            }
            thread::sleep(FOR);
        }
    }
}

/// Tells threads apart, as long as they live; never 0.
fn this_thread() -> usize {
    thread_local!(static PLACE: u8 = const { 0 });
    PLACE.with(|place| ptr::from_ref(place).addr())
}
