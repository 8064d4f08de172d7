use std::sync::Arc;

use http::HeaderValue;
use serde::Deserialize;

use crate::ConfigError;

/// A content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
pub enum Coding {
    /// Brotli (RFC 7932).
    #[serde(rename = "br")]
    Brotli,
    /// Zstandard (RFC 8878).
    #[serde(rename = "zstd")]
    Zstd,
    /// gzip (RFC 1952).
    #[serde(rename = "gzip")]
    Gzip,
    /// zlib (RFC 1950).
    #[serde(rename = "deflate")]
    Deflate,
}

impl Coding {
    /// All codings, best first.
    pub const ALL: [Self; 4] = [Self::Brotli, Self::Zstd, Self::Gzip, Self::Deflate];

    /// The name in `Accept-Encoding` and `Content-Encoding`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        }
    }

    /// Whether `name` is its name.
    pub(crate) fn is_called(self, name: &str) -> bool {
        // RFC 9110, 8.4.1.3: x-gzip is another name of gzip.
        name.eq_ignore_ascii_case(self.as_str()) || (self == Self::Gzip && name.eq_ignore_ascii_case("x-gzip"))
    }

    /// The codings that a layer was given.
    pub(crate) fn list(layer: &str, codings: impl IntoIterator<Item = Self>) -> Result<Arc<[Self]>, ConfigError> {
        let codings: Vec<Self> = codings.into_iter().collect();
        if codings.is_empty() {
            return Err(ConfigError::new(format!("{layer}: algorithms is empty, so the layer could do nothing"))
                .cure("list at least one out of \"br\", \"zstd\", \"gzip\" and \"deflate\", or leave it out"));
        }
        if let Some((_, twice)) = codings.iter().enumerate().find(|(index, coding)| codings[..*index].contains(coding))
        {
            return Err(ConfigError::new(format!("{layer}: algorithms names {:?} twice", twice.as_str()))
                .cure("name each once"));
        }
        Ok(codings.into())
    }

    pub(super) const fn header(self) -> HeaderValue {
        HeaderValue::from_static(self.as_str())
    }

    /// How a strong entity tag of this coding ends, with the closing quote.
    pub(super) const fn tag_end(self) -> &'static str {
        match self {
            Self::Brotli => ".br\"",
            Self::Zstd => ".zstd\"",
            Self::Gzip => ".gzip\"",
            Self::Deflate => ".deflate\"",
        }
    }
}
