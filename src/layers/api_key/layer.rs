use std::fmt;
use std::sync::Arc;

use http::HeaderName;
use tower_layer::Layer;

use super::{ApiKey, ApiKeys, CredentialSource, KnownKey};
use crate::ConfigError;

/// Applies [`ApiKey`]; see the [module](super) for examples.
#[derive(Clone)]
#[must_use]
pub struct ApiKeyLayer {
    keys: ApiKeys,
    sources: Arc<[CredentialSource]>,
    required: bool,
}

impl ApiKeyLayer {
    /// Knows these keys.
    ///
    /// # Errors
    /// When there is none, or one is there twice.
    pub fn new(keys: impl IntoIterator<Item = KnownKey>) -> Result<Self, ConfigError> {
        let header = CredentialSource::header(HeaderName::from_static("x-api-key"));
        Ok(Self { keys: ApiKeys::new(keys)?, sources: Arc::new([header]), required: true })
    }

    /// Looks for the key in these places, and takes the first that is there. `X-API-Key` by default.
    ///
    /// # Errors
    /// When there is none.
    pub fn sources(mut self, sources: impl IntoIterator<Item = CredentialSource>) -> Result<Self, ConfigError> {
        self.sources = sources.into_iter().collect();
        if self.sources.is_empty() {
            return Err(ConfigError::new("ApiKey: sources is empty, so no key could be found")
                .cure("name at least one, or leave it out for the X-API-Key header"));
        }
        Ok(self)
    }

    /// Whether requests without a key are refused that no layer further out has authenticated; they are by default.
    pub fn required(mut self, required: bool) -> Self {
        self.required = required;
        self
    }

    /// The keys that it knows, to be changed while it serves.
    pub fn keys(&self) -> ApiKeys {
        self.keys.clone()
    }
}

/// Without the keys.
impl fmt::Debug for ApiKeyLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeyLayer")
            .field("sources", &self.sources)
            .field("required", &self.required)
            .finish_non_exhaustive()
    }
}

impl<S> Layer<S> for ApiKeyLayer {
    type Service = ApiKey<S>;

    fn layer(&self, inner: S) -> ApiKey<S> {
        ApiKey { inner, keys: self.keys.clone(), sources: self.sources.clone(), required: self.required }
    }
}
