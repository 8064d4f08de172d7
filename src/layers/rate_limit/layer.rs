use std::sync::Arc;

use tower_layer::Layer;

use super::{By, InMemory, Key, Quota, Quotas, RateLimit, WithoutKey, told::Told};
use crate::ConfigError;

/// Applies [`RateLimit`]; see the [module](super) for examples.
///
/// All services that one layer and its clones are applied to share the quotas; for quotas of their own make a layer for each.
#[derive(Debug, Clone)]
#[must_use]
pub struct RateLimitLayer<K = By, Q = InMemory> {
    key: K,
    quotas: Q,
    rules: Rules,
}

/// What is the same for all requests.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub(super) quota: Quota,
    pub(super) without_key: WithoutKey,
    pub(super) headers: bool,
    pub(super) told: Arc<Told>,
}

impl Rules {
    /// What answers are to tell, if anything.
    pub(super) fn telling(&self) -> Option<Arc<Told>> {
        self.headers.then(|| self.told.clone())
    }
}

impl RateLimitLayer {
    /// So much for each client, by its address.
    pub fn new(quota: Quota) -> Self {
        let told = Arc::new(Told::new("default", &quota));
        let rules = Rules { quota, without_key: WithoutKey::Share, headers: true, told };
        Self { key: By::client_ip(), quotas: InMemory::default(), rules }
    }
}

impl<K, Q> RateLimitLayer<K, Q> {
    /// Tells apart by something else those who have a quota each.
    pub fn key<L: Key>(self, key: L) -> RateLimitLayer<L, Q> {
        RateLimitLayer { key, quotas: self.quotas, rules: self.rules }
    }

    /// What becomes of requests that have no key.
    pub fn without_key(mut self, without_key: WithoutKey) -> Self {
        self.rules.without_key = without_key;
        self
    }

    /// Keeps elsewhere what was taken, or for another number of keys.
    pub fn quotas<R: Quotas>(self, quotas: R) -> RateLimitLayer<K, R> {
        RateLimitLayer { key: self.key, quotas, rules: self.rules }
    }

    /// What the quota is called in `RateLimit` and `RateLimit-Policy`, so that several can be told apart; `default` unless told.
    ///
    /// # Errors
    /// When it is not 1 to 64 letters, digits, `-`, `_` and `.`.
    pub fn policy(mut self, name: &str) -> Result<Self, ConfigError> {
        let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if !(1..=64).contains(&name.len()) || !name.bytes().all(is_fine) {
            return Err(ConfigError::new(format!("RateLimit: policy {name:?} is no name"))
                .cure("use 1 to 64 letters, digits, '-', '_' and '.'"));
        }
        self.rules.told = Arc::new(Told::new(name, &self.rules.quota));
        Ok(self)
    }

    /// Whether answers have `RateLimit` and `RateLimit-Policy`; they have unless told. `Retry-After` of a refusal stays.
    pub fn headers(mut self, tell: bool) -> Self {
        self.rules.headers = tell;
        self
    }
}

impl<S, K: Clone, Q: Clone> Layer<S> for RateLimitLayer<K, Q> {
    type Service = RateLimit<S, K, Q>;

    fn layer(&self, inner: S) -> RateLimit<S, K, Q> {
        RateLimit { inner, key: self.key.clone(), quotas: self.quotas.clone(), rules: self.rules.clone() }
    }
}
