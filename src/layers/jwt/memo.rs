//! Tokens that were found good a moment ago.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;

use super::Claims;

/// Longer tokens are checked each time: what is kept stays small.
const MAX_KEPT: usize = 2 * 1024;
/// Tokens that share a place.
const WAYS: usize = 4;

/// A bounded number of tokens, each with what its check came to.
///
/// Its place is found by a hash that nobody outside can compute, so that nobody can have others thrown out on purpose, and a token is
/// the one that is kept only when it is so byte by byte.
pub(super) struct Memo {
    places: Box<[Mutex<[Option<Entry>; WAYS]>]>,
    hashes: RandomState,
}

struct Entry {
    hash: u64,
    token: Box<[u8]>,
    known: Known,
}

/// What is known of a good token.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) claims: Claims,
    /// Whose it is, by number, and by which keys it was found good.
    pub(super) issuer: usize,
    pub(super) generation: u64,
    /// In seconds of Unix time, the leeway included.
    until: u64,
}

impl Known {
    /// None when it does not say until when it holds.
    pub(super) fn new(claims: &Claims, issuer: usize, generation: u64, leeway: Duration) -> Option<Self> {
        #[derive(Deserialize)]
        struct Expiry {
            exp: f64,
        }
        let Expiry { exp } = claims.to().ok()?;
        // Rounded as when it was checked; the cast ends at the greatest number there is.
        let until = (exp.round() as u64).saturating_add(leeway.as_secs());
        Some(Self { claims: claims.clone(), issuer, generation, until })
    }
}

impl Memo {
    /// Room for about so many tokens; none for none.
    pub(super) fn new(tokens: usize) -> Option<Self> {
        let places = tokens.div_ceil(WAYS).checked_next_power_of_two().filter(|_| tokens > 0)?;
        Some(Self { places: (0..places).map(|_| Mutex::default()).collect(), hashes: RandomState::new() })
    }

    /// What is known of `token`, while it holds.
    pub(super) fn find(&self, token: &[u8]) -> Option<Known> {
        let hash = self.hashes.hash_one(token);
        let place = self.place(hash);
        // The hash first: how long it takes to compare says nothing about a token that is kept.
        let entry = place.iter().flatten().find(|entry| entry.hash == hash && *entry.token == *token)?;
        (now()? <= entry.known.until).then(|| entry.known.clone())
    }

    pub(super) fn keep(&self, token: &[u8], known: Known) {
        if token.len() > MAX_KEPT {
            return;
        }
        let hash = self.hashes.hash_one(token);
        let entry = Entry { hash, token: token.into(), known };
        let now = now();
        let mut place = self.place(hash);
        let is_free = |kept: &Option<Entry>| {
            kept.as_ref().is_none_or(|kept| kept.hash == hash || now.is_some_and(|now| now > kept.known.until))
        };
        // Else whichever it is: bits of the hash that do not say the place.
        let way = place.iter().position(is_free).unwrap_or((hash >> 60) as usize % WAYS);
        let old = place[way].replace(entry);
        drop(place);
        drop(old);
    }

    fn place(&self, hash: u64) -> MutexGuard<'_, [Option<Entry>; WAYS]> {
        let mask = self.places.len() - 1;
        self.places[hash as usize & mask].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn now() -> Option<u64> {
    SystemTime::now().duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::value::RawValue;

    fn known(exp: u64) -> Known {
        let claims = Claims::parse(RawValue::from_string(format!(r#"{{"exp": {exp}}}"#)).unwrap()).unwrap();
        Known::new(&claims, 0, 1, Duration::ZERO).unwrap()
    }

    #[test]
    fn it_is_bounded() {
        let memo = Memo::new(10).unwrap();
        for number in 0..1000_u32 {
            memo.keep(&number.to_be_bytes(), known(u64::MAX));
        }
        let kept = (0..1000_u32).filter(|number| memo.find(&number.to_be_bytes()).is_some()).count();
        assert_eq!(kept, 16);
        memo.keep(&[7; MAX_KEPT + 1], known(u64::MAX));
        assert!(memo.find(&[7; MAX_KEPT + 1]).is_none());
        assert!(Memo::new(0).is_none());
    }

    #[test]
    fn it_forgets_what_does_not_hold_any_more() {
        let memo = Memo::new(4).unwrap();
        let now = now().unwrap();
        memo.keep(b"old", known(now - 1));
        memo.keep(b"new", known(now + 60));
        assert!(memo.find(b"old").is_none() && memo.find(b"new").is_some() && memo.find(b"ne").is_none());
        // Their places are taken first.
        for number in 0..3_u8 {
            memo.keep(&[number], known(now + 60));
        }
        assert!(memo.find(b"new").is_some() && (0..3_u8).all(|number| memo.find(&[number]).is_some()));
        // And one that is kept again does not take another's.
        memo.keep(b"new", known(now + 90));
        assert!((0..3_u8).all(|number| memo.find(&[number]).is_some()));
    }
}
