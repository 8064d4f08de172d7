use std::fmt;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::ConfigError;
use crate::layers::caller::Caller;

const PREFIX: &str = "sha256:";

/// A key that is known by its hash, and whom it was given to.
#[derive(Clone)]
#[must_use]
pub struct KnownKey {
    pub(super) hash: [u8; 32],
    pub(super) caller: Caller,
}

impl KnownKey {
    /// The key with this hash, `sha256:` and 64 hexadecimal digits, given to `subject`.
    ///
    /// # Errors
    /// When it is no such hash.
    pub fn new(hash: &str, subject: impl Into<String>) -> Result<Self, ConfigError> {
        let caller = Caller::new("ApiKey", subject)?;
        let hash = read(hash).ok_or_else(|| no_hash(caller.subject()))?;
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

/// The hash is not told: it may be the key.
pub(super) fn no_hash(subject: &str) -> ConfigError {
    ConfigError::new(format!("ApiKey: the hash of the key of {subject:?} is none"))
        .cure("give sha256: and 64 hexadecimal digits, as `ziggurat api-key` prints them")
}

/// The bytes of a hash as it is written.
pub(super) fn read(hash: &str) -> Option<[u8; 32]> {
    let digits = hash.strip_prefix(PREFIX).filter(|digits| digits.len() == 64)?;
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks(2)) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        *byte = digit(0)? << 4 | digit(1)?;
    }
    Some(bytes)
}
