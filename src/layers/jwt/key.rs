use jsonwebtoken::crypto::{CryptoProvider, rust_crypto};
use jsonwebtoken::{AlgorithmFamily, DecodingKey};

use super::Algorithm;
use crate::ConfigError;

/// A PKCS#1 public key of 2048 bits is a little longer than its modulus.
const MIN_RSA_DER: usize = 2048 / 8;

/// What checks signatures.
#[derive(Clone)]
pub(super) struct Key {
    /// As tokens name it (`kid`); one without a name checks whatever names no other.
    pub(super) id: Option<String>,
    pub(super) decoding: DecodingKey,
    /// What it is used with unless something else is asked for.
    pub(super) usual: Algorithm,
    /// Whether it is used with nothing else at all.
    pub(super) pinned: bool,
}

impl Key {
    pub(super) fn fits(&self, algorithm: Algorithm) -> bool {
        (!self.pinned || self.usual == algorithm) && check(&self.decoding, algorithm).is_ok()
    }

    /// What it is used with when those are allowed.
    pub(super) fn algorithms(&self, allowed: Option<&[Algorithm]>) -> Vec<Algorithm> {
        match allowed {
            Some(allowed) => allowed.iter().copied().filter(|algorithm| self.fits(*algorithm)).collect(),
            None => vec![self.usual],
        }
    }
}

/// The HMAC key of `secret`.
pub(super) fn from_secret(secret: &[u8]) -> Result<DecodingKey, ConfigError> {
    use_this_crypto();
    if secret.starts_with(b"-----BEGIN") {
        return Err(ConfigError::new("Jwt: secret holds a PEM key; who knows a public key could then sign tokens")
            .cure("give it as public_key_pem"));
    }
    Ok(of_secret(secret))
}

pub(super) fn of_secret(secret: &[u8]) -> DecodingKey {
    DecodingKey::from_secret(secret)
}

/// The public key in `pem`, and the algorithm that its kind is used with.
pub(super) fn from_pem(pem: &[u8]) -> Result<(DecodingKey, Algorithm), ConfigError> {
    use_this_crypto();
    if pem.windows(11).any(|part| part == b"PRIVATE KEY") {
        return Err(ConfigError::new("Jwt: public_key_pem holds a private key, which checking tokens does not need")
            .cure("give its public half, as `openssl pkey -pubout` prints it"));
    }
    let kinds = [
        (DecodingKey::from_rsa_pem(pem), Algorithm::RS256),
        (DecodingKey::from_ec_pem(pem), Algorithm::ES256),
        (DecodingKey::from_ec_pem(pem), Algorithm::ES384),
        (DecodingKey::from_ed_pem(pem), Algorithm::EdDSA),
    ];
    let wrong = |what| {
        ConfigError::new(format!("Jwt: public_key_pem {what}"))
            .cure("give an RSA, P-256, P-384 or Ed25519 public key that begins with -----BEGIN PUBLIC KEY-----")
    };
    let usable = |(key, algorithm): (Result<DecodingKey, _>, Algorithm)| {
        let key = key.ok()?;
        check(&key, algorithm).is_ok().then_some((key, algorithm))
    };
    let Some((key, algorithm)) = kinds.into_iter().find_map(usable) else {
        return Err(wrong("is not a PEM public key of a known kind"));
    };
    if key.family() == AlgorithmFamily::Rsa && key.try_get_as_bytes().is_ok_and(|der| der.len() < MIN_RSA_DER) {
        return Err(wrong("is an RSA key of less than 2048 bits"));
    }
    Ok((key, algorithm))
}

/// Whether `key` can be used with `algorithm`. Reading the key itself is otherwise put off to the first token.
pub(super) fn check(key: &DecodingKey, algorithm: Algorithm) -> Result<(), ConfigError> {
    // Ed25519 keys are read without looking whether they are long enough.
    let is_whole = key.family() != AlgorithmFamily::Ed || key.try_get_as_bytes().is_ok_and(|key| key.len() == 32);
    let fits = is_whole
        && algorithm.is_for(key.family())
        && (rust_crypto::DEFAULT_PROVIDER.verifier_factory)(&algorithm.verified_as(), key).is_ok();
    if !fits {
        return Err(misfit(key.family(), algorithm));
    }
    let secret = key.try_get_as_bytes().map_or(0, <[u8]>::len);
    if key.family() == AlgorithmFamily::Hmac && secret < algorithm.least_secret() {
        return Err(ConfigError::new(format!("Jwt: secret has {secret} bytes and could be guessed")).cure(format!(
            "give at least {} random bytes for {algorithm:?}, such as the output of `openssl rand -base64 64`",
            algorithm.least_secret()
        )));
    }
    Ok(())
}

/// A key of this family is of no use to `algorithm`.
pub(super) fn misfit(family: AlgorithmFamily, algorithm: Algorithm) -> ConfigError {
    let cure = match family {
        AlgorithmFamily::Hmac => "a shared secret goes with HS256, HS384 and HS512; give a PEM key for others",
        AlgorithmFamily::Rsa => "an RSA key goes with RS256, RS384, RS512, PS256, PS384 and PS512",
        AlgorithmFamily::Ec => "a P-256 key goes with ES256, a P-384 key with ES384",
        AlgorithmFamily::Ed => "an Ed25519 key goes with EdDSA",
    };
    ConfigError::new(format!("Jwt: {algorithm:?} cannot be used with the key")).cure(cure)
}

/// Settles which cryptography verifies and signs.
///
/// jsonwebtoken panics at the first token when another crate of the program has switched on its second provider. A
/// provider that the program installed itself stays.
pub(super) fn use_this_crypto() {
    let _ = CryptoProvider::install_default(&rust_crypto::DEFAULT_PROVIDER);
}
