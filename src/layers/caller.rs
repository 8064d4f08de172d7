//! Whom a credential was given to, where that is configured.

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::ConfigError;
use crate::service::Claims;

/// What is said otherwise.
const RESERVED: [&str; 4] = ["sub", "scope", "scp", "scopes"];

#[derive(Debug, Clone)]
pub(super) struct Caller {
    subject: String,
    pub(super) scopes: Vec<String>,
    more: Map<String, Value>,
}

impl Caller {
    pub(super) fn new(layer: &str, subject: impl Into<String>) -> Result<Self, ConfigError> {
        let subject = subject.into();
        if subject.is_empty() {
            return Err(
                ConfigError::new(format!("{layer}: a subject is empty")).cure("say whom the credential stands for")
            );
        }
        Ok(Self { subject, scopes: Vec::new(), more: Map::new() })
    }

    pub(super) fn subject(&self) -> &str {
        &self.subject
    }

    pub(super) fn claim(&mut self, layer: &str, name: String, value: Value) -> Result<(), ConfigError> {
        if RESERVED.contains(&&*name) {
            return Err(ConfigError::new(format!("{layer}: the claim {name} of {:?} is said otherwise", self.subject))
                .cure("give the subject and the scopes as such"));
        }
        self.more.insert(name, value);
        Ok(())
    }

    /// As the claims of a token.
    pub(super) fn claims(self, layer: &str) -> Result<Claims, ConfigError> {
        let mut all = self.more;
        all.insert("sub".to_owned(), self.subject.into());
        all.insert("scopes".to_owned(), self.scopes.into());
        let claims = RawValue::from_string(Value::Object(all).to_string()).and_then(Claims::parse);
        claims.map_err(|error| ConfigError::new(format!("{layer}: claims cannot be read: {error}")))
    }
}
