//! Of quotas of requests, and where they are kept.

use serde::Deserialize;

use super::values::{Secret, header_name, seconds};
use crate::ConfigError;
use crate::layers::RateLimitLayer;
#[cfg(feature = "redis")]
use crate::layers::rate_limit::RedisQuotas;
#[cfg(feature = "sqlite")]
use crate::layers::rate_limit::SqliteQuotas;
use crate::layers::rate_limit::{By, InMemory, OnFailure, Quota, WithoutKey};
#[cfg(any(feature = "sqlite", feature = "redis"))]
use crate::layers::rate_limit::{QuotaStore, Shared};
use crate::service::Dispatcher;

/// Settings of `RateLimit`. At most one of `by_header` and `by_claim` may be given.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimitSpec {
    /// How many requests are answered in each period.
    pub limit: u32,
    /// How many seconds that is.
    #[serde(default = "RateLimitSpec::minute")]
    pub period: f64,
    /// How many are answered at once; as many as `limit` when it is left out.
    #[serde(default)]
    pub burst: Option<u32>,
    /// Counts by the value of this header, instead of the client's address.
    #[serde(default)]
    pub by_header: Option<String>,
    /// Counts by this claim.
    #[serde(default)]
    pub by_claim: Option<String>,
    /// Counts for each route.
    #[serde(default)]
    pub by_route: bool,
    /// How many bits of an IPv6 address count.
    #[serde(default = "RateLimitSpec::site")]
    pub ipv6_prefix: u8,
    /// What becomes of requests that have no key.
    #[serde(default)]
    pub without_key: WithoutKey,
    /// About how many keys are remembered at once; 100 000 when it is left out.
    #[serde(default)]
    pub max_keys: Option<usize>,
    /// The URL of a store in which processes share quotas: `sqlite:///quotas.db` or `redis://host:6379/0`.
    #[serde(default)]
    pub store: Option<Secret>,
    /// What tells apps apart that share a store, beside the policy; `ziggurat` when it is left out.
    #[serde(default)]
    pub namespace: Option<String>,
    /// What becomes of requests while the store does not answer.
    #[serde(default)]
    pub on_failure: Option<OnFailure>,
    /// How many seconds the store may take for a request; a quarter of one when it is left out.
    #[serde(default)]
    pub store_timeout: Option<f64>,
    /// Whether answers tell of the quota.
    #[serde(default = "RateLimitSpec::told")]
    pub headers: bool,
    /// What it is called there.
    #[serde(default = "RateLimitSpec::name")]
    pub policy: String,
    /// Whose routes count, where the layer is around a dispatcher and not around its leaves.
    #[serde(skip)]
    pub routes: Option<Dispatcher>,
}

impl RateLimitSpec {
    const fn minute() -> f64 {
        60.0
    }

    const fn site() -> u8 {
        64
    }

    const fn told() -> bool {
        true
    }

    fn name() -> String {
        "default".to_owned()
    }

    pub(in crate::layers::spec) fn layer(self) -> Result<(RateLimitLayer, Kept), ConfigError> {
        let kept = self.kept()?;
        let mut quota = Quota::new(self.limit, seconds("RateLimit: period", self.period, 0.001)?)?;
        if let Some(burst) = self.burst {
            quota = quota.burst(burst)?;
        }
        let by = match (self.by_header, self.by_claim) {
            (None, None) => By::client_ip(),
            (Some(name), None) => By::header(header_name("RateLimit", &name)?),
            (None, Some(name)) => By::claim(name),
            (Some(_), Some(_)) => {
                return Err(ConfigError::new("RateLimit: both by_header and by_claim are given")
                    .cure("give one, or two layers with a policy each"));
            }
        };
        let by = by.ipv6_prefix(self.ipv6_prefix)?;
        let by = match (self.by_route, &self.routes) {
            (false, _) => by,
            (true, None) => by.route(),
            (true, Some(dispatcher)) => by.route_of(dispatcher),
        };
        let layer = RateLimitLayer::new(quota).key(by).without_key(self.without_key);
        Ok((layer.policy(&self.policy)?.headers(self.headers), kept))
    }

    fn kept(&self) -> Result<Kept, ConfigError> {
        let max_keys = self.max_keys.unwrap_or(InMemory::MAX_KEYS);
        let Some(Secret(url)) = &self.store else {
            let given = [
                ("namespace", self.namespace.is_some()),
                ("on_failure", self.on_failure.is_some()),
                ("store_timeout", self.store_timeout.is_some()),
            ];
            if let Some((field, _)) = given.iter().find(|(_, is_given)| *is_given) {
                return Err(ConfigError::new(format!("RateLimit: {field} is given without store"))
                    .cure("give the store that it is about, or leave it out"));
            }
            return InMemory::new(max_keys).map(Kept::InMemory);
        };
        if let Some(file) = url.strip_prefix("sqlite:///").filter(|file| !file.is_empty()) {
            return self.in_file(file, max_keys);
        }
        if url.starts_with("redis://") || url.starts_with("rediss://") {
            if self.max_keys.is_some() && url.starts_with("redis://") {
                return Err(ConfigError::new("RateLimit: max_keys is given, and store is a Redis server")
                    .cure("leave it out: a key goes when its time has passed; bound the memory there by maxmemory"));
            }
            return self.in_server(url);
        }
        Err(ConfigError::new("RateLimit: store is no store of quotas")
            .cure("write sqlite:///quotas.db, or redis://host:6379/0"))
    }

    #[cfg(feature = "sqlite")]
    fn in_file(&self, file: &str, max_keys: usize) -> Result<Kept, ConfigError> {
        self.shared(SqliteQuotas::open(file, max_keys)?).map(Kept::Sqlite)
    }

    #[cfg(not(feature = "sqlite"))]
    fn in_file(&self, _: &str, _: usize) -> Result<Kept, ConfigError> {
        Err(ConfigError::new("RateLimit: this build has no SQLite").cure("build with the cargo feature `sqlite`"))
    }

    #[cfg(feature = "redis")]
    fn in_server(&self, url: &str) -> Result<Kept, ConfigError> {
        self.shared(RedisQuotas::open(url)?).map(Kept::Redis)
    }

    #[cfg(not(feature = "redis"))]
    fn in_server(&self, _: &str) -> Result<Kept, ConfigError> {
        Err(ConfigError::new("RateLimit: this build has no Redis").cure("build with the cargo feature `redis`"))
    }

    #[cfg(any(feature = "sqlite", feature = "redis"))]
    fn shared<S: QuotaStore>(&self, store: S) -> Result<Shared<S>, ConfigError> {
        let mut shared = Shared::new(store).on_failure(self.on_failure.unwrap_or_default());
        if let Some(namespace) = &self.namespace {
            shared = shared.namespace(namespace)?;
        }
        let shared = shared.of_policy(&self.policy);
        Ok(match self.store_timeout {
            None => shared,
            Some(limit) => shared.limit(seconds("RateLimit: store_timeout", limit, 0.001)?),
        })
    }
}

/// Where quotas are kept.
pub(in crate::layers::spec) enum Kept {
    InMemory(InMemory),
    #[cfg(feature = "sqlite")]
    Sqlite(Shared<SqliteQuotas>),
    #[cfg(feature = "redis")]
    Redis(Shared<RedisQuotas>),
}
