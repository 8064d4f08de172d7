use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use jsonwebtoken::{AlgorithmFamily, EncodingKey, Header, encode, get_current_timestamp};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{Algorithm, key, private_key};
use crate::ConfigError;

/// Signs tokens that [`JwtLayer`](super::JwtLayer) verifies, for apps that are their own issuer.
///
/// Ed25519 and P-256 keys sign in a fraction of a millisecond. RSA is for verifiers that know nothing else: it takes milliseconds, and its
/// arithmetic is blinded but takes no constant time (RUSTSEC-2023-0071).
///
/// # Example
/// ```
/// use std::time::Duration;
/// use serde_json::json;
/// use ziggurat::layers::jwt::Signer;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let signer = Signer::secret("use `openssl rand -base64 48` for yours")?.expires_in(Duration::from_secs(900));
/// let token = signer.sign(&json!({"iss": "https://id.example", "sub": "ann", "roles": ["editor"]}))?;
/// assert_eq!(token.split('.').count(), 3);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct Signer {
    key: EncodingKey,
    algorithm: Algorithm,
    kid: Option<String>,
    lifetime: Option<Duration>,
}

impl Signer {
    /// With a shared secret, by HS256 unless [another algorithm](Self::algorithm) is set.
    ///
    /// # Errors
    /// When the secret has less than 32 bytes, or is in truth a PEM key.
    pub fn secret(secret: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        let secret = secret.as_ref();
        if secret.starts_with(b"-----BEGIN") {
            return Err(ConfigError::new("Jwt: the secret to sign with is a PEM key").cure("give it as a private key"));
        }
        Self::with(EncodingKey::from_secret(secret), Algorithm::HS256).algorithm(Algorithm::HS256)
    }

    /// With the private half of an RSA (RS256), P-256 (ES256), P-384 (ES384) or Ed25519 (EdDSA) key, unless
    /// [another algorithm](Self::algorithm) is set.
    ///
    /// # Errors
    /// When `pem` holds no such key, a public or an encrypted one, or an RSA key of less than 2048 bits.
    pub fn private_key_pem(pem: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        private_key::from_pem(pem.as_ref()).map(|(key, algorithm)| Self::with(key, algorithm))
    }

    fn with(key: EncodingKey, algorithm: Algorithm) -> Self {
        Self { key, algorithm, kid: None, lifetime: None }
    }

    /// Signs by this algorithm.
    ///
    /// # Errors
    /// When it needs another kind of key, or a longer secret.
    pub fn algorithm(mut self, algorithm: Algorithm) -> Result<Self, ConfigError> {
        match self.key.family() {
            AlgorithmFamily::Hmac => key::check(&key::of_secret(self.key.as_bytes()), algorithm)?,
            AlgorithmFamily::Rsa if algorithm.is_for(AlgorithmFamily::Rsa) => {}
            _ if algorithm == self.algorithm => {}
            family => return Err(key::misfit(family, algorithm)),
        }
        self.algorithm = algorithm;
        Ok(self)
    }

    /// Names the key (`kid`), so that whoever has several to check with knows which one it is.
    pub fn key_id(mut self, kid: impl Into<String>) -> Self {
        self.kid = Some(kid.into());
        self
    }

    /// How long tokens hold from when they are signed, in whole seconds: that is said in `iat` and `exp`, of those whose claims do not
    /// say it.
    pub fn expires_in(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// The token that says these claims, which are a JSON object.
    ///
    /// # Errors
    /// When they are none, lack `exp`, or have a registered claim of the wrong type (RFC 7519, 4.1): the layer would refuse them.
    pub fn sign<T: Serialize + ?Sized>(&self, claims: &T) -> Result<String, SignError> {
        let json = serde_json::to_vec(claims).map_err(|_| SignError::NoObject)?;
        let mut claims: BTreeMap<String, Box<RawValue>> =
            serde_json::from_slice(&json).map_err(|_| SignError::NoObject)?;
        if let Some(lifetime) = self.lifetime {
            let now = get_current_timestamp();
            let until = now.saturating_add(lifetime.as_secs_f64().ceil() as u64);
            for (name, time) in [("iat", now), ("exp", until)] {
                if let std::collections::btree_map::Entry::Vacant(place) = claims.entry(name.to_owned()) {
                    place.insert(RawValue::from_string(time.to_string()).map_err(|_| SignError::NoObject)?);
                }
            }
        }
        if !claims.contains_key("exp") {
            return Err(SignError::NoExpiry);
        }
        for (name, value) in &claims {
            check(name, value)?;
        }
        key::use_this_crypto();
        let header = Header { kid: self.kid.clone(), ..Header::new(self.algorithm.verified_as()) };
        encode(&header, &claims, &self.key).map_err(|error| SignError::Failed(error.to_string()))
    }
}

/// That a claim is of the type which verifiers want of it.
fn check(name: &str, value: &RawValue) -> Result<(), SignError> {
    let json = value.get();
    let is_text = || json.starts_with('"');
    let is_list = || serde_json::from_str::<Vec<String>>(json).is_ok();
    let (name, wanted, fits) = match name {
        "iss" => ("iss", "a text", is_text()),
        "sub" => ("sub", "a text", is_text()),
        "jti" => ("jti", "a text", is_text()),
        "aud" => ("aud", "a text or a list of texts", is_text() || is_list()),
        "exp" => ("exp", "a number of seconds since 1970", is_number(json)),
        "nbf" => ("nbf", "a number of seconds since 1970", is_number(json)),
        "iat" => ("iat", "a number of seconds since 1970", is_number(json)),
        "scope" => ("scope", "a text or a list of texts", is_text() || is_list()),
        "scp" => ("scp", "a text or a list of texts", is_text() || is_list()),
        "scopes" => ("scopes", "a text or a list of texts", is_text() || is_list()),
        _ => return Ok(()),
    };
    if fits { Ok(()) } else { Err(SignError::Claim { name, wanted }) }
}

/// Not below zero, which is no time of a token.
fn is_number(json: &str) -> bool {
    serde_json::from_str::<f64>(json).is_ok_and(|number| number >= 0.0)
}

/// Why claims were not signed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignError {
    /// They are no JSON object.
    NoObject,
    /// They do not say when they expire, and no [lifetime](Signer::expires_in) is set.
    NoExpiry,
    /// A registered claim is of the wrong type.
    Claim {
        /// What it is called.
        name: &'static str,
        /// What it has to be.
        wanted: &'static str,
    },
    /// The signature could not be made.
    Failed(String),
}

impl fmt::Display for SignError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoObject => f.write_str("the claims of a token are a JSON object"),
            Self::NoExpiry => f.write_str("a token without exp is refused; say for how long it holds"),
            Self::Claim { name, wanted } => write!(f, "the claim {name} has to be {wanted}"),
            Self::Failed(why) => write!(f, "the token could not be signed: {why}"),
        }
    }
}

impl std::error::Error for SignError {}

/// Without the key.
impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("algorithm", &self.algorithm)
            .field("kid", &self.kid)
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}
