//! Of layers that lead requests to the right place.

use std::collections::BTreeMap;
use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;

use crate::ConfigError;
use crate::layers::{HostsLayer, NormalizePathLayer, RedirectLayer, StaticLayer};

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

/// Settings of `Static`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StaticSpec {
    /// The directory that holds the files.
    pub directory: String,
    /// The path below which they are served.
    #[serde(default = "StaticSpec::path")]
    pub path: String,
    /// What directories are answered with.
    #[serde(default = "StaticSpec::index")]
    pub index: Option<String>,
    /// What pages are answered with that are not there.
    #[serde(default)]
    pub fallback: Option<String>,
    /// Whether what stands beside a file compressed is sent for it.
    #[serde(default)]
    pub precompressed: bool,
    /// For how many seconds clients keep a file without asking again.
    #[serde(default)]
    pub max_age: Option<u64>,
    /// Whether files never change.
    #[serde(default)]
    pub immutable: bool,
    /// Whether names that begin with a dot are served.
    #[serde(default)]
    pub hidden: bool,
    /// Whether symbolic links are followed out of the directory.
    #[serde(default)]
    pub follow_symlinks: bool,
}

impl StaticSpec {
    fn path() -> String {
        "/static".to_owned()
    }

    #[allow(clippy::unnecessary_wraps)] // What is left out, unlike what is null.
    fn index() -> Option<String> {
        Some("index.html".to_owned())
    }

    pub(in crate::layers::spec) fn layer(&self) -> Result<StaticLayer, ConfigError> {
        let mut layer = StaticLayer::new(&self.path, &self.directory)?
            .precompressed(self.precompressed)
            .hidden(self.hidden)
            .follow_symlinks(self.follow_symlinks)
            .index(self.index.as_deref())?;
        if let Some(fallback) = &self.fallback {
            layer = layer.fallback(fallback)?;
        }
        match self.max_age {
            Some(seconds) => Ok(layer.max_age(Duration::from_secs(seconds), self.immutable)),
            None if self.immutable => Err(ConfigError::new("Static: immutable is given without max_age")
                .cure("say for how many seconds files are kept, as max_age=31536000")),
            None => Ok(layer),
        }
    }
}
