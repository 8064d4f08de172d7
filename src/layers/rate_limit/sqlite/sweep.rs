//! Deletes what is not needed any more.

use std::time::{Duration, Instant};

use rusqlite::Transaction;

/// All keys are looked through in this time.
const ROUND: Duration = Duration::from_secs(10);
/// So many at a time, about: whoever asks meanwhile waits.
const TOGETHER: u64 = 4096;
/// Longer than any time of a key is ahead: the clock was set back since it was written.
const AHEAD: u64 = 2 * 366 * 24 * 60 * 60 * 1_000_000_000;

const PASSED: &str = "DELETE FROM ziggurat_quotas WHERE key >= ?1 AND key < ?2 AND (arrival <= ?3 OR arrival > ?4)";
const COUNT: &str = "SELECT count(*) FROM ziggurat_quotas WHERE key >= ?1 AND key < ?2";
const SOONEST: &str = "DELETE FROM ziggurat_quotas WHERE key IN
    (SELECT key FROM ziggurat_quotas WHERE key >= ?1 AND key < ?2 ORDER BY arrival LIMIT ?3)";

/// Goes through the keys, one slice of them after the other. Keys are hashes, so there are about as many in each.
pub(super) struct Sweep {
    max_keys: u64,
    slices: u32,
    next: u32,
    last: Option<Instant>,
}

impl Sweep {
    pub(super) fn new(max_keys: u64) -> Self {
        let slices = u32::try_from((max_keys / TOGETHER).clamp(1, 1024)).unwrap_or(1);
        // In each an eighth more than its share, as not all are of one size.
        let share = if slices == 1 { max_keys } else { max_keys.saturating_add(max_keys / 8).div_ceil(slices.into()) };
        Self { max_keys: share, slices, next: 0, last: None }
    }

    /// Looks through the next slice, where it is time for that.
    pub(super) fn go_on(&mut self, db: &Transaction<'_>, now: u64) -> rusqlite::Result<()> {
        if self.last.is_some_and(|last| last.elapsed() < ROUND / self.slices) {
            return Ok(());
        }
        self.slice(db, now)?;
        self.last = Some(Instant::now());
        Ok(())
    }

    fn slice(&mut self, db: &Transaction<'_>, now: u64) -> rusqlite::Result<()> {
        let after = self.next + 1;
        let (from, to) = (self.beginning(self.next), self.beginning(after));
        let time = |time: u64| i64::try_from(time).unwrap_or(i64::MAX);
        let passed = (&from[..], &to[..], time(now), time(now.saturating_add(AHEAD)));
        db.prepare_cached(PASSED)?.execute(passed)?;
        let count: i64 = db.prepare_cached(COUNT)?.query_row([&from, &to], |row| row.get(0))?;
        let excess = u64::try_from(count).unwrap_or(0).saturating_sub(self.max_keys);
        if excess > 0 {
            db.prepare_cached(SOONEST)?.execute((&from[..], &to[..], time(excess)))?;
        }
        self.next = after % self.slices;
        Ok(())
    }

    /// What the keys of a slice begin with or come after; what comes after all keys for the one after the last.
    fn beginning(&self, slice: u32) -> Vec<u8> {
        match u32::try_from((u64::from(slice) << 32) / u64::from(self.slices)) {
            Ok(beginning) => beginning.to_be_bytes().into(),
            Err(_) => vec![0xff; 17],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::file::QuotaFile;
    use super::super::tests::{NOW, SECOND, is_allowed, open};
    use super::*;

    /// The first bytes of the keys that are left when `slices` slices were looked through.
    fn left(file: &mut QuotaFile, sweep: &mut Sweep, slices: usize, now: u64) -> Vec<u8> {
        let transaction = file.transaction().unwrap();
        for _ in 0..slices {
            sweep.slice(&transaction, now).unwrap();
        }
        transaction.commit().unwrap();
        let transaction = file.transaction().unwrap();
        let mut keys = transaction.prepare("SELECT key FROM ziggurat_quotas ORDER BY key").unwrap();
        let keys = keys.query_map([], |row| row.get::<_, [u8; 16]>(0)).unwrap();
        keys.map(|key| key.unwrap()[0]).collect()
    }

    #[test]
    fn keys_whose_time_has_passed_are_deleted_and_those_who_have_taken_least() {
        let (_folder, mut file) = open();
        for key in 0..10 {
            assert!(is_allowed(&mut file, key, NOW));
        }
        assert!(is_allowed(&mut file, 3, NOW) && is_allowed(&mut file, 4, NOW));
        let mut left = |max_keys, now| left(&mut file, &mut Sweep::new(max_keys), 1, now);
        assert_eq!(left(10, NOW).len(), 10);
        let seven = left(7, NOW);
        assert!(seven.len() == 7 && seven.contains(&3) && seven.contains(&4), "{seven:?}");
        assert_eq!(left(7, NOW + 10 * SECOND), [3, 4]);
        assert!(left(7, NOW + 20 * SECOND).is_empty());
    }

    #[test]
    fn what_a_clock_that_was_set_back_has_left_far_ahead_is_deleted() {
        let (_folder, mut file) = open();
        assert!(is_allowed(&mut file, 1, NOW));
        let mut left = |now| left(&mut file, &mut Sweep::new(10), 1, now).len();
        assert_eq!((left(NOW - AHEAD + 60 * SECOND), left(NOW - AHEAD)), (1, 0));
    }

    #[test]
    fn a_slice_is_looked_through_at_a_time() {
        let (_folder, mut file) = open();
        for key in [0, 63, 64, 127, 128, 191, 192, 255] {
            assert!(is_allowed(&mut file, key, NOW));
        }
        let later = NOW + 20 * SECOND;
        let mut sweep = Sweep::new(4 * TOGETHER);
        assert_eq!(left(&mut file, &mut sweep, 1, later), [64, 127, 128, 191, 192, 255]);
        assert_eq!(left(&mut file, &mut sweep, 2, later), [192, 255]);
        assert!(is_allowed(&mut file, 0, later));
        assert_eq!(left(&mut file, &mut sweep, 1, later), [0], "the last one");
        assert!(left(&mut file, &mut sweep, 1, later + 20 * SECOND).is_empty(), "and the first one again");
        assert_eq!((sweep.max_keys, Sweep::new(u64::MAX).slices, Sweep::new(1).max_keys), (4608, 1024, 1));
    }

    #[test]
    fn it_rests_between_slices() {
        let (_folder, mut file) = open();
        let mut sweep = Sweep::new(4 * TOGETHER);
        let transaction = file.transaction().unwrap();
        sweep.go_on(&transaction, NOW).unwrap();
        sweep.go_on(&transaction, NOW).unwrap();
        assert_eq!(sweep.next, 1);
        sweep.last = Instant::now().checked_sub(ROUND / 4);
        sweep.go_on(&transaction, NOW).unwrap();
        assert_eq!(sweep.next, 2);
    }
}
