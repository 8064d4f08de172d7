use tower_layer::Layer;

use super::CatchPanic;

/// Applies [`CatchPanic`]; see the [module](super) for examples.
#[derive(Debug, Clone, Copy, Default)]
#[must_use]
pub struct CatchPanicLayer(());

impl CatchPanicLayer {
    /// A layer without settings.
    pub const fn new() -> Self {
        Self(())
    }
}

impl<S> Layer<S> for CatchPanicLayer {
    type Service = CatchPanic<S>;

    fn layer(&self, inner: S) -> CatchPanic<S> {
        CatchPanic { inner }
    }
}
