use std::time::Duration;

use tower_layer::Layer;

use super::Timeout;

/// Applies [`Timeout`]; see the [module](super) for examples.
#[derive(Debug, Clone, Copy)]
#[must_use]
pub struct TimeoutLayer {
    after: Duration,
}

impl TimeoutLayer {
    /// Gives up `after` this long.
    pub const fn new(after: Duration) -> Self {
        Self { after }
    }
}

impl Default for TimeoutLayer {
    /// 60 seconds.
    fn default() -> Self {
        Self::new(Duration::from_secs(60))
    }
}

impl<S> Layer<S> for TimeoutLayer {
    type Service = Timeout<S>;

    fn layer(&self, inner: S) -> Timeout<S> {
        Timeout { inner, after: self.after }
    }
}
