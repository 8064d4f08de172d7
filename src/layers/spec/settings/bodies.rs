//! Of layers that change what is sent.

use serde::Deserialize;

use super::values::{header_name, seconds};
use crate::ConfigError;
use crate::layers::compression::Coding;
use crate::layers::decompression::DecompressionLayer;
use crate::layers::{CacheLayer, CompressionLayer, EtagLayer};

/// Settings of `Compression`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CompressionSpec {
    /// What is offered, preferred in this order; all when it is left out.
    pub algorithms: Option<Vec<Coding>>,
    /// Shorter answers are left as they are.
    pub min_size: u64,
    /// One level for all, from 1 to 9.
    pub level: Option<u8>,
}

impl Default for CompressionSpec {
    fn default() -> Self {
        Self { algorithms: None, min_size: 512, level: None }
    }
}

impl CompressionSpec {
    pub(in crate::layers::spec) fn layer(self) -> Result<CompressionLayer, ConfigError> {
        let mut layer = CompressionLayer::new().min_size(self.min_size);
        if let Some(codings) = self.algorithms {
            layer = layer.codings(codings)?;
        }
        if let Some(level) = self.level {
            layer = layer.level(level)?;
        }
        Ok(layer)
    }
}

/// Settings of `Etag`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EtagSpec {
    /// Whether tags are weak.
    pub weak: bool,
    /// Longer bodies get no tag.
    pub max_bytes: u64,
}

impl Default for EtagSpec {
    fn default() -> Self {
        Self { weak: false, max_bytes: 1 << 20 }
    }
}

impl EtagSpec {
    pub(in crate::layers::spec) fn layer(&self) -> EtagLayer {
        EtagLayer::new().weak(self.weak).max_bytes(self.max_bytes)
    }
}

/// Settings of `Decompression`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DecompressionSpec {
    /// What clients may send; all when it is left out.
    pub algorithms: Option<Vec<Coding>>,
    /// How many bytes a body may have, before and after it is decompressed.
    pub max_bytes: usize,
    /// How many times the bytes that were sent a body may have.
    pub max_ratio: u32,
}

impl Default for DecompressionSpec {
    fn default() -> Self {
        Self { algorithms: None, max_bytes: 1 << 20, max_ratio: 200 }
    }
}

impl DecompressionSpec {
    pub(in crate::layers::spec) fn layer(self) -> Result<DecompressionLayer, ConfigError> {
        let mut layer = DecompressionLayer::new().max_bytes(self.max_bytes).max_ratio(self.max_ratio)?;
        if let Some(codings) = self.algorithms {
            layer = layer.codings(codings)?;
        }
        Ok(layer)
    }
}

/// Settings of `Cache`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CacheSpec {
    /// For how many seconds answers are kept that say nothing of it themselves; they are not when it is left out.
    pub ttl: Option<f64>,
    /// How many bytes all answers may take.
    pub max_bytes: u64,
    /// How many bytes the body of one may have.
    pub max_body_bytes: usize,
    /// Headers of requests that tell answers apart.
    pub vary: Vec<String>,
    /// Whether clients may ask for what is fresh.
    pub client_control: bool,
}

impl Default for CacheSpec {
    fn default() -> Self {
        Self { ttl: None, max_bytes: 64 << 20, max_body_bytes: 1 << 20, vary: Vec::new(), client_control: true }
    }
}

impl CacheSpec {
    pub(in crate::layers::spec) fn layer(&self) -> Result<CacheLayer, ConfigError> {
        let vary: Vec<_> = self.vary.iter().map(|name| header_name("Cache", name)).collect::<Result<_, _>>()?;
        let layer = CacheLayer::new()
            .limits(self.max_bytes, self.max_body_bytes)?
            .vary(vary)
            .client_control(self.client_control);
        match self.ttl {
            Some(ttl) => layer.ttl(seconds("Cache: ttl", ttl, 0.001)?),
            None => Ok(layer),
        }
    }
}
