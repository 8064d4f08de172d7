use std::collections::HashMap;
use std::env;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider};

use super::client::Client;
use crate::ConfigError;

/// What is exported, and where to.
///
/// What is not said here is asked of the environment, as
/// [OpenTelemetry says](https://opentelemetry.io/docs/specs/otel/protocol/exporter/): `OTEL_EXPORTER_OTLP_ENDPOINT` and `_HEADERS`,
/// `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_BSP_*` for the queue, and `OTEL_SDK_DISABLED`.
#[derive(Clone)]
#[must_use]
pub struct Export {
    endpoint: Option<String>,
    headers: Vec<(HeaderName, HeaderValue)>,
    service_name: Option<String>,
    ratio: f64,
    timeout: Duration,
}

impl Export {
    /// Every trace, to the collector on this machine.
    pub const fn new() -> Self {
        Self { endpoint: None, headers: Vec::new(), service_name: None, ratio: 1.0, timeout: Duration::from_secs(10) }
    }

    /// To the collector with this address, `http://collector:4318`; `/v1/traces` is added to it.
    ///
    /// # Errors
    /// When it is no `http` or `https` address, or has a query, or the name of a user.
    pub fn endpoint(mut self, url: &str) -> Result<Self, ConfigError> {
        if !is_collector(url) || url.contains('?') {
            // Not what may hold a key or a password.
            let what = if url.contains(['@', '?']) { "the endpoint".to_owned() } else { format!("{url:?}") };
            return Err(ConfigError::new(format!("Otel: {what} is no address of a collector")).cure(WRITTEN));
        }
        self.endpoint = Some(format!("{}/v1/traces", url.trim_end_matches('/')));
        Ok(self)
    }

    /// With this header, as a collector may ask for a key. Values are not shown by `Debug`.
    ///
    /// # Errors
    /// When it is no header; the error names it without its value.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, ConfigError> {
        let wrong = || {
            ConfigError::new(format!("Otel: {name:?} cannot be sent as a header")).cure("correct its name and value")
        };
        let name: HeaderName = name.parse().map_err(|_| wrong())?;
        let mut value: HeaderValue = value.parse().map_err(|_| wrong())?;
        // Others would be left out.
        value.to_str().map_err(|_| wrong())?;
        value.set_sensitive(true);
        self.headers.push((name, value));
        Ok(self)
    }

    /// What this service is called.
    ///
    /// # Errors
    /// When it is empty.
    pub fn service_name(mut self, name: &str) -> Result<Self, ConfigError> {
        if name.is_empty() {
            return Err(ConfigError::new("Otel: the name of the service is empty").cure("name it, or leave it out"));
        }
        self.service_name = Some(name.to_owned());
        Ok(self)
    }

    /// Which share of the traces that begin here is exported, from 0 to 1. Those that others began are where these say so.
    ///
    /// # Errors
    /// When it is no such number.
    pub fn sample(mut self, ratio: f64) -> Result<Self, ConfigError> {
        if !(0.0..=1.0).contains(&ratio) {
            return Err(ConfigError::new(format!("Otel: sample is {ratio}")).cure("give a share from 0 to 1, as 0.1"));
        }
        self.ratio = ratio;
        Ok(self)
    }

    /// How long the collector may take to answer; 10 seconds by default.
    pub fn timeout(mut self, time: Duration) -> Self {
        self.timeout = time;
        self
    }

    /// Starts the thread that exports.
    pub(super) fn begin(self) -> Result<Tracing, ConfigError> {
        let mut resource = Resource::builder();
        if let Some(name) = self.service_name.clone() {
            resource = resource.with_service_name(name);
        }
        let builder = SdkTracerProvider::builder().with_resource(resource.build());
        let provider = if is_disabled(env::var("OTEL_SDK_DISABLED").ok().as_deref()) {
            builder.with_sampler(Sampler::AlwaysOff)
        } else {
            builder
                .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(self.ratio))))
                .with_span_processor(BatchSpanProcessor::builder(self.exporter()?).build())
        };
        let provider = provider.build();
        let tracer = provider.tracer("ziggurat");
        Ok(Tracing(Arc::new(Running { provider, tracer })))
    }

    fn exporter(self) -> Result<SpanExporter, ConfigError> {
        let wrong = |what: &dyn std::fmt::Display| {
            ConfigError::new(format!("Otel: {what}")).cure("correct the setting, or the variable of the environment")
        };
        if self.endpoint.is_none() {
            check_environment(|name| env::var(name).ok())?;
        }
        let client = Client::new(self.timeout).map_err(|error| wrong(&error))?;
        let headers: HashMap<String, String> = self
            .headers
            .iter()
            .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
            .collect();
        let builder = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(self.timeout)
            .with_headers(headers);
        let builder = match self.endpoint {
            Some(endpoint) => builder.with_endpoint(endpoint),
            None => builder,
        };
        builder.build().map_err(|error| wrong(&error))
    }
}

impl Default for Export {
    fn default() -> Self {
        Self::new()
    }
}

/// Without the values of headers.
impl std::fmt::Debug for Export {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Export")
            .field("endpoint", &self.endpoint)
            .field("service_name", &self.service_name)
            .field("ratio", &self.ratio)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

const WRITTEN: &str = "write it as http://localhost:4318, without a query and the name of a user";

/// Whether it can be the address of a collector. The name of a user would be sent in `Host`, and not be understood.
fn is_collector(url: &str) -> bool {
    let is_named = |parsed: &Uri| parsed.authority().is_some_and(|host| !host.as_str().contains('@'));
    url.parse::<Uri>().is_ok_and(|parsed| matches!(parsed.scheme_str(), Some("http" | "https")) && is_named(&parsed))
}

/// By the conventions, only this word says so.
fn is_disabled(variable: Option<&str>) -> bool {
    variable.is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// Names the variable that says no address, without what it says: that may hold a password.
fn check_environment(of: impl Fn(&str) -> Option<String>) -> Result<(), ConfigError> {
    // As they are asked for.
    for name in ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"] {
        let Some(url) = of(name).filter(|url| !url.trim().is_empty()) else { continue };
        if !is_collector(url.trim()) {
            return Err(ConfigError::new(format!("Otel: {name} is no address of a collector")).cure(WRITTEN));
        }
        return Ok(());
    }
    Ok(())
}

/// What makes spans and exports them.
#[derive(Debug, Clone)]
pub(super) struct Tracing(Arc<Running>);

#[derive(Debug)]
struct Running {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Tracing {
    pub(super) fn tracer(&self) -> &SdkTracer {
        &self.0.tracer
    }
}

/// What is left is exported, and not on this thread, which may serve requests.
impl Drop for Running {
    fn drop(&mut self) {
        let provider = self.provider.clone();
        let ended = thread::Builder::new().name("ziggurat-otel-end".into()).spawn(move || {
            // What could not be delivered was told by then.
            let _ = provider.shutdown_with_timeout(Duration::from_secs(5));
        });
        if let Err(error) = ended {
            tracing::warn!(%error, "the last spans were not exported");
        }
    }
}

/// Has spans exported before a program ends. A clone is of the same layer.
#[derive(Debug, Clone)]
pub struct OtelHandle(pub(super) Tracing);

impl OtelHandle {
    /// Exports what has ended until now, and waits for that up to `limit`; false where the time was not enough, or what was left was
    /// not taken. It blocks this thread.
    pub fn flush(&self, limit: Duration) -> bool {
        let (sender, flushed) = mpsc::channel();
        let provider = self.0.0.provider.clone();
        let started = thread::Builder::new().name("ziggurat-otel-flush".into()).spawn(move || {
            // Nobody waits any longer when this fails.
            let _ = sender.send(provider.force_flush().is_ok());
        });
        started.is_ok() && flushed.recv_timeout(limit).unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_environment_says_is_checked_and_not_told() {
        let check = |traces: Option<&str>, all: Option<&str>| {
            check_environment(|name| if name.contains("TRACES") { traces } else { all }.map(str::to_owned))
        };
        for (traces, all) in [
            (None, None),
            (Some("http://a.example/v1/traces?x"), Some("nonsense")),
            (Some(" "), Some("https://a.example:4318")),
            (None, Some("http://[::1]:4318/")),
        ] {
            assert!(check(traces, all).is_ok(), "{traces:?} {all:?}");
        }
        for wrong in ["nonsense", "a.example:4318", "grpc://a.example", "http://u:hunter2@a.example", "http://u@h b"] {
            let error = check(Some(wrong), None).unwrap_err().to_string();
            assert!(error.starts_with("Otel: OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is no address"), "{error}");
            let error = check(Some(""), Some(wrong)).unwrap_err().to_string();
            assert!(error.starts_with("Otel: OTEL_EXPORTER_OTLP_ENDPOINT is no address"), "{error}");
            assert!(!error.contains(wrong), "{error}");
        }
    }

    #[test]
    fn one_word_disables_it() {
        assert!(is_disabled(Some("true")) && is_disabled(Some("True")));
        assert!(![None, Some(""), Some("false"), Some("1"), Some("yes")].into_iter().any(is_disabled));
    }

    #[test]
    fn headers_that_would_not_be_sent_are_refused() {
        for (name, value) in [("a b", "x"), ("", "x"), ("x", "a\nb"), ("x", "cl\u{e9}")] {
            let error = Export::new().header(name, value).unwrap_err().to_string();
            assert!(error.contains("cannot be sent as a header") && !error.contains("cl"), "{error}");
        }
        assert!(Export::new().header("x", "a\tb~").is_ok());
    }

    /// As where the environment asks for what is not built in.
    #[tokio::test]
    async fn a_client_that_is_not_used_may_be_dropped_anywhere() {
        drop(Client::new(Duration::from_secs(1)).unwrap());
    }
}
