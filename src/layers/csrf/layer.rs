use std::sync::Arc;

use tower_http::csrf;
use tower_layer::Layer;

use super::{Csrf, Refusal, origin};
use crate::ConfigError;

/// Applies [`Csrf`]; see the [module](super) for examples.
#[derive(Debug, Clone)]
#[must_use]
pub struct CsrfLayer {
    checking: csrf::CsrfLayer<Refusal>,
    exempt: Arc<matchit::Router<()>>,
}

impl CsrfLayer {
    /// Refuses what other origins send.
    pub fn new() -> Self {
        Self { checking: csrf::CsrfLayer::new().with_rejection_response(Refusal), exempt: Arc::default() }
    }

    /// Lets pages of this origin send anything, as `https://app.example.org`; call it again for several.
    ///
    /// # Errors
    /// When it is no origin, or is not spelled as browsers do.
    pub fn trusted_origin(mut self, origin: &str) -> Result<Self, ConfigError> {
        let wrong = || {
            ConfigError::new(format!("Csrf: {origin:?} is not an origin as browsers send it"))
                .cure("write scheme and host in small letters, and a port only where it is not the scheme's own, as https://example.org")
        };
        if !origin::is_sent(origin) {
            return Err(wrong());
        }
        self.checking = self.checking.add_trusted_origin(origin).map_err(|_| wrong())?;
        Ok(self)
    }

    /// Checks nothing at this path, which may have parameters as `/hooks/{name}` and `/hooks/{*rest}`.
    ///
    /// # Errors
    /// When the path cannot be read, or another one that was given matches the same.
    pub fn exempt(mut self, path: &str) -> Result<Self, ConfigError> {
        let wrong = |why: String| {
            ConfigError::new(format!("Csrf: an exempt path {path:?}: {why}"))
                .cure("write a path as \"/hooks/{name}\", each once")
        };
        if !path.starts_with('/') {
            return Err(wrong("it begins without a slash".to_owned()));
        }
        Arc::make_mut(&mut self.exempt).insert(path, ()).map_err(|error| wrong(error.to_string()))?;
        let exempt = self.exempt.clone();
        self.checking = self.checking.with_insecure_bypass(move |_, uri| exempt.at(uri.path()).is_ok());
        Ok(self)
    }
}

impl Default for CsrfLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for CsrfLayer {
    type Service = Csrf<S>;

    fn layer(&self, inner: S) -> Csrf<S> {
        Csrf { checking: self.checking.layer(inner) }
    }
}
