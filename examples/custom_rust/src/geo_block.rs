//! A layer that refuses requests from some countries, which a proxy in front names in a header.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::Either;
use http::{HeaderMap, HeaderName, Request, Response, StatusCode};
use serde::Deserialize;
use tower_layer::Layer;
use tower_service::Service;
use ziggurat::layers::BuiltLayer;
use ziggurat::{ConfigError, Problem};

/// What `custom_rust.GeoBlock` holds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    countries: Vec<String>,
    header: String,
}

impl Settings {
    pub(crate) fn build(self) -> Result<BuiltLayer, ConfigError> {
        let header = HeaderName::from_bytes(self.header.as_bytes()).map_err(|_| {
            ConfigError::new(format!("GeoBlock: {:?} is not a header name", self.header))
                .cure("use letters, digits and -")
        })?;
        let layer = GeoBlockLayer { countries: self.countries.into(), header };
        Ok(BuiltLayer::new("GeoBlock", layer).inside_of("Trace", "the log tells what was refused, too"))
    }
}

#[derive(Clone)]
struct GeoBlockLayer {
    countries: Arc<[String]>,
    header: HeaderName,
}

impl<S> Layer<S> for GeoBlockLayer {
    type Service = GeoBlock<S>;

    fn layer(&self, inner: S) -> GeoBlock<S> {
        GeoBlock { inner, settings: self.clone() }
    }
}

#[derive(Clone)]
struct GeoBlock<S> {
    inner: S,
    settings: GeoBlockLayer,
}

impl GeoBlockLayer {
    fn refuses(&self, headers: &HeaderMap) -> bool {
        let from = headers.get(&self.header).map(|country| country.as_bytes());
        from.is_some_and(|from| self.countries.iter().any(|country| country.as_bytes().eq_ignore_ascii_case(from)))
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for GeoBlock<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: From<Bytes>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<S::Response, S::Error>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        if self.settings.refuses(request.headers()) {
            let problem = Problem::of(StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS).detail("not offered in your country");
            return Either::Right(ready(Ok(problem.into_response())));
        }
        Either::Left(self.inner.call(request))
    }
}
