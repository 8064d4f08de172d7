//! Layers described as data, for apps whose stack comes from a configuration.
//!
//! A [`LayerSpec`] is one JSON object: `type` names the layer, the other fields are its settings. What it does not know is
//! refused, not ignored. [`foundation`] adds the layers that every app should have, and [`LayerSpec::build`] checks the
//! settings and makes the layer.
//!
//! # Example
//! ```
//! use ziggurat::layers::{LayerSpec, foundation};
//!
//! let specs = LayerSpec::list_from_json(r#"[{"type": "Trace"}, {"type": "Compression", "algorithms": ["br", "gzip"]}]"#).unwrap();
//! let names: Vec<_> = foundation(specs).iter().map(LayerSpec::to_string).collect();
//! assert_eq!(names, ["CatchPanic", "RequestId", "Trace", "Timeout", "BodyLimit", "Compression"]);
//! ```
//!
//! # Customized
//! ```
//! # use std::convert::Infallible;
//! use tower::{ServiceExt, service_fn};
//! use ziggurat::{Body, Request, Response, Route, layers::LayerSpec};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let limit = LayerSpec::from_json(r#"{"type": "BodyLimit", "max_bytes": 4}"#).unwrap().build().unwrap();
//! let route = limit.apply(Route::new(service_fn(|_: Request| async { Ok::<Response, Infallible>(Response::default()) })));
//! assert_eq!(route.oneshot(Request::new(Body::from("12345"))).await.unwrap().status(), 413);
//!
//! let error = LayerSpec::from_json(r#"{"type": "Timeout", "second": 4}"#).unwrap_err();
//! assert_eq!(error.to_string(), "layer Timeout: unknown field `second`, expected one of `seconds`, `body_idle`, `total`; correct this setting, or leave it out");
//! # }
//! ```

mod build;
mod handle;
mod order;
mod registry;
mod settings;

use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;

pub use build::BuiltLayer;
pub use handle::LayerHandle;
pub use order::check_order;
#[cfg(feature = "python")]
pub(crate) use order::check_order_around;
pub use registry::register_layer;
pub use settings::*;

use crate::ConfigError;

/// The description of one layer.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "type")]
#[non_exhaustive]
pub enum LayerSpec {
    /// A [`CatchPanicLayer`](crate::layers::CatchPanicLayer).
    CatchPanic(CatchPanicSpec),
    /// A [`RequestIdLayer`](crate::layers::RequestIdLayer).
    RequestId(RequestIdSpec),
    /// A [`ClientIpLayer`](crate::layers::ClientIpLayer).
    ClientIp(ClientIpSpec),
    /// A [`HealthCheckLayer`](crate::layers::HealthCheckLayer).
    HealthCheck(HealthCheckSpec),
    /// A [`MetricsLayer`](crate::layers::MetricsLayer).
    Metrics(MetricsSpec),
    /// An [`OtelLayer`](crate::layers::OtelLayer).
    Otel(OtelSpec),
    /// A [`TraceLayer`](crate::layers::TraceLayer).
    Trace(TraceSpec),
    /// A [`SecurityHeadersLayer`](crate::layers::SecurityHeadersLayer).
    SecurityHeaders(SecurityHeadersSpec),
    /// A [`HostsLayer`](crate::layers::HostsLayer).
    Hosts(HostsSpec),
    /// A [`RedirectLayer`](crate::layers::RedirectLayer).
    Redirect(RedirectSpec),
    /// A [`TimeoutLayer`](crate::layers::TimeoutLayer).
    Timeout(TimeoutSpec),
    /// A [`LoadShedLayer`](crate::layers::LoadShedLayer).
    LoadShed(LoadShedSpec),
    /// A [`SensitiveHeadersLayer`](crate::layers::SensitiveHeadersLayer).
    SensitiveHeaders(SensitiveHeadersSpec),
    /// A [`CorsLayer`](crate::layers::CorsLayer).
    Cors(CorsSpec),
    /// A [`CsrfLayer`](crate::layers::CsrfLayer).
    Csrf(CsrfSpec),
    /// A [`StaticLayer`](crate::layers::StaticLayer).
    Static(StaticSpec),
    /// A [`NormalizePathLayer`](crate::layers::NormalizePathLayer).
    NormalizePath(NormalizePathSpec),
    /// A [`CompressionLayer`](crate::layers::CompressionLayer).
    Compression(CompressionSpec),
    /// An [`EtagLayer`](crate::layers::EtagLayer).
    Etag(EtagSpec),
    /// A [`BodyLimitLayer`](crate::layers::BodyLimitLayer).
    BodyLimit(BodyLimitSpec),
    /// A [`DecompressionLayer`](crate::layers::DecompressionLayer).
    Decompression(DecompressionSpec),
    /// An [`ApiKeyLayer`](crate::layers::ApiKeyLayer).
    ApiKey(ApiKeySpec),
    /// A [`BasicLayer`](crate::layers::BasicLayer).
    Basic(BasicSpec),
    /// A [`RateLimitLayer`](crate::layers::RateLimitLayer).
    RateLimit(RateLimitSpec),
    /// A [`JwtLayer`](crate::layers::JwtLayer).
    Jwt(Box<JwtSpec>),
    /// A [`CacheLayer`](crate::layers::CacheLayer).
    Cache(CacheSpec),
    /// One that was [registered](register_layer), made already.
    #[serde(skip)]
    Registered(BuiltLayer),
}

impl LayerSpec {
    /// Reads one description.
    ///
    /// # Errors
    /// When it is not one; the error names the layer and the setting.
    pub fn from_json(json: &str) -> Result<Self, ConfigError> {
        match registry::made(json) {
            Some(made) => made.map(Self::Registered),
            None => Self::known(json).map_err(|error| unreadable(json, &error)),
        }
    }

    fn known(json: &str) -> serde_json::Result<Self> {
        serde_json::from_str(json)
    }

    /// Reads a list of descriptions, outermost first.
    ///
    /// # Errors
    /// As [`from_json`](Self::from_json), or when it is not a list.
    pub fn list_from_json(json: &str) -> Result<Vec<Self>, ConfigError> {
        let list: Vec<&RawValue> = serde_json::from_str(json)
            .map_err(|error| ConfigError::new(format!("layers: {error}")).cure("give a list of layer objects"))?;
        list.into_iter().map(|spec| Self::from_json(spec.get())).collect()
    }

    /// What the printed stack shows.
    pub fn name(&self) -> &str {
        match self {
            Self::Registered(layer) => layer.name(),
            Self::CatchPanic(_) => "CatchPanic",
            Self::RequestId(_) => "RequestId",
            Self::ClientIp(_) => "ClientIp",
            Self::HealthCheck(_) => "HealthCheck",
            Self::Metrics(_) => "Metrics",
            Self::Otel(_) => "Otel",
            Self::Trace(_) => "Trace",
            Self::SecurityHeaders(_) => "SecurityHeaders",
            Self::Hosts(_) => "Hosts",
            Self::Redirect(_) => "Redirect",
            Self::Timeout(_) => "Timeout",
            Self::LoadShed(_) => "LoadShed",
            Self::SensitiveHeaders(_) => "SensitiveHeaders",
            Self::Cors(_) => "Cors",
            Self::Csrf(_) => "Csrf",
            Self::Static(_) => "Static",
            Self::NormalizePath(_) => "NormalizePath",
            Self::Compression(_) => "Compression",
            Self::Etag(_) => "Etag",
            Self::BodyLimit(_) => "BodyLimit",
            Self::Decompression(_) => "Decompression",
            Self::ApiKey(_) => "ApiKey",
            Self::Basic(_) => "Basic",
            Self::RateLimit(_) => "RateLimit",
            Self::Jwt(_) => "Jwt",
            Self::Cache(_) => "Cache",
        }
    }
}

impl fmt::Display for LayerSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn unreadable(json: &str, error: &serde_json::Error) -> ConfigError {
    #[derive(Deserialize)]
    struct Named {
        #[serde(rename = "type")]
        name: String,
    }
    let name = serde_json::from_str::<Named>(json).map(|named| named.name);
    let subject = name.map_or_else(|_| "layer".to_owned(), |name| format!("layer {name}"));
    // The position is one in JSON that the user never wrote.
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or(&text);
    ConfigError::new(format!("{subject}: {what}")).cure("correct this setting, or leave it out")
}

/// Adds the layers that every app should have, where `given` does not have them: `CatchPanic`, `RequestId`, `Timeout` of
/// 60 seconds and `BodyLimit` of 1 MiB.
///
/// They come outermost, in this order. `ClientIp`, `HealthCheck`, `Metrics`, `Otel`, `Trace` and `SecurityHeaders`, where `given` begins with them, stay
/// outside of `Timeout` and `BodyLimit`: they are for refusals, too, or must not be refused. `BodyLimit` comes directly inside
/// of `NormalizePath`, since it may go by paths.
pub fn foundation(given: Vec<LayerSpec>) -> Vec<LayerSpec> {
    let lacks = |name: &str| !given.iter().any(|spec| spec.name() == name);
    let mut outer = Vec::with_capacity(given.len() + 4);
    let mut inner = Vec::new();
    let mut limit = None;
    if lacks("CatchPanic") {
        outer.push(LayerSpec::CatchPanic(CatchPanicSpec::default()));
    }
    if lacks("RequestId") {
        outer.push(LayerSpec::RequestId(RequestIdSpec::default()));
    }
    if lacks("Timeout") {
        inner.push(LayerSpec::Timeout(TimeoutSpec::default()));
    }
    if lacks("BodyLimit") {
        limit = Some(LayerSpec::BodyLimit(BodyLimitSpec::default()));
    }
    let is_normal = |spec: &LayerSpec| matches!(spec, LayerSpec::NormalizePath(_));
    if !given.iter().any(is_normal) {
        inner.extend(limit.take());
    }
    let mut given = given.into_iter().peekable();
    while let Some(spec) = given.next_if(stays_outside) {
        outer.push(spec);
    }
    outer.extend(inner);
    for spec in given {
        let limit = if is_normal(&spec) { limit.take() } else { None };
        outer.push(spec);
        outer.extend(limit);
    }
    outer
}

/// Whether it has to stand outside of layers that refuse requests: to see their refusals, or not to be refused.
fn stays_outside(spec: &LayerSpec) -> bool {
    matches!(
        spec,
        LayerSpec::ClientIp(_)
            | LayerSpec::HealthCheck(_)
            | LayerSpec::Metrics(_)
            | LayerSpec::Otel(_)
            | LayerSpec::Trace(_)
            | LayerSpec::SecurityHeaders(_)
    )
}
