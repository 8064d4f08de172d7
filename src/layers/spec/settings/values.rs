//! What settings are made of.

use std::fmt;
use std::time::Duration;

use http::HeaderName;
use serde::Deserialize;

use crate::ConfigError;

/// One text, or a list.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl OneOrMany {
    pub(in crate::layers::spec) fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::Many(list) => list,
        }
    }
}

/// A text that `Debug` does not show.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

pub(in crate::layers::spec) fn header_name(layer: &str, name: &str) -> Result<HeaderName, ConfigError> {
    HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
        ConfigError::new(format!("{layer}: {name:?} is not a header name")).cure("use letters, digits and hyphens")
    })
}

pub(in crate::layers::spec) fn seconds(field: &str, value: f64, least: f64) -> Result<Duration, ConfigError> {
    // A day at most: longer is a mistake of units, and far from the limits of timers.
    if value >= least && value <= 86_400.0 {
        return Ok(Duration::from_secs_f64(value));
    }
    Err(ConfigError::new(format!("{field} is {value}")).cure(format!("give a number of seconds from {least} to 86400")))
}
