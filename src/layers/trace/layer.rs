use tower_layer::Layer;
use tracing::Level;

use super::{MatchedPath, NoMatchedPath, Trace};

/// Applies [`Trace`]; see the [module](super) for examples.
#[derive(Debug, Clone, Copy)]
#[must_use]
pub struct TraceLayer<P = NoMatchedPath> {
    level: Level,
    path: P,
}

impl TraceLayer {
    /// Logs at `INFO`.
    pub const fn new() -> Self {
        Self { level: Level::INFO, path: NoMatchedPath }
    }
}

impl Default for TraceLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<P> TraceLayer<P> {
    /// Logs answers below 500 at another level.
    pub fn level(mut self, level: Level) -> Self {
        self.level = level;
        self
    }

    /// Finds the matched path of requests that no dispatcher of this crate answered.
    pub fn matched_path<Q: MatchedPath>(self, path: Q) -> TraceLayer<Q> {
        TraceLayer { level: self.level, path }
    }
}

impl<S, P: Clone> Layer<S> for TraceLayer<P> {
    type Service = Trace<S, P>;

    fn layer(&self, inner: S) -> Trace<S, P> {
        Trace { inner, level: self.level, path: self.path.clone() }
    }
}
