use tower_layer::Layer;

use super::Etag;

/// Applies [`Etag`]; see the [module](super) for examples.
#[derive(Debug, Clone)]
#[must_use]
pub struct EtagLayer {
    settings: Settings,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    pub(super) weak: bool,
    pub(super) max_bytes: u64,
}

impl EtagLayer {
    /// Strong tags, of bodies up to 1 MiB.
    pub const fn new() -> Self {
        Self { settings: Settings { weak: false, max_bytes: 1 << 20 } }
    }

    /// Whether tags are weak, for programs between here and the client that change bytes and drop strong tags then.
    pub const fn weak(mut self, weak: bool) -> Self {
        self.settings.weak = weak;
        self
    }

    /// Gives longer bodies no tag.
    pub const fn max_bytes(mut self, bytes: u64) -> Self {
        self.settings.max_bytes = bytes;
        self
    }
}

impl Default for EtagLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for EtagLayer {
    type Service = Etag<S>;

    fn layer(&self, inner: S) -> Etag<S> {
        Etag { inner, settings: self.settings }
    }
}
