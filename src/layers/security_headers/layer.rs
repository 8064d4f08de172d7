use std::sync::Arc;

use http::header::{
    CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderName, HeaderValue};
use tower_layer::Layer;

use super::values::checked;
use super::{FrameOptions, Hsts, OpenerPolicy, ReferrerPolicy, ResourcePolicy, SecurityHeaders};
use crate::ConfigError;

const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Applies [`SecurityHeaders`]; see the [module](super) for examples.
#[derive(Debug, Clone)]
#[must_use]
pub struct SecurityHeadersLayer {
    headers: Arc<Vec<(HeaderName, HeaderValue)>>,
}

impl SecurityHeadersLayer {
    /// The headers that ask nothing of the application, as the [module](super) lists them.
    pub fn new() -> Self {
        Self::none()
            .content_type_options(true)
            .frame_options(Some(FrameOptions::Deny))
            .referrer_policy(Some(ReferrerPolicy::NoReferrer))
            .cross_origin_opener_policy(Some(OpenerPolicy::SameOrigin))
            .cross_origin_resource_policy(Some(ResourcePolicy::SameOrigin))
    }

    /// No header yet.
    pub fn none() -> Self {
        Self { headers: Arc::default() }
    }

    fn put(mut self, name: HeaderName, value: Option<HeaderValue>) -> Self {
        let headers = Arc::make_mut(&mut self.headers);
        headers.retain(|(other, _)| *other != name);
        headers.extend(value.map(|value| (name, value)));
        self
    }

    /// `Strict-Transport-Security`, which only a service that clients reach over TLS may send (RFC 6797, 7.2).
    ///
    /// # Errors
    /// When `preload` is asked for without what the preload lists ask for.
    pub fn hsts(self, hsts: Option<Hsts>) -> Result<Self, ConfigError> {
        let value = hsts.map(Hsts::header).transpose()?;
        Ok(self.put(STRICT_TRANSPORT_SECURITY, value))
    }

    /// `X-Content-Type-Options: nosniff`, or not.
    pub fn content_type_options(self, nosniff: bool) -> Self {
        self.put(X_CONTENT_TYPE_OPTIONS, nosniff.then_some(HeaderValue::from_static("nosniff")))
    }

    /// `X-Frame-Options`.
    pub fn frame_options(self, options: Option<FrameOptions>) -> Self {
        self.put(X_FRAME_OPTIONS, options.map(FrameOptions::header))
    }

    /// `Referrer-Policy`.
    pub fn referrer_policy(self, policy: Option<ReferrerPolicy>) -> Self {
        self.put(REFERRER_POLICY, policy.map(ReferrerPolicy::header))
    }

    /// `Content-Security-Policy`, as [`API_POLICY`](super::API_POLICY).
    ///
    /// # Errors
    /// When it is empty, or cannot be sent in one line.
    pub fn content_security_policy(self, policy: Option<&str>) -> Result<Self, ConfigError> {
        let value = policy.map(|policy| checked("Content-Security-Policy", policy)).transpose()?;
        Ok(self.put(CONTENT_SECURITY_POLICY, value))
    }

    /// `Permissions-Policy`, as `camera=(), geolocation=(self)`.
    ///
    /// # Errors
    /// When it is empty, or cannot be sent in one line.
    pub fn permissions_policy(self, policy: Option<&str>) -> Result<Self, ConfigError> {
        let value = policy.map(|policy| checked("Permissions-Policy", policy)).transpose()?;
        Ok(self.put(PERMISSIONS_POLICY, value))
    }

    /// `Cross-Origin-Opener-Policy`.
    pub fn cross_origin_opener_policy(self, policy: Option<OpenerPolicy>) -> Self {
        self.put(OPENER_POLICY, policy.map(OpenerPolicy::header))
    }

    /// `Cross-Origin-Resource-Policy`.
    pub fn cross_origin_resource_policy(self, policy: Option<ResourcePolicy>) -> Self {
        self.put(RESOURCE_POLICY, policy.map(ResourcePolicy::header))
    }
}

impl Default for SecurityHeadersLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for SecurityHeadersLayer {
    type Service = SecurityHeaders<S>;

    fn layer(&self, inner: S) -> SecurityHeaders<S> {
        SecurityHeaders { inner, headers: self.headers.clone() }
    }
}
