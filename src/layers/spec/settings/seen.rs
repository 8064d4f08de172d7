//! Of layers that tell of requests, and of who sent them.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde::Deserialize;

use super::values::{Secret, header_name, seconds};
use crate::ConfigError;
use crate::layers::client_ip::ForwardedHeader;
use crate::layers::health_check::Readiness;
use crate::layers::otel::{Export, OtelHandle};
use crate::layers::trace::{self, Format, Level, LevelFilter};
use crate::layers::{ClientIpLayer, HealthCheckLayer, MetricsLayer, OtelLayer, RequestIdLayer, TraceLayer};
use crate::service::{Dispatcher, LeafKind};

/// Settings of `RequestId`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RequestIdSpec {
    /// The header that has the id.
    pub header: String,
    /// Whether an id that came with the request is kept.
    pub trust_incoming: bool,
}

impl Default for RequestIdSpec {
    fn default() -> Self {
        Self { header: "x-request-id".to_owned(), trust_incoming: false }
    }
}

impl RequestIdSpec {
    pub(in crate::layers::spec) fn layer(self) -> Result<RequestIdLayer, ConfigError> {
        let header = header_name("RequestId", &self.header)?;
        Ok(RequestIdLayer::new().header(header).trust_incoming(self.trust_incoming))
    }
}

/// Settings of `ClientIp`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClientIpSpec {
    /// Addresses and networks of the proxies: `10.0.0.7`, `10.0.0.0/8`.
    pub trusted: Vec<String>,
    /// How many proxies are trusted whatever their addresses.
    pub hops: u8,
    /// The header that they write: `x-forwarded-for` or `forwarded`.
    pub header: ForwardedHeader,
}

impl Default for ClientIpSpec {
    fn default() -> Self {
        Self { trusted: Vec::new(), hops: 0, header: ForwardedHeader::XForwardedFor }
    }
}

impl ClientIpSpec {
    pub(in crate::layers::spec) fn layer(self) -> Result<ClientIpLayer, ConfigError> {
        ClientIpLayer::new().header(self.header).trusted(self.trusted)?.hops(self.hops)
    }
}

/// Settings of `HealthCheck`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HealthCheckSpec {
    /// The paths that are answered as long as there are answers at all.
    pub paths: Vec<String>,
    /// The paths that are answered by what the [handle](super::super::BuiltLayer::handle) says.
    pub ready_paths: Vec<String>,
}

impl Default for HealthCheckSpec {
    fn default() -> Self {
        Self { paths: vec!["/healthz".to_owned()], ready_paths: vec!["/readyz".to_owned()] }
    }
}

impl HealthCheckSpec {
    /// With what its readiness is set by.
    pub(in crate::layers::spec) fn layer(self) -> Result<(HealthCheckLayer, Readiness), ConfigError> {
        let readiness = Readiness::new(true);
        let layer = HealthCheckLayer::at(self.paths)?;
        let layer = self.ready_paths.iter().try_fold(layer, |layer, path| layer.ready(path, &readiness))?;
        Ok((layer, readiness))
    }
}

/// Settings of `Metrics`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MetricsSpec {
    /// The path that is answered; none where they are read by the [handle](super::super::BuiltLayer::handle) alone.
    pub path: Option<String>,
    /// Addresses and networks of those who are answered, or `*` for everybody; this machine and private networks when it is left out.
    pub allow: Option<Vec<String>>,
    /// The seconds at which buckets of durations end.
    pub buckets: Option<Vec<f64>>,
    /// Whose routes are known, where the layer is around a dispatcher.
    #[serde(skip)]
    pub routes: Option<Dispatcher>,
    /// How often Python was entered for leaves of each kind.
    #[serde(skip)]
    pub python_entries: Option<fn() -> [u64; LeafKind::ALL.len()]>,
}

impl Default for MetricsSpec {
    fn default() -> Self {
        Self { path: Some("/metrics".to_owned()), allow: None, buckets: None, routes: None, python_entries: None }
    }
}

impl MetricsSpec {
    pub(in crate::layers::spec) fn layer(self) -> Result<MetricsLayer, ConfigError> {
        let layer = match self.buckets {
            Some(buckets) => MetricsLayer::with_buckets(buckets)?,
            None => MetricsLayer::new(),
        };
        let layer = layer.entries(self.python_entries);
        let layer = match &self.path {
            Some(path) => layer.path(path)?,
            None => layer.without_path(),
        };
        let layer = match self.allow {
            Some(networks) => layer.allow(networks)?,
            None => layer,
        };
        Ok(match &self.routes {
            Some(dispatcher) => layer.routes_of(dispatcher),
            None => layer,
        })
    }
}

/// Settings of `Otel`. What is left out is asked of the environment, as [`Export`] tells.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OtelSpec {
    /// The address of the collector, to which `/v1/traces` is added.
    pub endpoint: Option<String>,
    /// What the service is called.
    pub service_name: Option<String>,
    /// Which share of the traces that begin here is exported.
    pub sample: f64,
    /// Headers that the collector asks for.
    pub headers: BTreeMap<String, Secret>,
    /// How many seconds the collector may take to answer.
    pub timeout: f64,
    /// Whether traces that clients name are gone on with.
    pub trust_incoming: bool,
    /// Filled when the layer is made, for who wants to flush it.
    #[serde(skip)]
    pub handle: Arc<OnceLock<OtelHandle>>,
}

impl Default for OtelSpec {
    fn default() -> Self {
        Self {
            endpoint: None,
            service_name: None,
            sample: 1.0,
            headers: BTreeMap::new(),
            timeout: 10.0,
            trust_incoming: true,
            handle: Arc::default(),
        }
    }
}

impl OtelSpec {
    pub(in crate::layers::spec) fn layer(&self) -> Result<OtelLayer, ConfigError> {
        let mut export = Export::new().sample(self.sample)?.timeout(seconds("Otel: timeout", self.timeout, 0.001)?);
        if let Some(endpoint) = &self.endpoint {
            export = export.endpoint(endpoint)?;
        }
        if let Some(name) = &self.service_name {
            export = export.service_name(name)?;
        }
        let export = self.headers.iter().try_fold(export, |export, (name, value)| export.header(name, &value.0))?;
        let layer = OtelLayer::to(export)?.trust_incoming(self.trust_incoming);
        // Of a description that is built twice the first layer is flushed.
        let _ = self.handle.set(layer.handle());
        Ok(layer)
    }
}

/// Settings of `Trace`.
///
/// When the program has no log yet, one is set up that writes to standard error in this format, at least from `info` on.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TraceSpec {
    /// What a line looks like; of effect when the log is set up here.
    pub format: Format,
    /// The level of a line: `trace`, `debug`, `info`, `warn` or `error`. Answers of 500 and more are always errors.
    pub level: String,
}

impl Default for TraceSpec {
    fn default() -> Self {
        Self { format: Format::Text, level: "info".to_owned() }
    }
}

impl TraceSpec {
    pub(in crate::layers::spec) fn layer(&self) -> Result<TraceLayer, ConfigError> {
        let level = match self.level.to_ascii_lowercase().as_str() {
            "trace" => Level::TRACE,
            "debug" => Level::DEBUG,
            "info" => Level::INFO,
            "warn" | "warning" => Level::WARN,
            "error" => Level::ERROR,
            _ => {
                return Err(ConfigError::new(format!("Trace: level {:?} is not known", self.level))
                    .cure("give one of trace, debug, info, warn and error"));
            }
        };
        // A program with a subscriber of its own keeps it.
        let _ = trace::init(self.format, LevelFilter::from_level(level.max(Level::INFO)));
        Ok(TraceLayer::new().level(level))
    }
}
