use std::fmt;

use argon2::Params;
use argon2::password_hash::PasswordHashString;
use serde_json::Value;

use super::password::{self, PasswordError};
use crate::ConfigError;
use crate::layers::caller::Caller;

/// Memory, passes, lanes, version and length of a hash.
pub(super) type Cost = (u32, u32, u32, Option<u32>, usize);

/// A user whose password is known by its hash.
#[derive(Clone)]
#[must_use]
pub struct KnownUser {
    pub(super) hash: PasswordHashString,
    pub(super) caller: Caller,
}

impl KnownUser {
    /// The user with this name, and the PHC string of its password's argon2id hash, as [`hash_password`](super::hash_password) makes it.
    ///
    /// # Errors
    /// When the name is empty or has a colon, or `hash` is no such hash.
    pub fn new(name: impl Into<String>, hash: &str) -> Result<Self, ConfigError> {
        let caller = Caller::new("Basic", name)?;
        if caller.subject().contains(|c: char| c == ':' || c.is_control()) {
            return Err(ConfigError::new(format!("Basic: {:?} cannot be the name of a user", caller.subject()))
                .cure("leave out colons and control characters"));
        }
        // The hash is not told: it may be the password.
        let wrong = |error: PasswordError| {
            ConfigError::new(format!("Basic: the hash of {:?} {}", caller.subject(), error.of_hash()))
                .cure("give the PHC string of an argon2id hash, which begins with $argon2id$")
        };
        Ok(Self { hash: password::parse(hash).map_err(wrong)?, caller })
    }

    /// Allows one more thing.
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.caller.scopes.push(scope.into());
        self
    }

    /// Says one more thing of the user.
    ///
    /// # Errors
    /// When `name` is one of `sub` and the scopes, which are said otherwise.
    pub fn claim(mut self, name: impl Into<String>, value: impl Into<Value>) -> Result<Self, ConfigError> {
        self.caller.claim("Basic", name.into(), value.into())?;
        Ok(self)
    }

    /// What the time goes by that it takes to check a password.
    pub(super) fn cost(&self) -> Cost {
        let hash = self.hash.password_hash();
        let params = Params::try_from(&hash).unwrap_or_default();
        let length = hash.hash.map_or(0, |hash| hash.len());
        (params.m_cost(), params.t_cost(), params.p_cost(), hash.version, length)
    }
}

/// Without the hash.
impl fmt::Debug for KnownUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnownUser").field("caller", &self.caller).finish_non_exhaustive()
    }
}
