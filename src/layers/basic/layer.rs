use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use tower_layer::Layer;

use super::users::Users;
use super::{Basic, KnownUser};
use crate::ConfigError;

const REMEMBER: Duration = Duration::from_secs(60);
const PARALLEL: usize = 2;

/// Applies [`Basic`]; see the [module](super) for examples.
#[derive(Clone)]
#[must_use]
pub struct BasicLayer {
    known: Arc<[KnownUser]>,
    users: Arc<Users>,
    challenge: HeaderValue,
    required: bool,
    parallel: usize,
    remember: Duration,
}

impl BasicLayer {
    /// Knows these users.
    ///
    /// # Errors
    /// When there is none, or one is there twice.
    pub fn new(users: impl IntoIterator<Item = KnownUser>) -> Result<Self, ConfigError> {
        let known: Arc<[KnownUser]> = users.into_iter().collect();
        Ok(Self {
            users: Arc::new(Users::new(known.iter().cloned(), PARALLEL, REMEMBER)?),
            known,
            challenge: challenge("restricted").ok_or_else(|| wrong_realm("restricted"))?,
            required: true,
            parallel: PARALLEL,
            remember: REMEMBER,
        })
    }

    /// What is protected, as browsers show it; `restricted` by default.
    ///
    /// # Errors
    /// When it has quotes, backslashes or control characters.
    pub fn realm(mut self, realm: &str) -> Result<Self, ConfigError> {
        self.challenge = challenge(realm).ok_or_else(|| wrong_realm(realm))?;
        Ok(self)
    }

    /// How many passwords are checked at the same time; two by default, and one at least. Each takes the memory that its hash says.
    pub fn parallel(mut self, checks: usize) -> Self {
        self.parallel = checks.max(1);
        self.changed()
    }

    /// For how long a good password is not checked again; a minute by default, and zero checks each time.
    pub fn remember(mut self, time: Duration) -> Self {
        self.remember = time;
        self.changed()
    }

    /// Whether requests without a password are refused that no layer further out has authenticated; they are by default.
    pub fn required(mut self, required: bool) -> Self {
        self.required = required;
        self
    }

    fn changed(mut self) -> Self {
        // They were good before.
        if let Ok(users) = Users::new(self.known.iter().cloned(), self.parallel, self.remember) {
            self.users = Arc::new(users);
        }
        self
    }
}

fn challenge(realm: &str) -> Option<HeaderValue> {
    let is_quotable = !realm.contains(|c: char| c == '"' || c == '\\' || c.is_control() || !c.is_ascii());
    is_quotable.then(|| HeaderValue::from_str(&format!("Basic realm=\"{realm}\", charset=\"UTF-8\"")).ok())?
}

fn wrong_realm(realm: &str) -> ConfigError {
    ConfigError::new(format!("Basic: {realm:?} cannot be a realm"))
        .cure("use plain ASCII without quotes and backslashes")
}

/// Without the passwords.
impl fmt::Debug for BasicLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BasicLayer")
            .field("challenge", &self.challenge)
            .field("required", &self.required)
            .field("parallel", &self.parallel)
            .field("remember", &self.remember)
            .finish_non_exhaustive()
    }
}

impl<S> Layer<S> for BasicLayer {
    type Service = Basic<S>;

    fn layer(&self, inner: S) -> Basic<S> {
        Basic { inner, users: self.users.clone(), challenge: self.challenge.clone(), required: self.required }
    }
}
