//! The clock of the loop: the one behind `time.monotonic()`.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds on the monotonic clock.
pub(super) fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}

/// The same in seconds, as `time.monotonic()` gives it.
pub(super) fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

/// The first whole nanosecond that is not before this time; the cast clamps what is out of range.
pub(super) fn deadline_ns(when: f64) -> u64 {
    (when * 1e9).ceil() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_never_before_its_time() {
        assert_eq!(deadline_ns(1.5), 1_500_000_000);
        assert_eq!(deadline_ns(1e-10), 1);
        assert_eq!(deadline_ns(-3.0), 0);
        assert_eq!(deadline_ns(f64::INFINITY), u64::MAX);
        assert_eq!(deadline_ns(f64::NAN), 0);
    }

    #[test]
    fn it_runs_forward() {
        let before = now_ns();
        assert!(now_ns() >= before);
        assert!(seconds(before) > 0.0);
    }
}
