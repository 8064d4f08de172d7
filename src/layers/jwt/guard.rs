use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::Either;
use http::{Extensions, Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::{Claims, Fault};
use crate::service::ErrorFormat;

/// Guards a route: only requests with [`Claims`] pass, and only when these have all the scopes asked for.
///
/// It applies [`Guarded`]. A [`JwtLayer`](super::JwtLayer) has to be outside of it; without one, nothing passes. See the
/// [module](super) for an example.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct RequireAuth {
    scopes: Vec<String>,
    errors: ErrorFormat,
}

impl RequireAuth {
    /// Any valid token passes.
    pub const fn new() -> Self {
        Self { scopes: Vec::new(), errors: ErrorFormat::Problem }
    }

    /// Asks for one more scope.
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scopes.push(scope.into());
        self
    }

    /// Asks for more scopes.
    pub fn scopes<T: Into<String>>(mut self, scopes: impl IntoIterator<Item = T>) -> Self {
        self.scopes.extend(scopes.into_iter().map(Into::into));
        self
    }

    /// How a refusal is told.
    pub const fn errors(mut self, format: ErrorFormat) -> Self {
        self.errors = format;
        self
    }
}

impl<S> Layer<S> for RequireAuth {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { inner, scopes: self.scopes.as_slice().into(), errors: self.errors }
    }
}

/// A service behind [`RequireAuth`].
#[derive(Debug, Clone)]
pub struct Guarded<S> {
    inner: S,
    scopes: Arc<[String]>,
    errors: ErrorFormat,
}

impl<S> Guarded<S> {
    crate::layers::inner_accessors!();

    fn judge(&self, extensions: &Extensions) -> Result<(), Fault> {
        let claims = extensions.get::<Claims>().ok_or(Fault::Missing)?;
        if self.scopes.iter().all(|scope| claims.has_scope(scope)) { Ok(()) } else { Err(Fault::Scope) }
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for Guarded<S>
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
        match self.judge(request.extensions()) {
            Ok(()) => Either::Left(self.inner.call(request)),
            Err(fault) => Either::Right(ready(Ok(fault.into_response(&self.scopes, self.errors)))),
        }
    }
}
