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
//! let names: Vec<_> = foundation(specs).iter().map(LayerSpec::name).collect();
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
//! assert_eq!(error.to_string(), "layer Timeout: unknown field `second`, expected `seconds`; correct this setting, or leave it out");
//! # }
//! ```

mod auth;
mod build;
mod jwt;
mod settings;

use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;

pub use auth::{ApiKeySpec, BasicSpec, KeySpec, UserSpec};
pub use build::BuiltLayer;
pub use jwt::{FetchedSpec, IssuerSpec, JwksSpec, JwtSpec, SourceSpec};
pub use settings::{
    BodyLimitSpec, CatchPanicSpec, CompressionSpec, CorsSpec, HostsSpec, OneOrMany, RequestIdSpec, Secret,
    SensitiveHeadersSpec, TimeoutSpec, TraceSpec,
};

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
    /// A [`TraceLayer`](crate::layers::TraceLayer).
    Trace(TraceSpec),
    /// A [`HostsLayer`](crate::layers::HostsLayer).
    Hosts(HostsSpec),
    /// A [`TimeoutLayer`](crate::layers::TimeoutLayer).
    Timeout(TimeoutSpec),
    /// A [`SensitiveHeadersLayer`](crate::layers::SensitiveHeadersLayer).
    SensitiveHeaders(SensitiveHeadersSpec),
    /// A [`CorsLayer`](crate::layers::CorsLayer).
    Cors(CorsSpec),
    /// A [`CompressionLayer`](crate::layers::CompressionLayer).
    Compression(CompressionSpec),
    /// A [`BodyLimitLayer`](crate::layers::BodyLimitLayer).
    BodyLimit(BodyLimitSpec),
    /// An [`ApiKeyLayer`](crate::layers::ApiKeyLayer).
    ApiKey(ApiKeySpec),
    /// A [`BasicLayer`](crate::layers::BasicLayer).
    Basic(BasicSpec),
    /// A [`JwtLayer`](crate::layers::JwtLayer).
    Jwt(Box<JwtSpec>),
}

impl LayerSpec {
    /// Reads one description.
    ///
    /// # Errors
    /// When it is not one; the error names the layer and the setting.
    pub fn from_json(json: &str) -> Result<Self, ConfigError> {
        serde_json::from_str(json).map_err(|error| unreadable(json, &error))
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
    pub fn name(&self) -> &'static str {
        match self {
            Self::CatchPanic(_) => "CatchPanic",
            Self::RequestId(_) => "RequestId",
            Self::Trace(_) => "Trace",
            Self::Hosts(_) => "Hosts",
            Self::Timeout(_) => "Timeout",
            Self::SensitiveHeaders(_) => "SensitiveHeaders",
            Self::Cors(_) => "Cors",
            Self::Compression(_) => "Compression",
            Self::BodyLimit(_) => "BodyLimit",
            Self::ApiKey(_) => "ApiKey",
            Self::Basic(_) => "Basic",
            Self::Jwt(_) => "Jwt",
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
/// They come outermost, in this order. Only `Trace`, when it is the outermost of `given`, stays outside of `Timeout` and
/// `BodyLimit`, so that their refusals are logged too.
pub fn foundation(given: Vec<LayerSpec>) -> Vec<LayerSpec> {
    let lacks = |name: &str| !given.iter().any(|spec| spec.name() == name);
    let mut outer = Vec::with_capacity(given.len() + 4);
    let mut inner = Vec::new();
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
        inner.push(LayerSpec::BodyLimit(BodyLimitSpec::default()));
    }
    let mut given = given.into_iter().peekable();
    outer.extend(given.next_if(|spec| matches!(spec, LayerSpec::Trace(_))));
    outer.extend(inner);
    outer.extend(given);
    outer
}
