use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use tower_layer::Layer;

use super::Cache;
use super::asked::Rules;
use super::core::Core;
use crate::ConfigError;

/// Applies [`Cache`]; see the [module](super) for examples.
///
/// All services of a layer and of its clones share what is kept. A setting begins anew, with nothing.
#[derive(Clone)]
#[must_use]
pub struct CacheLayer {
    core: Arc<Core>,
}

impl CacheLayer {
    /// Keeps what says that it may be kept: up to 64 MiB, of bodies up to 1 MiB.
    pub fn new() -> Self {
        let rules =
            Rules { ttl: None, max_bytes: 64 << 20, max_body_bytes: 1 << 20, vary: Vec::new(), client_control: true };
        Self { core: Core::new(rules).into() }
    }

    fn change(self, change: impl FnOnce(&mut Rules)) -> Self {
        let mut rules = self.core.rules.clone();
        change(&mut rules);
        Self { core: Core::new(rules).into() }
    }

    /// For how long good answers are kept that say nothing of it themselves.
    ///
    /// Only where everybody gets the same from the inner service, or is told apart by `Cookie`, `Authorization`, a layer that finds
    /// out who calls, or what [`vary`](Self::vary) names.
    ///
    /// # Errors
    /// When it is no time at all.
    pub fn ttl(self, ttl: Duration) -> Result<Self, ConfigError> {
        if ttl.is_zero() {
            return Err(
                ConfigError::new("Cache: ttl is 0, so nothing would be kept").cure("give a time, or leave it out")
            );
        }
        Ok(self.change(|rules| rules.ttl = Some(ttl)))
    }

    /// How many bytes all answers may take, of which those go first that were of least use; and how many the body of one may have.
    /// Longer ones are sent as they come, and not kept.
    ///
    /// # Errors
    /// When a body may have none, or more than all answers may take.
    pub fn limits(self, max_bytes: u64, max_body_bytes: usize) -> Result<Self, ConfigError> {
        let wrong = |what: String, cure: &str| Err(ConfigError::new(format!("Cache: {what}")).cure(cure));
        if max_body_bytes == 0 {
            return wrong("max_body_bytes is 0, so nothing would be kept".to_owned(), "give a number from 1");
        }
        if max_bytes < max_body_bytes as u64 {
            let what = format!("max_bytes is {max_bytes}, and one body may have {max_body_bytes}");
            return wrong(what, "give max_bytes several times max_body_bytes");
        }
        Ok(self.change(|rules| {
            rules.max_bytes = max_bytes;
            rules.max_body_bytes = max_body_bytes;
        }))
    }

    /// Headers of requests that tell answers apart, whether they say so in `Vary` or not: all that the inner service looks at, as
    /// `x-forwarded-host` or a header with a key.
    pub fn vary(self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        let names = names.into_iter().collect();
        self.change(|rules| rules.vary = names)
    }

    /// Whether clients may ask for what is fresh by `Cache-Control`, as they do unless this says no. Each may have the inner service
    /// asked for every request then.
    pub fn client_control(self, yes: bool) -> Self {
        self.change(|rules| rules.client_control = yes)
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.core.shelf.clear();
    }

    /// Forgets what is kept for a path, with any query and of any host. What was asked for before and is still under way is not kept.
    pub fn invalidate(&self, path: &str) {
        // A target with a query is that of its path.
        self.core.invalidate(path.split(['?', '#']).next().unwrap_or_default());
    }

    /// How many bytes the answers take that are kept.
    pub fn bytes(&self) -> u64 {
        self.core.shelf.bytes()
    }
}

impl Default for CacheLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for CacheLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheLayer").field("rules", &self.core.rules).finish_non_exhaustive()
    }
}

impl<S> Layer<S> for CacheLayer {
    type Service = Cache<S>;

    fn layer(&self, inner: S) -> Cache<S> {
        Cache { inner, core: self.core.clone() }
    }
}
