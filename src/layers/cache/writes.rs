//! What was written to since an answer was asked for.

use std::borrow::Cow;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use percent_encoding::percent_decode_str;

/// Paths share counters, so their number is bounded; where two share one, an answer may be fetched again for nothing.
const COUNTERS: usize = 1024;

/// The times of the last writes, by path, in numbers that grow with each write.
///
/// An answer is good where nothing was written since before it was asked for. So one that is under way during a write, and may
/// tell of what was before, is never served after it.
#[derive(Debug)]
pub(super) struct Writes {
    last: Box<[AtomicU64]>,
    /// Of a write to everything.
    all: AtomicU64,
    clock: AtomicU64,
    hasher: RandomState,
}

/// When something was asked for, and where it would be written to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Begun {
    counter: usize,
    at: u64,
}

impl Writes {
    pub(super) fn new() -> Self {
        let last = std::iter::repeat_with(AtomicU64::default).take(COUNTERS).collect();
        Self { last, all: AtomicU64::new(0), clock: AtomicU64::new(0), hasher: RandomState::new() }
    }

    /// The counter of a path, in whatever way that is percent-encoded.
    pub(super) fn counter(&self, path: &str) -> usize {
        let decoded: Cow<'_, [u8]> = percent_decode_str(path).into();
        usize::try_from(self.hasher.hash_one(decoded) % COUNTERS as u64).unwrap_or_default()
    }

    /// The time of what is asked for now.
    pub(super) fn now(&self, counter: usize) -> Begun {
        Begun { counter, at: self.clock.load(Ordering::SeqCst) }
    }

    /// When something was written last.
    pub(super) fn last(&self, counter: usize) -> u64 {
        let of_path = self.last.get(counter).map_or(0, |last| last.load(Ordering::SeqCst));
        of_path.max(self.all.load(Ordering::SeqCst))
    }

    /// Whether nothing was written since then.
    pub(super) fn is_current(&self, begun: Begun) -> bool {
        begun.at >= self.last(begun.counter)
    }

    pub(super) fn write(&self, counter: usize) {
        if let Some(last) = self.last.get(counter) {
            last.fetch_max(self.tick(), Ordering::SeqCst);
        }
    }

    pub(super) fn write_all(&self) {
        self.all.fetch_max(self.tick(), Ordering::SeqCst);
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_before_a_write_is_not_good_after_it() {
        let writes = Writes::new();
        let path = writes.counter("/a b");
        assert_eq!(path, writes.counter("/%61%20b"));
        let other = (0..COUNTERS).find(|other| *other != path).unwrap();
        let before = writes.now(path);
        let elsewhere = writes.now(other);
        assert!(writes.is_current(before));
        writes.write(path);
        assert!(!writes.is_current(before));
        let after = writes.now(path);
        assert!(writes.is_current(after) && writes.is_current(elsewhere));
        writes.write_all();
        assert!(!writes.is_current(after) && !writes.is_current(elsewhere));
    }
}
