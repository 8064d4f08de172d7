use http::HeaderValue;
use serde::Deserialize;

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
