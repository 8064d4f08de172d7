use tower_layer::Layer;

use super::BodyLimit;

/// Applies [`BodyLimit`]; see the [module](super) for examples.
#[derive(Debug, Clone, Copy)]
#[must_use]
pub struct BodyLimitLayer {
    max_bytes: usize,
}

impl BodyLimitLayer {
    /// Refuses bodies of more than `max_bytes`.
    pub const fn new(max_bytes: usize) -> Self {
        Self { max_bytes }
    }
}

impl Default for BodyLimitLayer {
    /// 1 MiB.
    fn default() -> Self {
        Self::new(1 << 20)
    }
}

impl<S> Layer<S> for BodyLimitLayer {
    type Service = BodyLimit<S>;

    fn layer(&self, inner: S) -> BodyLimit<S> {
        BodyLimit { inner, max_bytes: self.max_bytes }
    }
}
