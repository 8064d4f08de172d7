use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use tower::util::{MapRequest, MapResponse};
use tower_layer::Layer;
use tower_service::Service;

use super::{
    BodyLimitSpec, CompressionSpec, CorsSpec, LayerSpec, RequestIdSpec, SensitiveHeadersSpec, TimeoutSpec, TraceSpec,
};
use crate::layers::body_limit::{BodyLimitLayer, LimitedBody};
use crate::layers::trace::{self, Level, LevelFilter};
use crate::layers::{
    CatchPanicLayer, CompressionLayer, CorsLayer, HostsLayer, RequestIdLayer, SensitiveHeadersLayer, TimeoutLayer,
    TraceLayer,
};
use crate::{Body, ConfigError, Request, Response, Route};

/// A layer whose settings were checked, ready to wrap routes.
#[derive(Clone)]
pub struct BuiltLayer {
    name: &'static str,
    wrap: Arc<dyn Fn(Route) -> Route + Send + Sync>,
}

impl BuiltLayer {
    /// What the printed stack shows.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Wraps `route`.
    pub fn apply(&self, route: Route) -> Route {
        (self.wrap)(route)
    }
}

impl fmt::Debug for BuiltLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BuiltLayer({})", self.name)
    }
}

impl LayerSpec {
    /// Checks the settings and makes the layer.
    ///
    /// A `Trace` also sets up the program's log, when there is none: see [`TraceSpec`].
    ///
    /// # Errors
    /// When settings contradict each other or cannot be honoured; the error names them and the cure.
    pub fn build(self) -> Result<BuiltLayer, ConfigError> {
        let name = self.name();
        let wrap: Arc<dyn Fn(Route) -> Route + Send + Sync> = match self {
            Self::CatchPanic(_) => same_bodies(CatchPanicLayer::new()),
            Self::RequestId(spec) => same_bodies(request_id(spec)?),
            Self::Hosts(spec) => same_bodies(HostsLayer::new(spec.names)?),
            Self::Timeout(spec) => same_bodies(timeout(&spec)?),
            Self::SensitiveHeaders(spec) => same_bodies(sensitive_headers(spec)?),
            Self::Cors(spec) => same_bodies(cors(spec)?),
            Self::ApiKey(spec) => same_bodies(spec.layer()?),
            Self::Basic(spec) => same_bodies(spec.layer()?),
            Self::Jwt(spec) => same_bodies(spec.layer()?),
            Self::Trace(spec) => {
                let layer = trace(&spec)?;
                Arc::new(move |route| Route::new(MapResponse::new(layer.layer(route), response_of)))
            }
            Self::Compression(spec) => {
                let layer = compression(spec)?;
                Arc::new(move |route| Route::new(MapResponse::new(layer.layer(route), response_of)))
            }
            Self::BodyLimit(BodyLimitSpec { max_bytes, at }) => {
                let layer = BodyLimitLayer::new(max_bytes);
                let layer = at.iter().try_fold(layer, |layer, (path, max_bytes)| layer.at(path, *max_bytes))?;
                let request_of: fn(Request<LimitedBody<Body>>) -> Request = |request| request.map(Body::from);
                Arc::new(move |route| Route::new(layer.layer(MapRequest::new(route, request_of))))
            }
        };
        Ok(BuiltLayer { name, wrap })
    }
}

fn same_bodies<L>(layer: L) -> Arc<dyn Fn(Route) -> Route + Send + Sync>
where
    L: Layer<Route> + Clone + Send + Sync + 'static,
    L::Service: Service<Request, Response = Response, Error = Infallible> + Clone + Send + Sync + 'static,
    <L::Service as Service<Request>>::Future: Send + 'static,
{
    Arc::new(move |route| route.layer(layer.clone()))
}

/// Back to the one body type, without a box where the layer left the body alone.
fn response_of<B: Into<Body>>(response: Response<B>) -> Response {
    response.map(Into::into)
}

pub(super) fn header_name(layer: &str, name: &str) -> Result<HeaderName, ConfigError> {
    HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
        ConfigError::new(format!("{layer}: {name:?} is not a header name")).cure("use letters, digits and hyphens")
    })
}

pub(super) fn seconds(field: &str, value: f64, least: f64) -> Result<Duration, ConfigError> {
    // A day at most: longer is a mistake of units, and far from the limits of timers.
    if value >= least && value <= 86_400.0 {
        return Ok(Duration::from_secs_f64(value));
    }
    Err(ConfigError::new(format!("{field} is {value}")).cure(format!("give a number of seconds from {least} to 86400")))
}

fn request_id(spec: RequestIdSpec) -> Result<RequestIdLayer, ConfigError> {
    let header = header_name("RequestId", &spec.header)?;
    Ok(RequestIdLayer::new().header(header).trust_incoming(spec.trust_incoming))
}

fn timeout(spec: &TimeoutSpec) -> Result<TimeoutLayer, ConfigError> {
    seconds("Timeout: seconds", spec.seconds, 0.000_001).map(TimeoutLayer::new)
}

fn sensitive_headers(spec: SensitiveHeadersSpec) -> Result<SensitiveHeadersLayer, ConfigError> {
    if spec.headers.is_empty() {
        return Err(
            ConfigError::new("SensitiveHeaders: headers is empty").cure("name the headers, or leave the layer out")
        );
    }
    let names: Result<Vec<_>, _> = spec.headers.iter().map(|name| header_name("SensitiveHeaders", name)).collect();
    names.map(SensitiveHeadersLayer::new)
}

fn cors(spec: CorsSpec) -> Result<CorsLayer, ConfigError> {
    let mut cors = CorsLayer::new()
        .allow_origins(spec.allow_origins)
        .allow_methods(spec.allow_methods)
        .allow_headers(spec.allow_headers)
        .allow_credentials(spec.allow_credentials)
        .expose_headers(spec.expose_headers)
        .max_age(Duration::from_secs(spec.max_age));
    if let Some(pattern) = spec.allow_origin_regex {
        cors = cors.allow_origin_regex(pattern);
    }
    cors.build()
}

fn compression(spec: CompressionSpec) -> Result<CompressionLayer, ConfigError> {
    let mut layer = CompressionLayer::new().min_size(spec.min_size);
    if let Some(codings) = spec.algorithms {
        layer = layer.codings(codings)?;
    }
    if let Some(level) = spec.level {
        layer = layer.level(level)?;
    }
    Ok(layer)
}

fn trace(spec: &TraceSpec) -> Result<TraceLayer, ConfigError> {
    let level = match spec.level.to_ascii_lowercase().as_str() {
        "trace" => Level::TRACE,
        "debug" => Level::DEBUG,
        "info" => Level::INFO,
        "warn" | "warning" => Level::WARN,
        "error" => Level::ERROR,
        _ => {
            return Err(ConfigError::new(format!("Trace: level {:?} is not known", spec.level))
                .cure("give one of trace, debug, info, warn and error"));
        }
    };
    // A program with a subscriber of its own keeps it.
    let _ = trace::init(spec.format, LevelFilter::from_level(level.max(Level::INFO)));
    Ok(TraceLayer::new().level(level))
}
