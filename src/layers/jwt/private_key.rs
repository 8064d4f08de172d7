//! Keys that tokens are signed with.

use jsonwebtoken::EncodingKey;
use jsonwebtoken::crypto::rust_crypto::DEFAULT_PROVIDER;
use jsonwebtoken::jwk::EllipticCurve;

use super::Algorithm;
use crate::ConfigError;

/// The private key in `pem`, and the algorithm that its kind is used with.
pub(super) fn from_pem(pem: &[u8]) -> Result<(EncodingKey, Algorithm), ConfigError> {
    let has = |words: &[u8]| pem.windows(words.len()).any(|part| part == words);
    let wrong = |what: &str, cure: &str| ConfigError::new(format!("Jwt: the key to sign with {what}")).cure(cure);
    if !has(b"PRIVATE KEY") {
        return Err(wrong(
            "holds no private key",
            "give the private half: with the public one tokens are checked, and whoever has that must not sign",
        ));
    }
    if has(b"ENCRYPTED") {
        return Err(wrong(
            "is encrypted",
            "give what `openssl pkey -in key.pem` prints, from a place that keeps secrets",
        ));
    }
    if has(b"BEGIN EC PRIVATE KEY") {
        return Err(wrong("is no PKCS#8 key", "give what `openssl pkcs8 -topk8 -nocrypt -in key.pem` prints"));
    }
    let utils = &DEFAULT_PROVIDER.key_utils;
    if let Ok(key) = EncodingKey::from_rsa_pem(pem)
        && let Ok((modulus, _)) = (utils.rsa_pub_components_from_private_key)(key.as_bytes())
    {
        if modulus.iter().skip_while(|byte| **byte == 0).count() * 8 < 2048 {
            return Err(wrong(
                "is an RSA key of less than 2048 bits",
                "make one with `openssl genpkey -algorithm ed25519`",
            ));
        }
        return Ok((key, Algorithm::RS256));
    }
    if let Ok(key) = EncodingKey::from_ec_pem(pem) {
        let is_of = |algorithm: &Algorithm| {
            (utils.ec_pub_components_from_private_key)(key.as_bytes(), algorithm.verified_as()).is_ok()
        };
        if let Some(algorithm) = [Algorithm::ES256, Algorithm::ES384].into_iter().find(is_of) {
            return Ok((key, algorithm));
        }
    }
    if let Ok(key) = EncodingKey::from_ed_pem(pem)
        && (utils.ed_pub_components_from_private_key)(key.as_bytes(), &EllipticCurve::Ed25519).is_ok()
    {
        return Ok((key, Algorithm::EdDSA));
    }
    Err(wrong(
        "is no PEM private key of a known kind",
        "give an RSA, P-256, P-384 or Ed25519 key that begins with -----BEGIN PRIVATE KEY-----",
    ))
}
