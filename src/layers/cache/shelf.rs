//! Where answers are kept.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderMap;
use moka::Expiry;
use moka::ops::compute::Op;
use moka::sync::Cache;

use super::stored::Stored;
use super::writes::Writes;

/// How many answers there may be for one address, told apart by what they vary by. The oldest ones go.
const VARIANTS: usize = 8;

/// For how long it is remembered that answers are not for all, so that nobody waits for them.
const PASSED: Duration = Duration::from_secs(10);
const MOST_PASSED: u64 = 16 * 1024;

type Variants = Arc<[Arc<Stored>]>;

/// Answers by their keys, no more than a number of bytes.
#[derive(Debug)]
pub(super) struct Shelf {
    answers: Cache<Arc<[u8]>, Variants>,
    /// By hashes, since keys may be long. Where two are the same, one does not wait that could.
    passed: Cache<u64, ()>,
    hasher: RandomState,
    pub(super) writes: Writes,
}

/// What is kept for a request.
pub(super) enum Found {
    Nothing,
    /// For requests that say something else.
    Other(Arc<Stored>),
    For(Arc<Stored>),
}

impl Shelf {
    pub(super) fn new(max_bytes: u64) -> Self {
        let weigher = |key: &Arc<[u8]>, variants: &Variants| {
            let weight = key.len() + variants.iter().map(|stored| stored.weight()).sum::<usize>();
            u32::try_from(weight).unwrap_or(u32::MAX)
        };
        let answers = Cache::builder().max_capacity(max_bytes).weigher(weigher).expire_after(WhileOfUse).build();
        let passed = Cache::builder().max_capacity(MOST_PASSED).time_to_live(PASSED).build();
        Self { answers, passed, hasher: RandomState::new(), writes: Writes::new() }
    }

    pub(super) fn find(&self, key: &[u8], request: &HeaderMap) -> Found {
        let Some(variants) = self.answers.get(key) else { return Found::Nothing };
        let mut current = variants.iter().rev().filter(|stored| self.writes.is_current(stored.begun)).peekable();
        let Some(newest) = current.peek().copied() else { return Found::Nothing };
        match current.find(|stored| stored.is_for(request)) {
            Some(stored) => Found::For(stored.clone()),
            None => Found::Other(newest.clone()),
        }
    }

    /// Keeps an answer to a request with these headers, in the place of one that was for such a request.
    pub(super) fn keep(&self, key: &[u8], request: &HeaderMap, stored: &Arc<Stored>) {
        self.answers.entry(key.into()).and_compute_with(|had| {
            let had = had.map(moka::Entry::into_value);
            let stays = |other: &&Arc<Stored>| !other.is_for(request) && self.writes.is_current(other.begun);
            let mut variants: Vec<_> = had.iter().flat_map(|had| had.iter()).filter(stays).cloned().collect();
            let surplus = (variants.len() + 1).saturating_sub(VARIANTS);
            variants.drain(..surplus);
            variants.push(stored.clone());
            Op::Put(variants.into())
        });
    }

    /// Whether answers for such a flight were not for all lately.
    pub(super) fn is_passed(&self, flight: &[u8]) -> bool {
        self.passed.contains_key(&self.hasher.hash_one(flight))
    }

    pub(super) fn pass(&self, flight: &[u8]) {
        self.passed.insert(self.hasher.hash_one(flight), ());
    }

    /// One of them was for all after all.
    pub(super) fn unpass(&self, flight: &[u8]) {
        self.passed.invalidate(&self.hasher.hash_one(flight));
    }

    pub(super) fn clear(&self) {
        self.writes.write_all();
        self.answers.invalidate_all();
        self.passed.invalidate_all();
    }

    /// How many bytes the answers take.
    pub(super) fn bytes(&self) -> u64 {
        self.answers.run_pending_tasks();
        self.answers.weighted_size()
    }
}

/// Keeps variants while one of them may still be of use.
struct WhileOfUse;

impl WhileOfUse {
    fn longest(variants: &Variants) -> Option<Duration> {
        variants.iter().map(|stored| stored.lifetime.whole()).max()
    }
}

impl Expiry<Arc<[u8]>, Variants> for WhileOfUse {
    fn expire_after_create(&self, _: &Arc<[u8]>, variants: &Variants, _: Instant) -> Option<Duration> {
        Self::longest(variants)
    }

    fn expire_after_update(
        &self,
        _: &Arc<[u8]>,
        variants: &Variants,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Self::longest(variants)
    }
}
