use http::HeaderName;
use tower_layer::Layer;

use super::SetRequestId;

/// Applies [`SetRequestId`]; see the [module](super) for examples.
#[derive(Debug, Clone)]
#[must_use]
pub struct RequestIdLayer {
    header: HeaderName,
    trust_incoming: bool,
}

impl RequestIdLayer {
    /// A fresh id for each request, in `x-request-id`.
    pub const fn new() -> Self {
        Self { header: HeaderName::from_static("x-request-id"), trust_incoming: false }
    }

    /// Uses another header.
    pub fn header(mut self, header: HeaderName) -> Self {
        self.header = header;
        self
    }

    /// Whether a well-formed id that came with the request is kept.
    pub fn trust_incoming(mut self, trust: bool) -> Self {
        self.trust_incoming = trust;
        self
    }
}

impl Default for RequestIdLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for RequestIdLayer {
    type Service = SetRequestId<S>;

    fn layer(&self, inner: S) -> SetRequestId<S> {
        SetRequestId { inner, header: self.header.clone(), trust_incoming: self.trust_incoming }
    }
}
