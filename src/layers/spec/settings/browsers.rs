//! Of layers that protect users of browsers.

use std::time::Duration;

use serde::Deserialize;

use super::values::header_name;
use crate::ConfigError;
use crate::layers::security_headers::{FrameOptions, Hsts, OpenerPolicy, ReferrerPolicy, ResourcePolicy};
use crate::layers::{CorsLayer, CsrfLayer, SecurityHeadersLayer, SensitiveHeadersLayer};

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

impl SecurityHeadersSpec {
    pub(in crate::layers::spec) fn layer(&self) -> Result<SecurityHeadersLayer, ConfigError> {
        let without = [("hsts_include_subdomains", self.hsts_include_subdomains), ("hsts_preload", self.hsts_preload)];
        if let (None, Some((field, _))) = (self.hsts_seconds, without.iter().find(|(_, given)| *given)) {
            return Err(ConfigError::new(format!("SecurityHeaders: {field} is given without hsts_seconds"))
                .cure("give hsts_seconds, as 63072000 for two years"));
        }
        let hsts = self.hsts_seconds.map(|seconds| {
            Hsts::new()
                .max_age(Duration::from_secs(seconds))
                .include_subdomains(self.hsts_include_subdomains)
                .preload(self.hsts_preload)
        });
        SecurityHeadersLayer::none()
            .hsts(hsts)?
            .content_type_options(self.content_type_options)
            .frame_options(self.frame_options)
            .referrer_policy(self.referrer_policy)
            .cross_origin_opener_policy(self.cross_origin_opener_policy)
            .cross_origin_resource_policy(self.cross_origin_resource_policy)
            .content_security_policy(self.content_security_policy.as_deref())?
            .permissions_policy(self.permissions_policy.as_deref())
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

impl SensitiveHeadersSpec {
    pub(in crate::layers::spec) fn layer(self) -> Result<SensitiveHeadersLayer, ConfigError> {
        if self.headers.is_empty() {
            return Err(
                ConfigError::new("SensitiveHeaders: headers is empty").cure("name the headers, or leave the layer out")
            );
        }
        let names: Result<Vec<_>, _> = self.headers.iter().map(|name| header_name("SensitiveHeaders", name)).collect();
        names.map(SensitiveHeadersLayer::new)
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

impl CorsSpec {
    pub(in crate::layers::spec) fn layer(self) -> Result<CorsLayer, ConfigError> {
        let mut cors = CorsLayer::new()
            .allow_origins(self.allow_origins)
            .allow_methods(self.allow_methods)
            .allow_headers(self.allow_headers)
            .allow_credentials(self.allow_credentials)
            .expose_headers(self.expose_headers)
            .max_age(Duration::from_secs(self.max_age));
        if let Some(pattern) = self.allow_origin_regex {
            cors = cors.allow_origin_regex(pattern);
        }
        cors.build()
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

impl CsrfSpec {
    pub(in crate::layers::spec) fn layer(&self) -> Result<CsrfLayer, ConfigError> {
        let layer =
            self.trusted_origins.iter().try_fold(CsrfLayer::new(), |layer, origin| layer.trusted_origin(origin))?;
        self.exempt.iter().try_fold(layer, |layer, path| layer.exempt(path))
    }
}
