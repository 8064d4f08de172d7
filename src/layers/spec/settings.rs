use std::fmt;

use serde::Deserialize;

use crate::layers::compression::Coding;
use crate::layers::trace::Format;

/// `CatchPanic` has no settings.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatchPanicSpec {}

/// Settings of `RequestId`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RequestIdSpec {
    /// The header that has the id.
    pub header: String,
    /// Whether an id that came with the request is kept.
    pub trust_incoming: bool,
}

impl Default for RequestIdSpec {
    fn default() -> Self {
        Self { header: "x-request-id".to_owned(), trust_incoming: false }
    }
}

/// Settings of `Trace`.
///
/// When the program has no log yet, one is set up that writes to standard error in this format, at least from `info` on.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TraceSpec {
    /// What a line looks like; of effect when the log is set up here.
    pub format: Format,
    /// The level of a line: `trace`, `debug`, `info`, `warn` or `error`. Answers of 500 and more are always errors.
    pub level: String,
}

impl Default for TraceSpec {
    fn default() -> Self {
        Self { format: Format::Text, level: "info".to_owned() }
    }
}

/// Settings of `Hosts`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostsSpec {
    /// The hosts that are known: `example.org`, `*.example.org`.
    pub names: Vec<String>,
}

/// Settings of `Timeout`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TimeoutSpec {
    /// How long an answer may take to begin.
    pub seconds: f64,
}

impl Default for TimeoutSpec {
    fn default() -> Self {
        Self { seconds: 60.0 }
    }
}

/// Settings of `SensitiveHeaders`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SensitiveHeadersSpec {
    /// The names of the headers.
    pub headers: Vec<String>,
}

impl Default for SensitiveHeadersSpec {
    fn default() -> Self {
        Self { headers: ["authorization", "proxy-authorization", "cookie", "set-cookie"].map(str::to_owned).into() }
    }
}

/// Settings of `Cors`, as Starlette names them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CorsSpec {
    /// Origins that may call.
    pub allow_origins: Vec<String>,
    /// Also allows the origins that this expression matches from end to end.
    pub allow_origin_regex: Option<String>,
    /// Methods that may be used.
    pub allow_methods: Vec<String>,
    /// Request headers that may be sent.
    pub allow_headers: Vec<String>,
    /// Whether cookies and `Authorization` may be sent.
    pub allow_credentials: bool,
    /// Response headers that pages may read.
    pub expose_headers: Vec<String>,
    /// How many seconds browsers may remember a preflight.
    pub max_age: u64,
}

impl Default for CorsSpec {
    fn default() -> Self {
        Self {
            allow_origins: Vec::new(),
            allow_origin_regex: None,
            allow_methods: vec!["GET".to_owned()],
            allow_headers: Vec::new(),
            allow_credentials: false,
            expose_headers: Vec::new(),
            max_age: 600,
        }
    }
}

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

/// Settings of `BodyLimit`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BodyLimitSpec {
    /// How many bytes a request body may have.
    pub max_bytes: usize,
    /// How many at these paths, which may have parameters as `/files/{id}`.
    pub at: std::collections::BTreeMap<String, usize>,
}

impl Default for BodyLimitSpec {
    fn default() -> Self {
        Self { max_bytes: 1 << 20, at: std::collections::BTreeMap::new() }
    }
}

/// One text, or a list.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl OneOrMany {
    pub(super) fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::Many(list) => list,
        }
    }
}

/// A text that `Debug` does not show.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
