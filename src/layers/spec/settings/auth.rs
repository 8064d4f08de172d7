//! `ApiKey` and `Basic` as data.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::values::seconds;
use super::{Secret, SourceSpec};
use crate::ConfigError;
use crate::layers::api_key::{ApiKeyLayer, KnownKey};
use crate::layers::basic::{BasicLayer, KnownUser};

/// Settings of `ApiKey`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKeySpec {
    /// The keys that are known.
    pub keys: Vec<KeySpec>,
    /// Where a key is looked for; in `X-API-Key` when it is left out.
    #[serde(default)]
    pub sources: Option<Vec<SourceSpec>>,
    /// Whether requests without a key are refused.
    #[serde(default = "yes")]
    pub required: bool,
}

/// A key that is known.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeySpec {
    /// Its SHA-256: `sha256:` and 64 hexadecimal digits.
    pub hash: Secret,
    /// Whom it was given to.
    pub subject: String,
    /// What it allows.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// What else is known of the subject.
    #[serde(default)]
    pub claims: Map<String, Value>,
}

/// Settings of `Basic`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BasicSpec {
    /// The users that are known.
    pub users: Vec<UserSpec>,
    /// What is protected, as browsers show it.
    #[serde(default)]
    pub realm: Option<String>,
    /// How many passwords are checked at the same time.
    #[serde(default)]
    pub parallel: Option<usize>,
    /// For how many seconds a good password is not checked again.
    #[serde(default)]
    pub remember: Option<f64>,
    /// Whether requests without a password are refused.
    #[serde(default = "yes")]
    pub required: bool,
}

/// A user that is known.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserSpec {
    /// The name.
    pub name: String,
    /// The PHC string of the password's argon2id hash.
    pub hash: Secret,
    /// What the user may do.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// What else is known of the user.
    #[serde(default)]
    pub claims: Map<String, Value>,
}

const fn yes() -> bool {
    true
}

impl ApiKeySpec {
    pub(in crate::layers::spec) fn layer(self) -> Result<ApiKeyLayer, ConfigError> {
        let keys: Result<Vec<_>, _> = self.keys.into_iter().map(KeySpec::key).collect();
        let mut layer = ApiKeyLayer::new(keys?)?;
        if let Some(sources) = self.sources {
            let sources: Result<Vec<_>, _> = sources.into_iter().map(|source| source.read("ApiKey")).collect();
            layer = layer.sources(sources?)?;
        }
        Ok(layer.required(self.required))
    }
}

impl KeySpec {
    /// Checks it and makes the key.
    ///
    /// # Errors
    /// When the hash is none, the subject is empty, or a claim is said otherwise.
    pub fn key(self) -> Result<KnownKey, ConfigError> {
        let key = self.scopes.into_iter().fold(KnownKey::new(&self.hash.0, self.subject)?, KnownKey::scope);
        self.claims.into_iter().try_fold(key, |key, (name, value)| key.claim(name, value))
    }
}

impl BasicSpec {
    pub(in crate::layers::spec) fn layer(self) -> Result<BasicLayer, ConfigError> {
        let users: Result<Vec<_>, _> = self.users.into_iter().map(UserSpec::user).collect();
        let mut layer = BasicLayer::new(users?)?;
        if let Some(realm) = self.realm {
            layer = layer.realm(&realm)?;
        }
        if let Some(checks) = self.parallel {
            layer = layer.parallel(checks);
        }
        if let Some(remember) = self.remember {
            layer = layer.remember(seconds("Basic: remember", remember, 0.0)?);
        }
        Ok(layer.required(self.required))
    }
}

impl UserSpec {
    fn user(self) -> Result<KnownUser, ConfigError> {
        let user = self.scopes.into_iter().fold(KnownUser::new(self.name, &self.hash.0)?, KnownUser::scope);
        self.claims.into_iter().try_fold(user, |user, (name, value)| user.claim(name, value))
    }
}
