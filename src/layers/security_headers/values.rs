use std::time::Duration;

use http::HeaderValue;
use serde::Deserialize;

use crate::ConfigError;

/// What preload lists ask for at least.
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Who may show the answer in a frame: the values of `X-Frame-Options` (RFC 7034).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum FrameOptions {
    /// Nobody.
    #[serde(rename = "DENY")]
    Deny,
    /// Pages of the same origin.
    #[serde(rename = "SAMEORIGIN")]
    SameOrigin,
}

/// What a browser tells other sites of where it came from: the values of `Referrer-Policy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReferrerPolicy {
    /// Nothing.
    NoReferrer,
    /// All, but nothing from HTTPS to HTTP.
    NoReferrerWhenDowngrade,
    /// The origin.
    Origin,
    /// All to the same origin, the origin to others.
    OriginWhenCrossOrigin,
    /// All to the same origin, nothing to others.
    SameOrigin,
    /// The origin, but nothing from HTTPS to HTTP.
    StrictOrigin,
    /// All to the same origin, the origin to others, but nothing from HTTPS to HTTP: what browsers do by themselves.
    StrictOriginWhenCrossOrigin,
    /// All to everyone.
    UnsafeUrl,
}

/// Which windows may hold a reference to a page: the values of `Cross-Origin-Opener-Policy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OpenerPolicy {
    /// Those of the same origin.
    SameOrigin,
    /// Those of the same origin, and windows that the page opens.
    SameOriginAllowPopups,
    /// None, not even those of the same origin.
    NoopenerAllowPopups,
    /// All.
    UnsafeNone,
}

/// Which pages may embed the answer, as an image or a script: the values of `Cross-Origin-Resource-Policy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResourcePolicy {
    /// Those of the same origin.
    SameOrigin,
    /// Those of the same site: `www.example.org` and `api.example.org`.
    SameSite,
    /// All.
    CrossOrigin,
}

impl FrameOptions {
    pub(super) const fn header(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Deny => "DENY",
            Self::SameOrigin => "SAMEORIGIN",
        })
    }
}

impl ReferrerPolicy {
    pub(super) const fn header(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::NoReferrer => "no-referrer",
            Self::NoReferrerWhenDowngrade => "no-referrer-when-downgrade",
            Self::Origin => "origin",
            Self::OriginWhenCrossOrigin => "origin-when-cross-origin",
            Self::SameOrigin => "same-origin",
            Self::StrictOrigin => "strict-origin",
            Self::StrictOriginWhenCrossOrigin => "strict-origin-when-cross-origin",
            Self::UnsafeUrl => "unsafe-url",
        })
    }
}

impl OpenerPolicy {
    pub(super) const fn header(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::SameOrigin => "same-origin",
            Self::SameOriginAllowPopups => "same-origin-allow-popups",
            Self::NoopenerAllowPopups => "noopener-allow-popups",
            Self::UnsafeNone => "unsafe-none",
        })
    }
}

impl ResourcePolicy {
    pub(super) const fn header(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::SameOrigin => "same-origin",
            Self::SameSite => "same-site",
            Self::CrossOrigin => "cross-origin",
        })
    }
}

/// For how long browsers come over TLS only: the value of `Strict-Transport-Security` (RFC 6797).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Hsts {
    max_age: Duration,
    include_subdomains: bool,
    preload: bool,
}

impl Hsts {
    /// Two years, for this host alone.
    pub const fn new() -> Self {
        Self { max_age: YEAR.saturating_mul(2), include_subdomains: false, preload: false }
    }

    /// Another time; zero takes the promise back (RFC 6797, 6.1.1).
    pub const fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = max_age;
        self
    }

    /// Whether it holds for all hosts below this one, too.
    pub const fn include_subdomains(mut self, include: bool) -> Self {
        self.include_subdomains = include;
        self
    }

    /// Whether browsers may keep the host in the lists that they come with. It is hard to get out of these again.
    pub const fn preload(mut self, preload: bool) -> Self {
        self.preload = preload;
        self
    }

    pub(super) fn header(self) -> Result<HeaderValue, ConfigError> {
        if self.preload && (!self.include_subdomains || self.max_age < YEAR) {
            return Err(ConfigError::new(
                "SecurityHeaders: preload is for hosts with all below them, for a year at least",
            )
            .cure("include the subdomains and give a max-age from 31536000 seconds, or leave preload out"));
        }
        let mut text = format!("max-age={}", self.max_age.as_secs());
        for (given, directive) in [(self.include_subdomains, "; includeSubDomains"), (self.preload, "; preload")] {
            if given {
                text.push_str(directive);
            }
        }
        checked("Strict-Transport-Security", &text)
    }
}

impl Default for Hsts {
    fn default() -> Self {
        Self::new()
    }
}

/// A value that can be sent: visible letters of ASCII and spaces, so that it cannot end the header and begin another.
pub(super) fn checked(header: &str, text: &str) -> Result<HeaderValue, ConfigError> {
    let is_sent = !text.trim().is_empty() && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    let value = if is_sent { HeaderValue::from_str(text).ok() } else { None };
    value.ok_or_else(|| {
        ConfigError::new(format!("SecurityHeaders: {text:?} cannot be sent as {header}"))
            .cure("write it in one line of ASCII, or leave the header out")
    })
}
