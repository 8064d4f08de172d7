use std::sync::Arc;

use http::HeaderValue;
use tower_layer::Layer;

use super::Decompression;
use crate::ConfigError;
use crate::layers::compression::Coding;

/// Applies [`Decompression`]; see the [module](super) for examples.
#[derive(Debug, Clone)]
#[must_use]
pub struct DecompressionLayer {
    offer: Offer,
    limits: Limits,
}

/// What clients may send.
#[derive(Debug, Clone)]
pub(super) struct Offer {
    pub(super) codings: Arc<[Coding]>,
    /// As `Accept-Encoding` tells of it.
    pub(super) accepted: HeaderValue,
}

impl Offer {
    fn new(codings: Arc<[Coding]>) -> Self {
        let names: Vec<_> = codings.iter().map(|coding| coding.as_str()).collect();
        // Names of codings are tokens, so this is always a header value.
        let accepted =
            HeaderValue::from_str(&names.join(", ")).unwrap_or_else(|_| HeaderValue::from_static("identity"));
        Self { codings, accepted }
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) max_bytes: usize,
    pub(super) max_ratio: u32,
}

impl DecompressionLayer {
    /// All codings, up to 1 MiB, and to 200 times what was sent.
    pub fn new() -> Self {
        let limits = Limits { max_bytes: 1 << 20, max_ratio: 200 };
        Self { offer: Offer::new(Coding::ALL.into()), limits }
    }

    /// Accepts these codings.
    ///
    /// # Errors
    /// When there is none, or one is named twice.
    pub fn codings(mut self, codings: impl IntoIterator<Item = Coding>) -> Result<Self, ConfigError> {
        self.offer = Offer::new(Coding::list("Decompression", codings)?);
        Ok(self)
    }

    /// Refuses bodies that have more bytes than this, before or after they are decompressed.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.limits.max_bytes = bytes;
        self
    }

    /// Refuses bodies of more than 64 KiB that grow by more than this factor.
    ///
    /// # Errors
    /// When it is 0.
    pub fn max_ratio(mut self, ratio: u32) -> Result<Self, ConfigError> {
        if ratio == 0 {
            return Err(ConfigError::new("Decompression: max_ratio is 0").cure("give a whole number from 1, as 200"));
        }
        self.limits.max_ratio = ratio;
        Ok(self)
    }
}

impl Default for DecompressionLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for DecompressionLayer {
    type Service = Decompression<S>;

    fn layer(&self, inner: S) -> Decompression<S> {
        Decompression { inner, offer: self.offer.clone(), limits: self.limits }
    }
}
