use http::HeaderName;
use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, SET_COOKIE};
use tower_http::sensitive_headers::SetSensitiveHeadersLayer;
use tower_layer::Layer;

use super::SensitiveHeaders;

/// Applies [`SensitiveHeaders`]; see the [module](super) for examples.
#[derive(Debug, Clone)]
#[must_use]
pub struct SensitiveHeadersLayer(SetSensitiveHeadersLayer);

impl SensitiveHeadersLayer {
    /// Marks the values of `headers`.
    pub fn new(headers: impl IntoIterator<Item = HeaderName>) -> Self {
        Self(SetSensitiveHeadersLayer::new(headers))
    }
}

impl Default for SensitiveHeadersLayer {
    /// `Authorization`, `Proxy-Authorization`, `Cookie` and `Set-Cookie`.
    fn default() -> Self {
        Self::new([AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE, SET_COOKIE])
    }
}

impl<S> Layer<S> for SensitiveHeadersLayer {
    type Service = SensitiveHeaders<S>;

    fn layer(&self, inner: S) -> SensitiveHeaders<S> {
        SensitiveHeaders { marking: self.0.layer(inner) }
    }
}
