use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::{DecodingKey, Validation};
use tower_layer::Layer;

use super::verifier::Verifier;
use super::{Algorithm, Jwt, key};
use crate::ConfigError;

/// Applies [`Jwt`]; see the [module](super) for examples.
#[derive(Clone)]
#[must_use]
pub struct JwtLayer {
    key: DecodingKey,
    algorithms: Vec<Algorithm>,
    issuers: Vec<String>,
    audiences: Vec<String>,
    leeway: Duration,
    required: bool,
}

impl JwtLayer {
    /// Accepts tokens signed with the shared `secret`, by HS256 unless [other algorithms](Self::algorithms) are set.
    ///
    /// # Errors
    /// When the secret has less than 32 bytes, or is in truth a public key.
    pub fn secret(secret: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        let key = key::from_secret(secret.as_ref())?;
        key::check(&key, Algorithm::HS256)?;
        Ok(Self::with(key, Algorithm::HS256))
    }

    /// Accepts tokens signed by the private half of this RSA (RS256), P-256 (ES256), P-384 (ES384) or Ed25519 (EdDSA)
    /// key, unless [other algorithms](Self::algorithms) are set.
    ///
    /// # Errors
    /// When `pem` holds no such key, a private key, or an RSA key of less than 2048 bits.
    pub fn public_key_pem(pem: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        key::from_pem(pem.as_ref()).map(|(key, algorithm)| Self::with(key, algorithm))
    }

    fn with(key: DecodingKey, algorithm: Algorithm) -> Self {
        Self {
            key,
            algorithms: vec![algorithm],
            issuers: Vec::new(),
            audiences: Vec::new(),
            leeway: Duration::from_secs(30),
            required: true,
        }
    }

    /// Accepts these algorithms and no others.
    ///
    /// # Errors
    /// When the list is empty, or an algorithm needs another kind of key than this layer has, or a longer secret.
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Result<Self, ConfigError> {
        self.algorithms = algorithms.into_iter().collect();
        if self.algorithms.is_empty() {
            return Err(ConfigError::new("Jwt: algorithms is empty, so no token could be valid")
                .cure("list at least one, such as \"HS256\", or leave it out"));
        }
        for algorithm in &self.algorithms {
            key::check(&self.key, *algorithm)?;
        }
        Ok(self)
    }

    /// Accepts only tokens by this issuer (`iss`); call it again to accept several.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuers.push(issuer.into());
        self
    }

    /// Accepts only tokens for this audience (`aud`); call it again to accept several.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.push(audience.into());
        self
    }

    /// How far clocks may differ; 30 seconds by default. At most a day counts.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway.min(Duration::from_secs(24 * 60 * 60));
        self
    }

    /// Whether requests without a token are refused; they are by default.
    pub fn required(mut self, required: bool) -> Self {
        self.required = required;
        self
    }

    fn validation(&self) -> Validation {
        let mut validation = Validation::new_for_family(self.key.family());
        validation.algorithms = self.algorithms.iter().map(|algorithm| algorithm.verified_as()).collect();
        validation.leeway = self.leeway.as_secs();
        validation.validate_nbf = true;
        let mut required = vec!["exp"];
        if !self.issuers.is_empty() {
            validation.set_issuer(&self.issuers);
            required.push("iss");
        }
        if !self.audiences.is_empty() {
            validation.set_audience(&self.audiences);
            required.push("aud");
        }
        validation.set_required_spec_claims(&required);
        validation
    }
}

/// Without the key.
impl fmt::Debug for JwtLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtLayer")
            .field("algorithms", &self.algorithms)
            .field("issuers", &self.issuers)
            .field("audiences", &self.audiences)
            .field("leeway", &self.leeway)
            .field("required", &self.required)
            .finish_non_exhaustive()
    }
}

impl<S> Layer<S> for JwtLayer {
    type Service = Jwt<S>;

    fn layer(&self, inner: S) -> Jwt<S> {
        let verifier = Verifier { key: self.key.clone(), validation: self.validation(), required: self.required };
        Jwt { inner, verifier: Arc::new(verifier) }
    }
}
