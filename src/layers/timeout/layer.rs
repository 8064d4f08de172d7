use std::time::Duration;

use tower_layer::Layer;

use super::Timeout;

/// Applies [`Timeout`]; see the [module](super) for examples.
#[derive(Debug, Clone, Copy)]
#[must_use]
pub struct TimeoutLayer<L = HeadOnly> {
    after: Duration,
    bodies: L,
}

/// Bodies are handed through as they are: only the time until the head of the answer is limited.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct HeadOnly;

/// Bodies are limited, too.
#[derive(Debug, Clone, Copy, Default)]
#[must_use]
pub struct Bodies {
    pub(super) idle: Option<Duration>,
    pub(super) total: Option<Duration>,
}

impl From<HeadOnly> for Bodies {
    fn from(_: HeadOnly) -> Self {
        Self::default()
    }
}

impl TimeoutLayer {
    /// Gives up `after` this long without the head of an answer.
    pub const fn new(after: Duration) -> Self {
        Self { after, bodies: HeadOnly }
    }
}

impl<L: Into<Bodies>> TimeoutLayer<L> {
    /// Gives up when nothing of a body comes for so long while somebody waits for it: of the request from the client, of the
    /// answer from its service.
    pub fn body_idle(self, idle: Duration) -> TimeoutLayer<Bodies> {
        let bodies = Bodies { idle: Some(idle), ..self.bodies.into() };
        TimeoutLayer { after: self.after, bodies }
    }

    /// Gives up when the answer has not ended so long after the head of the request came.
    pub fn total(self, total: Duration) -> TimeoutLayer<Bodies> {
        let bodies = Bodies { total: Some(total), ..self.bodies.into() };
        TimeoutLayer { after: self.after, bodies }
    }
}

impl Default for TimeoutLayer {
    /// 60 seconds.
    fn default() -> Self {
        Self::new(Duration::from_secs(60))
    }
}

impl<S, L: Copy> Layer<S> for TimeoutLayer<L> {
    type Service = Timeout<S, L>;

    fn layer(&self, inner: S) -> Timeout<S, L> {
        Timeout { inner, after: self.after, bodies: self.bodies }
    }
}
