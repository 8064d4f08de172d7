use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use futures_util::future::Either;
use tower::util::{MapRequest, MapResponse};
use tower_layer::Layer;
use tower_service::Service;

use super::order::Rule;
use super::settings::Kept;
use super::{LayerHandle, LayerSpec};
use crate::layers::CatchPanicLayer;
use crate::layers::body_limit::LimitedBody;
use crate::layers::decompression::DecompressedBody;
use crate::layers::metrics::RequestBody;
use crate::layers::timeout::TimedBody;
use crate::{Body, ConfigError, Request, Response, Route};

type Wrap = Arc<dyn Fn(Route) -> Route + Send + Sync>;

/// A layer whose settings were checked, ready to wrap routes.
#[derive(Clone)]
pub struct BuiltLayer {
    name: Cow<'static, str>,
    wrap: Wrap,
    handle: Option<LayerHandle>,
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
        Self { name: name.into(), wrap: other_answers(layer), handle: None, rules: Vec::new() }
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

    /// Whether the other is a clone of this one, and not another of the same settings.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.wrap, &other.wrap)
    }

    /// What the printed stack shows.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What reaches it while it serves, if it is a layer that has something to be asked or told.
    pub fn handle(&self) -> Option<&LayerHandle> {
        self.handle.as_ref()
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
    /// A `Trace` also sets up the program's log, when there is none: see [`TraceSpec`](super::TraceSpec).
    ///
    /// # Errors
    /// When settings contradict each other or cannot be honoured; the error names them and the cure.
    pub fn build(self) -> Result<BuiltLayer, ConfigError> {
        let name = self.name().to_owned();
        let mut handle = None;
        let wrap = match self {
            Self::Registered(layer) => return Ok(layer),
            Self::CatchPanic(_) => same_bodies(CatchPanicLayer::new()),
            Self::RequestId(spec) => same_bodies(spec.layer()?),
            Self::ClientIp(spec) => same_bodies(spec.layer()?),
            Self::HealthCheck(spec) => {
                let (layer, readiness) = spec.layer()?;
                handle = Some(LayerHandle::HealthCheck(readiness));
                same_bodies(layer)
            }
            Self::Metrics(spec) => {
                let layer = spec.layer()?;
                handle = Some(LayerHandle::Metrics(layer.handle()));
                other_bodies::<RequestBody<Body>, _, _>(layer)
            }
            Self::Otel(spec) => other_answers(spec.layer()?),
            Self::Trace(spec) => other_answers(spec.layer()?),
            Self::SecurityHeaders(spec) => same_bodies(spec.layer()?),
            Self::Hosts(spec) => same_bodies(spec.layer()?),
            Self::Redirect(spec) => same_bodies(spec.layer()?),
            Self::Timeout(spec) => match spec.layer()? {
                Either::Left(layer) => same_bodies(layer),
                Either::Right(layer) => other_bodies::<TimedBody<Body>, _, _>(layer),
            },
            Self::LoadShed(spec) => other_answers(spec.layer()?),
            Self::SensitiveHeaders(spec) => same_bodies(spec.layer()?),
            Self::Cors(spec) => same_bodies(spec.layer()?),
            Self::Csrf(spec) => same_bodies(spec.layer()?),
            Self::Static(spec) => other_answers(spec.layer()?),
            Self::NormalizePath(spec) => same_bodies(spec.layer()),
            Self::Compression(spec) => other_answers(spec.layer()?),
            Self::Etag(spec) => other_answers(spec.layer()),
            Self::BodyLimit(spec) => other_requests::<LimitedBody<Body>, _>(spec.layer()?),
            Self::Decompression(spec) => other_requests::<DecompressedBody<Body>, _>(spec.layer()?),
            Self::ApiKey(spec) => {
                let layer = spec.layer()?;
                handle = Some(LayerHandle::ApiKey(layer.keys()));
                same_bodies(layer)
            }
            Self::Basic(spec) => same_bodies(spec.layer()?),
            Self::RateLimit(spec) => match spec.layer()? {
                (layer, Kept::InMemory(quotas)) => same_bodies(layer.quotas(quotas)),
                #[cfg(feature = "sqlite")]
                (layer, Kept::Sqlite(quotas)) => same_bodies(layer.quotas(quotas)),
                #[cfg(feature = "redis")]
                (layer, Kept::Redis(quotas)) => same_bodies(layer.quotas(quotas)),
            },
            Self::Jwt(spec) => same_bodies(spec.layer()?),
            Self::Cache(spec) => {
                let layer = spec.layer()?;
                handle = Some(LayerHandle::Cache(layer.clone()));
                other_answers(layer)
            }
        };
        Ok(BuiltLayer { name: name.into(), wrap, handle, rules: Vec::new() })
    }
}

/// Of a layer that leaves the types of bodies alone.
fn same_bodies<L>(layer: L) -> Wrap
where
    L: Layer<Route> + Clone + Send + Sync + 'static,
    L::Service: Service<Request, Response = Response, Error = Infallible> + Clone + Send + Sync + 'static,
    <L::Service as Service<Request>>::Future: Send + 'static,
{
    Arc::new(move |route| route.layer(layer.clone()))
}

/// Of a layer that answers with bodies of another type.
fn other_answers<L, B>(layer: L) -> Wrap
where
    L: Layer<Route> + Send + Sync + 'static,
    L::Service: Service<Request, Response = Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
    <L::Service as Service<Request>>::Future: Send + 'static,
    B: Into<Body> + 'static,
{
    Arc::new(move |route| {
        Route::new(MapResponse::new(layer.layer(route), response_of::<B> as fn(Response<B>) -> Response))
    })
}

/// Of a layer that hands on requests whose bodies have another type.
fn other_requests<B, L>(layer: L) -> Wrap
where
    B: Into<Body> + 'static,
    L: Layer<MapRequest<Route, fn(Request<B>) -> Request>> + Send + Sync + 'static,
    L::Service: Service<Request, Response = Response, Error = Infallible> + Clone + Send + Sync + 'static,
    <L::Service as Service<Request>>::Future: Send + 'static,
{
    let request_of: fn(Request<B>) -> Request = |request| request.map(Into::into);
    Arc::new(move |route| Route::new(layer.layer(MapRequest::new(route, request_of))))
}

/// Of a layer that does both.
fn other_bodies<B, L, R>(layer: L) -> Wrap
where
    B: Into<Body> + 'static,
    L: Layer<MapRequest<Route, fn(Request<B>) -> Request>> + Send + Sync + 'static,
    L::Service: Service<Request, Response = Response<R>, Error = Infallible> + Clone + Send + Sync + 'static,
    <L::Service as Service<Request>>::Future: Send + 'static,
    R: Into<Body> + 'static,
{
    let request_of: fn(Request<B>) -> Request = |request| request.map(Into::into);
    let response_of: fn(Response<R>) -> Response = response_of;
    Arc::new(move |route| Route::new(MapResponse::new(layer.layer(MapRequest::new(route, request_of)), response_of)))
}

/// Back to the one body type, without a box where the layer left the body alone.
fn response_of<B: Into<Body>>(response: Response<B>) -> Response {
    response.map(Into::into)
}
