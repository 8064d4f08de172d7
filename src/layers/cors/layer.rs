use tower_http::cors;
use tower_layer::Layer;

use super::{Cors, CorsBuilder};

/// Applies [`Cors`]; see the [module](super) for examples.
#[derive(Debug, Clone)]
pub struct CorsLayer(cors::CorsLayer);

impl CorsLayer {
    /// Settings that allow nothing, to be widened and then built.
    #[allow(clippy::new_ret_no_self)]
    pub fn new() -> CorsBuilder {
        CorsBuilder::default()
    }

    pub(super) fn from_checked(layer: cors::CorsLayer) -> Self {
        Self(layer)
    }
}

impl<S> Layer<S> for CorsLayer {
    type Service = Cors<S>;

    fn layer(&self, inner: S) -> Cors<S> {
        Cors { answering: self.0.layer(inner) }
    }
}
