//! Of layers that lead requests to the right place.

use std::collections::BTreeMap;

use http::StatusCode;
use serde::Deserialize;

use crate::ConfigError;
use crate::layers::{HostsLayer, NormalizePathLayer, RedirectLayer};

/// Settings of `Hosts`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostsSpec {
    /// The hosts that are known: `example.org`, `*.example.org`.
    pub names: Vec<String>,
}

impl HostsSpec {
    pub(in crate::layers::spec) fn layer(self) -> Result<HostsLayer, ConfigError> {
        HostsLayer::new(self.names)
    }
}

/// Settings of `NormalizePath`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NormalizePathSpec {
    /// Whether clients are sent to the path without slashes at its end, rather than answered as if they had sent it.
    pub redirect: bool,
}

impl NormalizePathSpec {
    pub(in crate::layers::spec) fn layer(&self) -> NormalizePathLayer {
        if self.redirect { NormalizePathLayer::redirect() } else { NormalizePathLayer::trim() }
    }
}

/// Settings of `Redirect`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RedirectSpec {
    /// Hosts that are reached over TLS only.
    pub https: Vec<String>,
    /// Hosts, and the one that each leads to.
    pub hosts: BTreeMap<String, String>,
    /// Paths, and the place that each leads to.
    pub paths: BTreeMap<String, String>,
    /// The status of the answer.
    pub status: u16,
}

impl Default for RedirectSpec {
    fn default() -> Self {
        Self { https: Vec::new(), hosts: BTreeMap::new(), paths: BTreeMap::new(), status: 308 }
    }
}

impl RedirectSpec {
    pub(in crate::layers::spec) fn layer(&self) -> Result<RedirectLayer, ConfigError> {
        if self.https.is_empty() && self.hosts.is_empty() && self.paths.is_empty() {
            return Err(ConfigError::new("Redirect: nothing is redirected").cure("give https, hosts or paths"));
        }
        let status = StatusCode::from_u16(self.status)
            .map_err(|_| ConfigError::new(format!("Redirect: status is {}", self.status)).cure("give 308"))?;
        let layer = RedirectLayer::new().status(status)?;
        let layer = self.https.iter().try_fold(layer, |layer, host| layer.https(host))?;
        let layer = self.hosts.iter().try_fold(layer, |layer, (from, to)| layer.host(from, to))?;
        self.paths.iter().try_fold(layer, |layer, (from, to)| layer.path(from, to))
    }
}
