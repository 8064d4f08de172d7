use tower_layer::Layer;

use super::NormalizePath;

/// Applies [`NormalizePath`]; see the [module](super) for examples.
#[derive(Debug, Clone, Copy)]
#[must_use]
pub struct NormalizePathLayer {
    mode: Mode,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Mode {
    Trim,
    Redirect,
}

impl NormalizePathLayer {
    /// `/users/` is answered as `/users` is.
    pub const fn trim() -> Self {
        Self { mode: Mode::Trim }
    }

    /// `/users/` is answered by a 308 to `/users`.
    pub const fn redirect() -> Self {
        Self { mode: Mode::Redirect }
    }
}

impl Default for NormalizePathLayer {
    /// [`trim`](Self::trim).
    fn default() -> Self {
        Self::trim()
    }
}

impl<S> Layer<S> for NormalizePathLayer {
    type Service = NormalizePath<S>;

    fn layer(&self, inner: S) -> NormalizePath<S> {
        NormalizePath { inner, mode: self.mode }
    }
}
