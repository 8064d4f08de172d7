use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{KnownKey, key};
use crate::ConfigError;
use crate::service::Claims;

/// No key is longer.
const MAX_KEY: usize = 512;

/// The keys that a layer knows, which can be changed while it serves. A clone is the same ones.
///
/// What is changed holds for every request that comes after it, in all clones of the layer and of its services. Requests that were let in
/// before go on.
#[derive(Clone)]
pub struct ApiKeys(Arc<RwLock<Table>>);

impl ApiKeys {
    pub(super) fn new(keys: impl IntoIterator<Item = KnownKey>) -> Result<Self, ConfigError> {
        let table = Table::new(keys)?;
        if table.0.is_empty() {
            return Err(ConfigError::new("ApiKey: no key is known, so nobody could call").cure("give at least one"));
        }
        Ok(Self(Arc::new(RwLock::new(table))))
    }

    /// Knows these keys from now on, and no others. With none of them nobody can call.
    ///
    /// # Errors
    /// When one is there twice; nothing is changed then.
    pub fn replace(&self, keys: impl IntoIterator<Item = KnownKey>) -> Result<(), ConfigError> {
        let table = Table::new(keys)?;
        let count = table.count();
        // The old ones are dropped when no request waits for that any more.
        let old = std::mem::replace(&mut *self.write(), table);
        tracing::info!(before = old.count(), now = count, "the API keys were replaced");
        Ok(())
    }

    /// Knows one more key.
    ///
    /// # Errors
    /// When it is there already.
    pub fn add(&self, key: KnownKey) -> Result<(), ConfigError> {
        let (known, first) = Known::of(key)?;
        let subject = known.subject.clone();
        self.write().add(known, first)?;
        tracing::info!(subject = &*subject, "an API key was added");
        Ok(())
    }

    /// Forgets the keys of `subject`, all of them or that with this hash; tells how many these were. It may be the last one.
    ///
    /// # Errors
    /// When `hash` is none.
    pub fn revoke(&self, subject: &str, hash: Option<&str>) -> Result<usize, ConfigError> {
        let hash = hash.map(|hash| key::read(hash).ok_or_else(|| key::no_hash(subject))).transpose()?;
        let revoked = self.write().revoke(subject, hash);
        tracing::info!(subject, keys = revoked, "API keys were revoked");
        Ok(revoked)
    }

    /// Whom `key` was given to.
    pub(super) fn find(&self, key: &[u8]) -> Option<Claims> {
        if key.len() > MAX_KEY {
            return None;
        }
        let hash: [u8; 32] = Sha256::digest(key).into();
        self.read().find(&hash).cloned()
    }

    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Without the keys.
impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKeys({})", self.read().count())
    }
}

/// Four bytes of a hash say where it would be: who knows those of a key knows nothing of it.
type First = [u8; 4];

/// No place is empty.
struct Table(HashMap<First, Vec<Known>>);

struct Known {
    hash: [u8; 32],
    subject: Box<str>,
    claims: Claims,
}

impl Known {
    fn of(KnownKey { hash, caller }: KnownKey) -> Result<(Self, First), ConfigError> {
        let subject = caller.subject().into();
        Ok((Self { hash, subject, claims: caller.claims("ApiKey")? }, first(&hash)))
    }
}

impl Table {
    fn new(keys: impl IntoIterator<Item = KnownKey>) -> Result<Self, ConfigError> {
        let mut table = Self(HashMap::new());
        for key in keys {
            let (known, first) = Known::of(key)?;
            table.add(known, first)?;
        }
        Ok(table)
    }

    fn add(&mut self, known: Known, first: First) -> Result<(), ConfigError> {
        let place = self.0.entry(first).or_default();
        if place.iter().any(|other| other.hash == known.hash) {
            return Err(ConfigError::new(format!("ApiKey: the key of {:?} is there twice", known.subject))
                .cure("give everybody a key of their own"));
        }
        place.push(known);
        Ok(())
    }

    fn revoke(&mut self, subject: &str, hash: Option<[u8; 32]>) -> usize {
        let before = self.count();
        self.0.retain(|_, place| {
            place.retain(|known| *known.subject != *subject || hash.is_some_and(|hash| known.hash != hash));
            !place.is_empty()
        });
        before - self.count()
    }

    fn count(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    fn find(&self, hash: &[u8; 32]) -> Option<&Claims> {
        let place = self.0.get(&first(hash))?;
        place
            .iter()
            .fold(None, |found, known| if bool::from(known.hash.ct_eq(hash)) { Some(&known.claims) } else { found })
    }
}

fn first(hash: &[u8; 32]) -> First {
    [hash[0], hash[1], hash[2], hash[3]]
}
