use std::fmt;
use std::sync::Arc;

use tower_layer::Layer;

use super::BodyLimit;
use crate::ConfigError;

/// Applies [`BodyLimit`]; see the [module](super) for examples.
#[derive(Debug, Clone)]
#[must_use]
pub struct BodyLimitLayer {
    limits: Limits,
}

/// What bodies may have, at most paths and at some.
#[derive(Clone)]
pub(super) struct Limits {
    max_bytes: usize,
    /// None where there are no exceptions, so that nothing is looked up.
    at: Option<Arc<matchit::Router<usize>>>,
}

impl Limits {
    pub(super) fn of(&self, path: &str) -> usize {
        let own = self.at.as_ref().and_then(|router| router.at(path).ok());
        own.map_or(self.max_bytes, |own| *own.value)
    }
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limits").field("max_bytes", &self.max_bytes).finish_non_exhaustive()
    }
}

impl BodyLimitLayer {
    /// Refuses bodies of more than `max_bytes`.
    pub const fn new(max_bytes: usize) -> Self {
        Self { limits: Limits { max_bytes, at: None } }
    }

    /// At this path, which may have parameters as `/files/{id}` and `/files/{*rest}`, bodies may have so many bytes.
    ///
    /// # Errors
    /// When the path cannot be read, or another one that was given matches the same.
    pub fn at(mut self, path: &str, max_bytes: usize) -> Result<Self, ConfigError> {
        let mut router = self.limits.at.as_deref().cloned().unwrap_or_default();
        router.insert(path, max_bytes).map_err(|error| {
            ConfigError::new(format!("BodyLimit: a limit at {path:?}: {error}"))
                .cure("write a path as \"/files/{id}\", each once")
        })?;
        self.limits.at = Some(Arc::new(router));
        Ok(self)
    }

    /// How many bytes a body at this path may have.
    pub fn max_bytes_at(&self, path: &str) -> usize {
        self.limits.of(path)
    }
}

impl Default for BodyLimitLayer {
    /// 1 MiB.
    fn default() -> Self {
        Self::new(1 << 20)
    }
}

impl<S> Layer<S> for BodyLimitLayer {
    type Service = BodyLimit<S>;

    fn layer(&self, inner: S) -> BodyLimit<S> {
        BodyLimit { inner, limits: self.limits.clone() }
    }
}
