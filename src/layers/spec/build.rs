use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, StatusCode};
use tower::util::{MapRequest, MapResponse};
use tower_layer::Layer;
use tower_service::Service;

use super::order::Rule;
use super::{
    BodyLimitSpec, ClientIpSpec, CompressionSpec, CorsSpec, CsrfSpec, DecompressionSpec, EtagSpec, LayerSpec,
    LoadShedSpec, NormalizePathSpec, RateLimitSpec, RedirectSpec, RequestIdSpec, SecurityHeadersSpec,
    SensitiveHeadersSpec, TimeoutSpec, TraceSpec,
};
use crate::layers::body_limit::{BodyLimitLayer, LimitedBody};
use crate::layers::decompression::{DecompressedBody, DecompressionLayer};
use crate::layers::rate_limit::{By, InMemory, Quota};
use crate::layers::security_headers::Hsts;
use crate::layers::trace::{self, Level, LevelFilter};
use crate::layers::{
    CatchPanicLayer, ClientIpLayer, CompressionLayer, CorsLayer, CsrfLayer, EtagLayer, HealthCheckLayer, HostsLayer,
    LoadShedLayer, NormalizePathLayer, RateLimitLayer, RedirectLayer, RequestIdLayer, SecurityHeadersLayer,
    SensitiveHeadersLayer, TimeoutLayer, TraceLayer,
};
use crate::{Body, ConfigError, Request, Response, Route};

/// A layer whose settings were checked, ready to wrap routes.
#[derive(Clone)]
pub struct BuiltLayer {
    name: Cow<'static, str>,
    wrap: Arc<dyn Fn(Route) -> Route + Send + Sync>,
    pub(super) rules: Vec<Rule>,
}

impl BuiltLayer {
    /// Any layer under a name, which the printed stack shows.
    ///
    /// A layer that changes the type of the response body fits when its body can become a [`Body`].
    pub fn new<L, B>(name: impl Into<Cow<'static, str>>, layer: L) -> Self
    where
        L: Layer<Route> + Send + Sync + 'static,
        L::Service: Service<Request, Response = Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
        <L::Service as Service<Request>>::Future: Send + 'static,
        B: Into<Body> + 'static,
    {
        let wrap = Arc::new(move |route| {
            Route::new(MapResponse::new(layer.layer(route), response_of::<B> as fn(Response<B>) -> Response))
        });
        Self { name: name.into(), wrap, rules: Vec::new() }
    }

    /// Says that it has to stand outside of another layer, where that is there, and why; see [`check_order`](super::check_order).
    #[must_use]
    pub fn outside_of(mut self, inner: impl Into<Cow<'static, str>>, why: impl Into<Cow<'static, str>>) -> Self {
        self.rules.push(Rule::new(self.name.clone(), inner, why));
        self
    }

    /// Says that it has to stand inside of another layer, where that is there, and why.
    #[must_use]
    pub fn inside_of(mut self, outer: impl Into<Cow<'static, str>>, why: impl Into<Cow<'static, str>>) -> Self {
        self.rules.push(Rule::new(outer, self.name.clone(), why));
        self
    }

    /// What the printed stack shows.
    pub fn name(&self) -> &str {
        &self.name
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
        let name = self.name().to_owned();
        let wrap: Arc<dyn Fn(Route) -> Route + Send + Sync> = match self {
            Self::Registered(layer) => return Ok(layer),
            Self::CatchPanic(_) => same_bodies(CatchPanicLayer::new()),
            Self::RequestId(spec) => same_bodies(request_id(spec)?),
            Self::SecurityHeaders(spec) => same_bodies(security_headers(&spec)?),
            Self::HealthCheck(spec) => same_bodies(HealthCheckLayer::at(spec.paths)?),
            Self::ClientIp(spec) => same_bodies(client_ip(spec)?),
            Self::Hosts(spec) => same_bodies(HostsLayer::new(spec.names)?),
            Self::Redirect(spec) => same_bodies(redirect(&spec)?),
            Self::Timeout(spec) => same_bodies(timeout(&spec)?),
            Self::SensitiveHeaders(spec) => same_bodies(sensitive_headers(spec)?),
            Self::Cors(spec) => same_bodies(cors(spec)?),
            Self::Csrf(spec) => same_bodies(csrf(&spec)?),
            Self::NormalizePath(NormalizePathSpec { redirect: false }) => same_bodies(NormalizePathLayer::trim()),
            Self::NormalizePath(NormalizePathSpec { redirect: true }) => same_bodies(NormalizePathLayer::redirect()),
            Self::ApiKey(spec) => same_bodies(spec.layer()?),
            Self::Basic(spec) => same_bodies(spec.layer()?),
            Self::Jwt(spec) => same_bodies(spec.layer()?),
            Self::RateLimit(spec) => same_bodies(rate_limit(spec)?),
            Self::Trace(spec) => {
                let layer = trace(&spec)?;
                Arc::new(move |route| Route::new(MapResponse::new(layer.layer(route), response_of)))
            }
            Self::LoadShed(spec) => {
                let layer = load_shed(&spec)?;
                Arc::new(move |route| Route::new(MapResponse::new(layer.layer(route), response_of)))
            }
            Self::Compression(spec) => {
                let layer = compression(spec)?;
                Arc::new(move |route| Route::new(MapResponse::new(layer.layer(route), response_of)))
            }
            Self::Etag(EtagSpec { weak, max_bytes }) => {
                let layer = EtagLayer::new().weak(weak).max_bytes(max_bytes);
                Arc::new(move |route| Route::new(MapResponse::new(layer.layer(route), response_of)))
            }
            Self::BodyLimit(BodyLimitSpec { max_bytes, at }) => {
                let layer = BodyLimitLayer::new(max_bytes);
                let layer = at.iter().try_fold(layer, |layer, (path, max_bytes)| layer.at(path, *max_bytes))?;
                let request_of: fn(Request<LimitedBody<Body>>) -> Request = |request| request.map(Body::from);
                Arc::new(move |route| Route::new(layer.layer(MapRequest::new(route, request_of))))
            }
            Self::Decompression(spec) => {
                let layer = decompression(spec)?;
                let request_of: fn(Request<DecompressedBody<Body>>) -> Request = |request| request.map(Body::from);
                Arc::new(move |route| Route::new(layer.layer(MapRequest::new(route, request_of))))
            }
        };
        Ok(BuiltLayer { name: name.into(), wrap, rules: Vec::new() })
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

fn security_headers(spec: &SecurityHeadersSpec) -> Result<SecurityHeadersLayer, ConfigError> {
    let without = [("hsts_include_subdomains", spec.hsts_include_subdomains), ("hsts_preload", spec.hsts_preload)];
    if let (None, Some((field, _))) = (spec.hsts_seconds, without.iter().find(|(_, given)| *given)) {
        return Err(ConfigError::new(format!("SecurityHeaders: {field} is given without hsts_seconds"))
            .cure("give hsts_seconds, as 63072000 for two years"));
    }
    let hsts = spec.hsts_seconds.map(|seconds| {
        Hsts::new()
            .max_age(Duration::from_secs(seconds))
            .include_subdomains(spec.hsts_include_subdomains)
            .preload(spec.hsts_preload)
    });
    SecurityHeadersLayer::none()
        .hsts(hsts)?
        .content_type_options(spec.content_type_options)
        .frame_options(spec.frame_options)
        .referrer_policy(spec.referrer_policy)
        .cross_origin_opener_policy(spec.cross_origin_opener_policy)
        .cross_origin_resource_policy(spec.cross_origin_resource_policy)
        .content_security_policy(spec.content_security_policy.as_deref())?
        .permissions_policy(spec.permissions_policy.as_deref())
}

fn redirect(spec: &RedirectSpec) -> Result<RedirectLayer, ConfigError> {
    if spec.https.is_empty() && spec.hosts.is_empty() && spec.paths.is_empty() {
        return Err(ConfigError::new("Redirect: nothing is redirected").cure("give https, hosts or paths"));
    }
    let status = StatusCode::from_u16(spec.status)
        .map_err(|_| ConfigError::new(format!("Redirect: status is {}", spec.status)).cure("give 308"))?;
    let layer = RedirectLayer::new().status(status)?;
    let layer = spec.https.iter().try_fold(layer, |layer, host| layer.https(host))?;
    let layer = spec.hosts.iter().try_fold(layer, |layer, (from, to)| layer.host(from, to))?;
    spec.paths.iter().try_fold(layer, |layer, (from, to)| layer.path(from, to))
}

fn client_ip(spec: ClientIpSpec) -> Result<ClientIpLayer, ConfigError> {
    ClientIpLayer::new().header(spec.header).trusted(spec.trusted)?.hops(spec.hops)
}

fn timeout(spec: &TimeoutSpec) -> Result<TimeoutLayer, ConfigError> {
    seconds("Timeout: seconds", spec.seconds, 0.000_001).map(TimeoutLayer::new)
}

fn load_shed(spec: &LoadShedSpec) -> Result<LoadShedLayer, ConfigError> {
    LoadShedLayer::new(spec.max_concurrent)?.queue(spec.queue, seconds("LoadShed: wait", spec.wait, 0.001)?)
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

fn csrf(spec: &CsrfSpec) -> Result<CsrfLayer, ConfigError> {
    let layer = spec.trusted_origins.iter().try_fold(CsrfLayer::new(), |layer, origin| layer.trusted_origin(origin))?;
    spec.exempt.iter().try_fold(layer, |layer, path| layer.exempt(path))
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

fn decompression(spec: DecompressionSpec) -> Result<DecompressionLayer, ConfigError> {
    let mut layer = DecompressionLayer::new().max_bytes(spec.max_bytes).max_ratio(spec.max_ratio)?;
    if let Some(codings) = spec.algorithms {
        layer = layer.codings(codings)?;
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

fn rate_limit(spec: RateLimitSpec) -> Result<RateLimitLayer, ConfigError> {
    let mut quota = Quota::new(spec.limit, seconds("RateLimit: period", spec.period, 0.001)?)?;
    if let Some(burst) = spec.burst {
        quota = quota.burst(burst)?;
    }
    let by = match (spec.by_header, spec.by_claim) {
        (None, None) => By::client_ip(),
        (Some(name), None) => By::header(header_name("RateLimit", &name)?),
        (None, Some(name)) => By::claim(name),
        (Some(_), Some(_)) => {
            return Err(ConfigError::new("RateLimit: both by_header and by_claim are given")
                .cure("give one, or two layers with a policy each"));
        }
    };
    let by = by.ipv6_prefix(spec.ipv6_prefix)?;
    let by = match (spec.by_route, &spec.routes) {
        (false, _) => by,
        (true, None) => by.route(),
        (true, Some(dispatcher)) => by.route_of(dispatcher),
    };
    let layer = RateLimitLayer::new(quota).key(by).quotas(InMemory::new(spec.max_keys)?).without_key(spec.without_key);
    Ok(layer.policy(&spec.policy)?.headers(spec.headers))
}
