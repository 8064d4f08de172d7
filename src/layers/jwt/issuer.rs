use std::fmt;

use super::key::{self, Key};
use super::{Algorithm, key_set};
use crate::ConfigError;

/// Whose tokens are accepted: the names and keys of one issuer, and what its tokens have to say.
///
/// A [`JwtLayer`](super::JwtLayer) may trust [several](super::JwtLayer::issuers). Keys of one never check tokens of another.
#[derive(Clone, Default)]
#[must_use]
pub struct Issuer {
    pub(super) names: Vec<String>,
    pub(super) keys: Vec<Key>,
    /// None takes what is usual for each key.
    pub(super) algorithms: Option<Vec<Algorithm>>,
    pub(super) audiences: Vec<String>,
    /// In place of `keys`.
    #[cfg(feature = "jwks")]
    pub(super) fetched: Option<super::Jwks>,
}

impl Issuer {
    /// The issuer that calls itself so (`iss`).
    pub fn new(name: impl Into<String>) -> Self {
        Self { names: vec![name.into()], ..Self::default() }
    }

    /// Another name of the same issuer.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.names.push(name.into());
        self
    }

    /// One more key: a shared secret, used with HS256 unless [other algorithms](Self::algorithms) are set.
    ///
    /// # Errors
    /// When the secret has less than 32 bytes, or is in truth a public key.
    pub fn secret(mut self, secret: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        let key =
            Key { id: None, decoding: key::from_secret(secret.as_ref())?, usual: Algorithm::HS256, pinned: false };
        key::check(&key.decoding, key.usual)?;
        self.keys.push(key);
        Ok(self)
    }

    /// One more key: an RSA (RS256), P-256 (ES256), P-384 (ES384) or Ed25519 (EdDSA) public key, unless
    /// [other algorithms](Self::algorithms) are set.
    ///
    /// # Errors
    /// When `pem` holds no such key, a private key, or an RSA key of less than 2048 bits.
    pub fn public_key_pem(mut self, pem: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        let (decoding, usual) = key::from_pem(pem.as_ref())?;
        self.keys.push(Key { id: None, decoding, usual, pinned: false });
        Ok(self)
    }

    /// The keys of a JWK Set (RFC 7517, 5), as JSON. A token names one of them by `kid`.
    ///
    /// Keys that are not for signatures, and those of kinds that are not known, are left out. A key's `alg` is all that it is
    /// used with; one without is used with RS256, ES256, ES384 or EdDSA, as its kind is, or with HS256, unless
    /// [other algorithms](Self::algorithms) are set.
    ///
    /// # Errors
    /// When `json` is no set, no key of it can be used, or one is private, malformed or too weak.
    pub fn jwk_set(mut self, json: impl AsRef<str>) -> Result<Self, ConfigError> {
        self.keys.extend(key_set::given(json.as_ref())?);
        Ok(self)
    }

    /// The keys are fetched from there, and used as those of [`jwk_set`](Self::jwk_set), but never as secrets.
    #[cfg(feature = "jwks")]
    pub fn jwks(mut self, source: super::Jwks) -> Self {
        self.fetched = Some(source);
        self
    }

    /// The issuer with this address, whose keys are fetched from where it says that they are; see
    /// [`Jwks::discover`](super::Jwks::discover).
    ///
    /// # Errors
    /// When it is no `https` address.
    #[cfg(feature = "jwks")]
    pub fn discover(address: &str) -> Result<Self, ConfigError> {
        super::Jwks::discover(address).map(|source| Self::new(address).jwks(source))
    }

    /// Accepts these algorithms and no others.
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.algorithms = Some(algorithms.into_iter().collect());
        self
    }

    /// Accepts only tokens for this audience (`aud`); call it again to accept several.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.push(audience.into());
        self
    }

    /// That every algorithm has a key.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        #[cfg(feature = "jwks")]
        if self.fetched.is_some() {
            return self.check_fetched();
        }
        if self.keys.is_empty() {
            return Err(ConfigError::new(format!("Jwt: {self} has no key, so no token could be valid"))
                .cure("give secret, public_key_pem or jwks"));
        }
        let Some(algorithms) = &self.algorithms else { return Ok(()) };
        if algorithms.is_empty() {
            return Err(no_algorithms());
        }
        for algorithm in algorithms {
            match &self.keys[..] {
                [only] if !only.pinned => key::check(&only.decoding, *algorithm)?,
                keys if keys.iter().any(|key| key.fits(*algorithm)) => {}
                _ => {
                    return Err(ConfigError::new(format!("Jwt: {algorithm:?} can be used with no key of {self}"))
                        .cure("leave it out of algorithms, or add a key of its kind"));
                }
            }
        }
        Ok(())
    }
}

#[cfg(feature = "jwks")]
impl Issuer {
    fn check_fetched(&self) -> Result<(), ConfigError> {
        if !self.keys.is_empty() {
            return Err(ConfigError::new(format!("Jwt: {self} has keys beside those that are fetched"))
                .cure("give the ones or the others"));
        }
        match self.algorithms.as_deref() {
            Some([]) => Err(no_algorithms()),
            Some(all) => match all.iter().find(|algorithm| algorithm.is_symmetric()) {
                Some(algorithm) => {
                    Err(ConfigError::new(format!("Jwt: {algorithm:?} is for secrets, which are not published"))
                        .cure("leave it out of algorithms, or give secret"))
                }
                None => Ok(()),
            },
            None => Ok(()),
        }
    }
}

fn no_algorithms() -> ConfigError {
    ConfigError::new("Jwt: algorithms is empty, so no token could be valid")
        .cure("list at least one, such as \"HS256\", or leave it out")
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.names.first() {
            Some(name) => write!(f, "the issuer {name:?}"),
            None => f.write_str("the issuer"),
        }
    }
}

/// Without the keys.
impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer")
            .field("names", &self.names)
            .field("keys", &self.keys.len())
            .field("algorithms", &self.algorithms)
            .field("audiences", &self.audiences)
            .finish()
    }
}
