use tower_layer::Layer;

use super::checks::Checks;
use super::{HealthCheck, Readiness};
use crate::ConfigError;

/// Applies [`HealthCheck`]; see the [module](super) for examples.
#[derive(Debug, Clone)]
#[must_use]
pub struct HealthCheckLayer {
    checks: Checks,
}

impl HealthCheckLayer {
    /// Answers `/healthz` while the process answers at all.
    pub fn new() -> Self {
        Self { checks: Checks::healthz() }
    }

    /// Answers these paths instead.
    ///
    /// # Errors
    /// When one is no path, has parameters or is named twice.
    pub fn at(paths: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, ConfigError> {
        let mut checks = Checks::none();
        for path in paths {
            checks.add(path.as_ref(), None)?;
        }
        Ok(Self { checks })
    }

    /// Also answers `path`, by what `readiness` says: 503 where that is not ready.
    ///
    /// # Errors
    /// As [`at`](Self::at).
    pub fn ready(mut self, path: &str, readiness: &Readiness) -> Result<Self, ConfigError> {
        self.checks.add(path, Some(readiness.clone()))?;
        Ok(self)
    }
}

impl Default for HealthCheckLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for HealthCheckLayer {
    type Service = HealthCheck<S>;

    fn layer(&self, inner: S) -> HealthCheck<S> {
        HealthCheck { inner, checks: self.checks.clone() }
    }
}
