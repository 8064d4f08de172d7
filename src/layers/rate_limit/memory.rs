use std::fmt;
use std::future::Ready;
use std::hash::{BuildHasher, DefaultHasher, Hasher, RandomState};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use futures_util::future::Either;
use tokio::time::Instant;

use super::{Quota, Quotas, Verdict};
use crate::ConfigError;

/// Slots of a set: a key has its place in one set alone, and only that is looked at.
const SLOTS: usize = 16;
/// Sets of a page.
const SETS: usize = 64;

/// Quotas in the memory of this process, for a number of keys that is bounded. Clones share them.
///
/// It is a table of sets with sixteen slots each, as a processor's cache is one. A key's hash names its set; the key takes a
/// slot whose time has passed, and when none has, that which would soonest be free again: whoever had it gets a whole quota
/// earlier than was due, and those who have taken most are forgotten last. There are twice as many slots as keys that are to be
/// remembered, of 16 bytes, so that sets are rarely full before the table is. Memory is taken page by page, when a key first
/// falls there; a request locks one set and never waits for a search.
#[derive(Clone)]
pub struct InMemory {
    table: Arc<Table>,
}

struct Table {
    hasher: RandomState,
    start: Instant,
    sets: u64,
    pages: Box<[OnceLock<Page>]>,
}

type Page = Box<[Mutex<Set>]>;

#[derive(Default)]
struct Set {
    keys: [u64; SLOTS],
    /// Those that have passed are free, as are those of zero that were never used.
    arrivals: [u64; SLOTS],
}

impl InMemory {
    /// How many keys are remembered unless told.
    pub const MAX_KEYS: usize = 100_000;

    /// Remembers about so many keys at once.
    ///
    /// # Errors
    /// When there are none, or more than a hundred million.
    pub fn new(max_keys: usize) -> Result<Self, ConfigError> {
        Self::check(max_keys)?;
        Ok(Self::with(max_keys))
    }

    pub(super) fn check(max_keys: usize) -> Result<(), ConfigError> {
        if (1..=100_000_000).contains(&max_keys) {
            return Ok(());
        }
        Err(ConfigError::new(format!("RateLimit: max_keys is {max_keys}"))
            .cure("give a whole number from 1 to 100000000; a key takes 32 bytes"))
    }

    fn with(max_keys: usize) -> Self {
        let sets = (max_keys * 2).div_ceil(SLOTS);
        let pages = (0..sets.div_ceil(SETS)).map(|_| OnceLock::new()).collect();
        let table = Table { hasher: RandomState::new(), start: Instant::now(), sets: sets as u64, pages };
        Self { table: Arc::new(table) }
    }

    /// Takes one request out of the quota of `key`, at once.
    pub fn take(&self, key: u64, quota: &Quota) -> Verdict {
        let table = &*self.table;
        let now = u64::try_from(table.start.elapsed().as_nanos()).unwrap_or_default();
        // The high bits of the product are even over the sets, whatever their number.
        let index = ((u128::from(key) * u128::from(table.sets)) >> 64) as usize;
        let Some(page) = table.pages.get(index / SETS) else {
            // The product is below the number of sets.
            return quota.take(0, now).0;
        };
        let page = page.get_or_init(|| (0..SETS).map(|_| Mutex::default()).collect());
        let mut set = page[index % SETS].lock().unwrap_or_else(PoisonError::into_inner);
        set.take(key, quota, now)
    }
}

impl Set {
    fn take(&mut self, key: u64, quota: &Quota, now: u64) -> Verdict {
        let own = self.keys.iter().position(|own| *own == key);
        let slot = own.unwrap_or_else(|| {
            let mut soonest = 0;
            for slot in 1..SLOTS {
                if self.arrivals[slot] < self.arrivals[soonest] {
                    soonest = slot;
                }
            }
            soonest
        });
        let arrival = if own.is_some() { self.arrivals[slot] } else { 0 };
        let (verdict, arrival) = quota.take(arrival, now);
        self.keys[slot] = key;
        self.arrivals[slot] = arrival;
        verdict
    }
}

/// Without what is in it.
impl fmt::Debug for InMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InMemory").field("sets", &self.table.sets).finish_non_exhaustive()
    }
}

impl Default for InMemory {
    fn default() -> Self {
        Self::with(Self::MAX_KEYS)
    }
}

impl Quotas for InMemory {
    type Hasher = DefaultHasher;
    type Later = Ready<Verdict>;

    fn hasher(&self) -> DefaultHasher {
        self.table.hasher.build_hasher()
    }

    fn take(&self, key: DefaultHasher, quota: &Quota) -> Either<Verdict, Ready<Verdict>> {
        Either::Left(Self::take(self, key.finish(), quota))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn is_allowed(quotas: &InMemory, key: u64, quota: &Quota) -> bool {
        matches!(quotas.take(key, quota), Verdict::Allowed { .. })
    }

    /// As a hash would be.
    fn key(n: u64) -> u64 {
        n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    fn slots(quotas: &InMemory) -> usize {
        quotas.table.pages.iter().filter_map(OnceLock::get).map(|page| page.len() * SLOTS).sum()
    }

    #[test]
    fn as_many_keys_as_were_asked_for_are_remembered() {
        let quotas = InMemory::new(10_000).unwrap();
        let quota = Quota::new(1, Duration::from_secs(3600)).unwrap();
        assert!((0..10_000).all(|n| is_allowed(&quotas, key(n), &quota)));
        let forgotten = (0..10_000).filter(|n| is_allowed(&quotas, key(*n), &quota)).count();
        assert!(forgotten < 100, "{forgotten}");
    }

    #[test]
    fn memory_has_a_bound_and_is_taken_as_it_is_needed() {
        let quotas = InMemory::new(100_000).unwrap();
        let quota = Quota::new(1, Duration::from_secs(3600)).unwrap();
        assert_eq!(slots(&quotas), 0);
        is_allowed(&quotas, key(0), &quota);
        assert_eq!(slots(&quotas), SETS * SLOTS);
        for n in 0..1_000_000 {
            is_allowed(&quotas, key(n), &quota);
        }
        assert!(slots(&quotas) < 200_000 + SETS * SLOTS);
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_have_taken_least_make_way() {
        // One set.
        let quotas = InMemory::new(1).unwrap();
        let quota = Quota::new(4, Duration::from_secs(4)).unwrap();
        for _ in 0..4 {
            assert!(is_allowed(&quotas, 7, &quota));
        }
        for n in 100..115 {
            assert!(is_allowed(&quotas, n, &quota));
            assert!(is_allowed(&quotas, n, &quota));
        }
        for n in 1000..1200 {
            assert!(is_allowed(&quotas, n, &quota));
            assert!(!is_allowed(&quotas, 7, &quota), "{n}");
        }
        let left = |key| match quotas.take(key, &quota) {
            Verdict::Allowed { remaining, .. } => remaining + 1,
            _ => 0,
        };
        // One of them had to go, for all who asked once.
        assert_eq!((100..115).filter(|n| left(*n) == 2).count(), 14);
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_come_back_makes_way_first() {
        let quotas = InMemory::new(1).unwrap();
        let short = Quota::new(1, Duration::from_secs(1)).unwrap();
        let long = Quota::new(1, Duration::from_secs(3600)).unwrap();
        for n in 0..8 {
            assert!(is_allowed(&quotas, 2 * n, &short) && is_allowed(&quotas, 2 * n + 1, &long));
        }
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!((100..108).all(|n| is_allowed(&quotas, n, &long)));
        assert!((0..8).all(|n| !is_allowed(&quotas, 2 * n + 1, &long)));
        assert!((100..108).all(|n| !is_allowed(&quotas, n, &long)));
    }

    #[test]
    fn threads_take_from_one_quota() {
        let quotas = InMemory::default();
        let quota = Quota::new(500, Duration::from_secs(3600)).unwrap();
        let allowed: usize = std::thread::scope(|scope| {
            let count = || (0..200).filter(|_| is_allowed(&quotas, 7, &quota)).count();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(count)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(allowed, 500);
    }

    #[test]
    fn every_key_has_a_place() {
        for max_keys in [1, 7, 8, 9, 511, 513, 100_000] {
            let quotas = InMemory::new(max_keys).unwrap();
            let quota = Quota::new(1, Duration::from_secs(3600)).unwrap();
            for key in [0, 1, u64::MAX >> 1, u64::MAX - 1, u64::MAX] {
                is_allowed(&quotas, key, &quota);
                assert!(!is_allowed(&quotas, key, &quota), "{max_keys} {key}");
            }
        }
    }
}
