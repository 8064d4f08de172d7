use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use crate::layers::client_ip::ForwardedHeader;
use crate::layers::compression::Coding;
use crate::layers::rate_limit::{InMemory, WithoutKey};
use crate::layers::security_headers::{FrameOptions, OpenerPolicy, ReferrerPolicy, ResourcePolicy};
use crate::layers::trace::Format;
use crate::service::Dispatcher;

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

/// Settings of `HealthCheck`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HealthCheckSpec {
    /// The paths that are answered.
    pub paths: Vec<String>,
}

impl Default for HealthCheckSpec {
    fn default() -> Self {
        Self { paths: ["/healthz", "/readyz"].map(str::to_owned).into() }
    }
}

/// Settings of `ClientIp`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClientIpSpec {
    /// Addresses and networks of the proxies: `10.0.0.7`, `10.0.0.0/8`.
    pub trusted: Vec<String>,
    /// How many proxies are trusted whatever their addresses.
    pub hops: u8,
    /// The header that they write: `x-forwarded-for` or `forwarded`.
    pub header: ForwardedHeader,
}

impl Default for ClientIpSpec {
    fn default() -> Self {
        Self { trusted: Vec::new(), hops: 0, header: ForwardedHeader::XForwardedFor }
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

/// Settings of `SecurityHeaders`; what is null is not sent.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SecurityHeadersSpec {
    /// For how many seconds browsers come over TLS only.
    pub hsts_seconds: Option<u64>,
    /// Whether that holds for all hosts below this one, too.
    pub hsts_include_subdomains: bool,
    /// Whether browsers may keep the host in the lists that they come with.
    pub hsts_preload: bool,
    /// Whether `X-Content-Type-Options: nosniff` is sent.
    pub content_type_options: bool,
    /// `X-Frame-Options`.
    pub frame_options: Option<FrameOptions>,
    /// `Referrer-Policy`.
    pub referrer_policy: Option<ReferrerPolicy>,
    /// `Content-Security-Policy`.
    pub content_security_policy: Option<String>,
    /// `Permissions-Policy`.
    pub permissions_policy: Option<String>,
    /// `Cross-Origin-Opener-Policy`.
    pub cross_origin_opener_policy: Option<OpenerPolicy>,
    /// `Cross-Origin-Resource-Policy`.
    pub cross_origin_resource_policy: Option<ResourcePolicy>,
}

impl Default for SecurityHeadersSpec {
    fn default() -> Self {
        Self {
            hsts_seconds: None,
            hsts_include_subdomains: false,
            hsts_preload: false,
            content_type_options: true,
            frame_options: Some(FrameOptions::Deny),
            referrer_policy: Some(ReferrerPolicy::NoReferrer),
            content_security_policy: None,
            permissions_policy: None,
            cross_origin_opener_policy: Some(OpenerPolicy::SameOrigin),
            cross_origin_resource_policy: Some(ResourcePolicy::SameOrigin),
        }
    }
}

/// Settings of `Hosts`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostsSpec {
    /// The hosts that are known: `example.org`, `*.example.org`.
    pub names: Vec<String>,
}

/// Settings of `Redirect`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RedirectSpec {
    /// Hosts that are reached over TLS only.
    pub https: Vec<String>,
    /// Hosts, and the one that each leads to.
    pub hosts: BTreeMap<String, String>,
    /// Paths, and the place that each leads to.
    pub paths: BTreeMap<String, String>,
    /// The status of the answer.
    pub status: u16,
}

impl Default for RedirectSpec {
    fn default() -> Self {
        Self { https: Vec::new(), hosts: BTreeMap::new(), paths: BTreeMap::new(), status: 308 }
    }
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

/// Settings of `LoadShed`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadShedSpec {
    /// How many requests may be under way at a time.
    pub max_concurrent: usize,
    /// How many more may wait for their turn.
    #[serde(default)]
    pub queue: usize,
    /// For how many seconds.
    #[serde(default = "one_second")]
    pub wait: f64,
}

fn one_second() -> f64 {
    1.0
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

/// Settings of `Csrf`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CsrfSpec {
    /// Origins whose pages may send anything.
    pub trusted_origins: Vec<String>,
    /// Paths where nothing is checked, which may have parameters as `/hooks/{name}`.
    pub exempt: Vec<String>,
}

/// Settings of `NormalizePath`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NormalizePathSpec {
    /// Whether clients are sent to the path without slashes at its end, rather than answered as if they had sent it.
    pub redirect: bool,
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

/// Settings of `RateLimit`. At most one of `by_header` and `by_claim` may be given.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimitSpec {
    /// How many requests are answered in each period.
    pub limit: u32,
    /// How many seconds that is.
    #[serde(default = "RateLimitSpec::minute")]
    pub period: f64,
    /// How many are answered at once; as many as `limit` when it is left out.
    #[serde(default)]
    pub burst: Option<u32>,
    /// Counts by the value of this header, instead of the client's address.
    #[serde(default)]
    pub by_header: Option<String>,
    /// Counts by this claim.
    #[serde(default)]
    pub by_claim: Option<String>,
    /// Counts for each route.
    #[serde(default)]
    pub by_route: bool,
    /// How many bits of an IPv6 address count.
    #[serde(default = "RateLimitSpec::site")]
    pub ipv6_prefix: u8,
    /// What becomes of requests that have no key.
    #[serde(default)]
    pub without_key: WithoutKey,
    /// About how many keys are remembered at once.
    #[serde(default = "RateLimitSpec::keys")]
    pub max_keys: usize,
    /// Whether answers tell of the quota.
    #[serde(default = "RateLimitSpec::told")]
    pub headers: bool,
    /// What it is called there.
    #[serde(default = "RateLimitSpec::name")]
    pub policy: String,
    /// Whose routes count, where the layer is around a dispatcher and not around its leaves.
    #[serde(skip)]
    pub routes: Option<Dispatcher>,
}

impl RateLimitSpec {
    const fn minute() -> f64 {
        60.0
    }

    const fn site() -> u8 {
        64
    }

    const fn keys() -> usize {
        InMemory::MAX_KEYS
    }

    const fn told() -> bool {
        true
    }

    fn name() -> String {
        "default".to_owned()
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
