use std::sync::Arc;

use tower_layer::Layer;

use super::{Coding, CompressWhen, CompressibleType, Compression};
use crate::ConfigError;

/// Applies [`Compression`]; see the [module](super) for examples.
#[derive(Debug, Clone)]
#[must_use]
pub struct CompressionLayer<P = CompressibleType> {
    settings: Settings,
    when: P,
}

#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) codings: Arc<[Coding]>,
    pub(super) min_size: u64,
    pub(super) level: Option<u8>,
}

impl CompressionLayer {
    /// All codings, from 512 bytes on, at levels that suit answers made per request (br 4, zstd 3, gzip and deflate 5).
    pub fn new() -> Self {
        Self { settings: Settings { codings: Coding::ALL.into(), min_size: 512, level: None }, when: CompressibleType }
    }
}

impl Default for CompressionLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<P> CompressionLayer<P> {
    /// Uses these codings, preferred in this order.
    ///
    /// # Errors
    /// When there is none, or one is named twice.
    pub fn codings(mut self, codings: impl IntoIterator<Item = Coding>) -> Result<Self, ConfigError> {
        self.settings.codings = Coding::list("Compression", codings)?;
        Ok(self)
    }

    /// Leaves answers that are known to be shorter uncompressed.
    pub fn min_size(mut self, bytes: u64) -> Self {
        self.settings.min_size = bytes;
        self
    }

    /// Uses one level for all codings, from 1 (fast) to 9 (small).
    ///
    /// # Errors
    /// When `level` is outside of that.
    pub fn level(mut self, level: u8) -> Result<Self, ConfigError> {
        if !(1..=9).contains(&level) {
            return Err(ConfigError::new(format!("Compression: level is {level}"))
                .cure("give a number from 1 (fast) to 9 (small), or leave it out"));
        }
        self.settings.level = Some(level);
        Ok(self)
    }

    /// Decides by a predicate of yours which answers are worth compressing.
    pub fn compress_when<Q: CompressWhen>(self, when: Q) -> CompressionLayer<Q> {
        CompressionLayer { settings: self.settings, when }
    }
}

impl<S, P: Clone> Layer<S> for CompressionLayer<P> {
    type Service = Compression<S, P>;

    fn layer(&self, inner: S) -> Compression<S, P> {
        Compression { inner, settings: self.settings.clone(), when: self.when.clone() }
    }
}
