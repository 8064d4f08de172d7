use std::collections::HashMap;
use std::fmt;

use serde_json::Value;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::ConfigError;
use crate::layers::caller::Caller;
use crate::service::Claims;

const PREFIX: &str = "sha256:";
/// No key is longer.
const MAX_KEY: usize = 512;

/// A key that is known by its hash, and whom it was given to.
#[derive(Clone)]
#[must_use]
pub struct KnownKey {
    hash: [u8; 32],
    caller: Caller,
}

impl KnownKey {
    /// The key with this hash, `sha256:` and 64 hexadecimal digits, given to `subject`.
    ///
    /// # Errors
    /// When it is no such hash.
    pub fn new(hash: &str, subject: impl Into<String>) -> Result<Self, ConfigError> {
        let caller = Caller::new("ApiKey", subject)?;
        let digits = hash.strip_prefix(PREFIX).filter(|digits| digits.len() == 64);
        // The hash is not told: it may be the key.
        let hash = digits.and_then(bytes_of).ok_or_else(|| {
            ConfigError::new(format!("ApiKey: the hash of the key of {:?} is none", caller.subject()))
                .cure("give sha256: and 64 hexadecimal digits, as `ziggurat api-key` prints them")
        })?;
        Ok(Self { hash, caller })
    }

    /// How `key` is known.
    pub fn hash_of(key: impl AsRef<[u8]>) -> String {
        use fmt::Write;
        let mut hash = PREFIX.to_owned();
        for byte in Sha256::digest(key) {
            // To memory, which does not fail.
            let _ = write!(hash, "{byte:02x}");
        }
        hash
    }

    /// Allows one more thing.
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.caller.scopes.push(scope.into());
        self
    }

    /// Says one more thing of the subject.
    ///
    /// # Errors
    /// When `name` is one of `sub` and the scopes, which are said otherwise.
    pub fn claim(mut self, name: impl Into<String>, value: impl Into<Value>) -> Result<Self, ConfigError> {
        self.caller.claim("ApiKey", name.into(), value.into())?;
        Ok(self)
    }
}

/// Without the hash.
impl fmt::Debug for KnownKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnownKey").field("caller", &self.caller).finish_non_exhaustive()
    }
}

fn bytes_of(digits: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks(2)) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        *byte = digit(0)? << 4 | digit(1)?;
    }
    Some(bytes)
}

/// The keys there are.
pub(super) struct Keys(HashMap<[u8; 4], Vec<([u8; 32], Claims)>>);

impl Keys {
    pub(super) fn new(keys: impl IntoIterator<Item = KnownKey>) -> Result<Self, ConfigError> {
        let mut known: HashMap<_, Vec<([u8; 32], Claims)>> = HashMap::new();
        for KnownKey { hash, caller } in keys {
            let place = known.entry(first(&hash)).or_default();
            if place.iter().any(|(other, _)| *other == hash) {
                return Err(ConfigError::new(format!("ApiKey: the key of {:?} is there twice", caller.subject()))
                    .cure("give everybody a key of their own"));
            }
            place.push((hash, caller.claims("ApiKey")?));
        }
        if known.is_empty() {
            return Err(ConfigError::new("ApiKey: no key is known, so nobody could call").cure("give at least one"));
        }
        Ok(Self(known))
    }

    /// Whom `key` was given to.
    ///
    /// Four bytes of the hash say where it would be: who knows those of a key knows nothing of it.
    pub(super) fn find(&self, key: &[u8]) -> Option<&Claims> {
        if key.len() > MAX_KEY {
            return None;
        }
        let hash: [u8; 32] = Sha256::digest(key).into();
        let place = self.0.get(&first(&hash))?;
        place.iter().fold(None, |found, (own, claims)| if bool::from(own.ct_eq(&hash)) { Some(claims) } else { found })
    }
}

fn first(hash: &[u8; 32]) -> [u8; 4] {
    [hash[0], hash[1], hash[2], hash[3]]
}
