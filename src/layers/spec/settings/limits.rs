//! Of layers that bound what a request may take.

use std::collections::BTreeMap;

use futures_util::future::Either;
use serde::Deserialize;

use super::values::seconds;
use crate::ConfigError;
use crate::layers::timeout::Bodies;
use crate::layers::{BodyLimitLayer, LoadShedLayer, TimeoutLayer};

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
    pub(crate) fn layer(&self) -> Result<BodyLimitLayer, ConfigError> {
        let layer = BodyLimitLayer::new(self.max_bytes);
        self.at.iter().try_fold(layer, |layer, (path, max_bytes)| layer.at(path, *max_bytes))
    }
}
