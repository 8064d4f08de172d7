//! Of layers that bound what a request may take.

use std::collections::BTreeMap;

use futures_util::future::Either;
use serde::Deserialize;

use super::values::{header_name, seconds};
use crate::ConfigError;
use crate::layers::rate_limit::{By, InMemory, Quota, WithoutKey};
use crate::layers::timeout::Bodies;
use crate::layers::{BodyLimitLayer, LoadShedLayer, RateLimitLayer, TimeoutLayer};
use crate::service::Dispatcher;

/// `CatchPanic` has no settings.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatchPanicSpec {}

/// Settings of `Timeout`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TimeoutSpec {
    /// How long an answer may take to begin.
    pub seconds: f64,
    /// For how long nothing may come of a body that is asked for; without a limit when it is left out.
    pub body_idle: Option<f64>,
    /// How long it may be from the head of the request to the end of the answer; without a limit when it is left out.
    pub total: Option<f64>,
}

impl Default for TimeoutSpec {
    fn default() -> Self {
        Self { seconds: 60.0, body_idle: None, total: None }
    }
}

impl TimeoutSpec {
    /// One that leaves the types of bodies alone, where it can.
    pub(in crate::layers::spec) fn layer(&self) -> Result<Either<TimeoutLayer, TimeoutLayer<Bodies>>, ConfigError> {
        let head = TimeoutLayer::new(seconds("Timeout: seconds", self.seconds, 0.000_001)?);
        let limit = |field: &str, value: Option<f64>| value.map(|value| seconds(field, value, 0.001)).transpose();
        let idle = limit("Timeout: body_idle", self.body_idle)?;
        let total = limit("Timeout: total", self.total)?;
        Ok(match (idle, total) {
            (None, None) => Either::Left(head),
            (Some(idle), None) => Either::Right(head.body_idle(idle)),
            (None, Some(total)) => Either::Right(head.total(total)),
            (Some(idle), Some(total)) => Either::Right(head.body_idle(idle).total(total)),
        })
    }
}

/// Settings of `LoadShed`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadShedSpec {
    /// How many requests may be under way at a time.
    pub max_concurrent: usize,
    /// How many more may wait for their turn.
    #[serde(default)]
    pub queue: usize,
    /// For how many seconds.
    #[serde(default = "one_second")]
    pub wait: f64,
}

impl LoadShedSpec {
    pub(in crate::layers::spec) fn layer(&self) -> Result<LoadShedLayer, ConfigError> {
        LoadShedLayer::new(self.max_concurrent)?.queue(self.queue, seconds("LoadShed: wait", self.wait, 0.001)?)
    }
}

fn one_second() -> f64 {
    1.0
}

/// Settings of `BodyLimit`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BodyLimitSpec {
    /// How many bytes a request body may have.
    pub max_bytes: usize,
    /// How many at these paths, which may have parameters as `/files/{id}`.
    pub at: BTreeMap<String, usize>,
}

impl Default for BodyLimitSpec {
    fn default() -> Self {
        Self { max_bytes: 1 << 20, at: BTreeMap::new() }
    }
}

impl BodyLimitSpec {
    pub(in crate::layers::spec) fn layer(&self) -> Result<BodyLimitLayer, ConfigError> {
        let layer = BodyLimitLayer::new(self.max_bytes);
        self.at.iter().try_fold(layer, |layer, (path, max_bytes)| layer.at(path, *max_bytes))
    }
}

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
    /// About how many keys are remembered at once.
    #[serde(default = "RateLimitSpec::keys")]
    pub max_keys: usize,
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

    const fn keys() -> usize {
        InMemory::MAX_KEYS
    }

    const fn told() -> bool {
        true
    }

    fn name() -> String {
        "default".to_owned()
    }

    pub(in crate::layers::spec) fn layer(self) -> Result<RateLimitLayer, ConfigError> {
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
        let layer =
            RateLimitLayer::new(quota).key(by).quotas(InMemory::new(self.max_keys)?).without_key(self.without_key);
        Ok(layer.policy(&self.policy)?.headers(self.headers))
    }
}
