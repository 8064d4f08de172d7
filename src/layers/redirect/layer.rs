use std::sync::Arc;

use http::StatusCode;
use tower_layer::Layer;

use super::Redirect;
use super::rules::Rules;
use crate::ConfigError;

/// Applies [`Redirect`]; see the [module](super) for examples.
#[derive(Debug, Clone)]
#[must_use]
pub struct RedirectLayer {
    rules: Arc<Rules>,
    status: StatusCode,
}

impl RedirectLayer {
    /// No rule yet; 308.
    pub fn new() -> Self {
        Self { rules: Arc::default(), status: StatusCode::PERMANENT_REDIRECT }
    }

    /// Sends clients that ask this host without TLS to `https`; call it again for several.
    ///
    /// # Errors
    /// When it is no host, or is named twice.
    pub fn https(mut self, host: &str) -> Result<Self, ConfigError> {
        Arc::make_mut(&mut self.rules).add_https(host)?;
        Ok(self)
    }

    /// Sends clients that ask the host `from` to `to`, as from `www.example.org` to `example.org`.
    ///
    /// # Errors
    /// When one is no host, `from` is named twice, or `to` leads on.
    pub fn host(mut self, from: &str, to: &str) -> Result<Self, ConfigError> {
        Arc::make_mut(&mut self.rules).add_host(from, to)?;
        Ok(self)
    }

    /// Sends clients that ask the path `from` to `to`: a path of this host, or an address as `https://example.org/new`.
    ///
    /// # Errors
    /// When one is not what it has to be, `from` is named twice, or `to` leads on.
    pub fn path(mut self, from: &str, to: &str) -> Result<Self, ConfigError> {
        Arc::make_mut(&mut self.rules).add_path(from, to)?;
        Ok(self)
    }

    /// Answers with this status: 308 and 307 keep the method, 301 and 302 are for clients that do not know these. 307 and 302
    /// are not kept by clients.
    ///
    /// # Errors
    /// When it is another one.
    pub fn status(mut self, status: StatusCode) -> Result<Self, ConfigError> {
        if !matches!(status.as_u16(), 301 | 302 | 307 | 308) {
            return Err(ConfigError::new(format!("Redirect: status is {}", status.as_u16()))
                .cure("give 308 or 307, or 301 or 302 for old clients"));
        }
        self.status = status;
        Ok(self)
    }
}

impl Default for RedirectLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for RedirectLayer {
    type Service = Redirect<S>;

    fn layer(&self, inner: S) -> Redirect<S> {
        Redirect { inner, rules: self.rules.clone(), status: self.status }
    }
}
