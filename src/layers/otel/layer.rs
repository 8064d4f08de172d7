use tower_layer::Layer;

use super::export::Tracing;
use super::{Export, MatchedPath, NoMatchedPath, Otel, OtelHandle};
use crate::ConfigError;

/// Applies [`Otel`]; see the [module](super) for examples.
#[derive(Debug, Clone)]
#[must_use]
pub struct OtelLayer<P = NoMatchedPath> {
    tracing: Tracing,
    trust_incoming: bool,
    path: P,
}

impl OtelLayer {
    /// Exports as the environment says, or else everything to the collector on this machine, `http://localhost:4318`.
    ///
    /// # Errors
    /// When a variable of the environment cannot be meant.
    pub fn new() -> Result<Self, ConfigError> {
        Self::to(Export::new())
    }

    /// Exports as `export` says.
    ///
    /// # Errors
    /// When a variable of the environment, for what is not said, cannot be meant.
    pub fn to(export: Export) -> Result<Self, ConfigError> {
        Ok(Self { tracing: export.begin()?, trust_incoming: true, path: NoMatchedPath })
    }
}

impl<P> OtelLayer<P> {
    /// Whether a trace that a client names is gone on with, and exported where it says so; it is unless told. Otherwise a new one is
    /// begun that links to it: for services that anybody may call.
    pub fn trust_incoming(mut self, trust: bool) -> Self {
        self.trust_incoming = trust;
        self
    }

    /// Finds the matched path of requests that no dispatcher of this crate answered.
    pub fn matched_path<Q: MatchedPath>(self, path: Q) -> OtelLayer<Q> {
        OtelLayer { tracing: self.tracing, trust_incoming: self.trust_incoming, path }
    }

    /// Has spans exported before the program ends.
    pub fn handle(&self) -> OtelHandle {
        OtelHandle(self.tracing.clone())
    }
}

impl<S, P: Clone> Layer<S> for OtelLayer<P> {
    type Service = Otel<S, P>;

    fn layer(&self, inner: S) -> Otel<S, P> {
        Otel { inner, tracing: self.tracing.clone(), trust_incoming: self.trust_incoming, path: self.path.clone() }
    }
}
