//! JWK Sets (RFC 7517).

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{DecodingKey, DecodingKeyKind};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Algorithm;
use super::key::{self, Key};
use crate::ConfigError;

/// No issuer has more, and each costs memory and time.
const MAX_KEYS: usize = 64;

/// Why a key of a set is not used.
#[derive(Debug, PartialEq)]
pub(super) enum Unused {
    /// It is for something else, or of a kind that is not known here: other programs may need it.
    Other,
    /// It should not be in the set at all.
    Wrong(&'static str),
}

/// A key, or why it is not used and what it is called.
pub(super) type Read = Result<Key, (Option<String>, Unused)>;

/// The keys of a set; none when it is no set.
pub(super) fn read(json: &str) -> Result<Vec<Read>, &'static str> {
    #[derive(Deserialize)]
    struct Set<'a> {
        #[serde(borrow)]
        keys: Vec<&'a RawValue>,
    }
    key::use_this_crypto();
    let set: Set<'_> = serde_json::from_str(json).map_err(|_| "is no JWK Set")?;
    if set.keys.len() > MAX_KEYS {
        return Err("has more than 64 keys");
    }
    Ok(set.keys.into_iter().map(|jwk| one(jwk.get())).collect())
}

/// The keys of a set that was configured: what is wrong in there is a mistake.
pub(super) fn given(json: &str) -> Result<Vec<Key>, ConfigError> {
    let cure = "give the text that the issuer publishes, which is {\"keys\": [...]}";
    let read = read(json).map_err(|what| ConfigError::new(format!("Jwt: jwks {what}")).cure(cure))?;
    let mut keys = Vec::with_capacity(read.len());
    for key in read {
        match key {
            Ok(key) => keys.push(key),
            Err((_, Unused::Other)) => {}
            Err((id, Unused::Wrong(what))) => {
                let id = id.unwrap_or_default();
                return Err(ConfigError::new(format!("Jwt: the key {id:?} of jwks {what}"))
                    .cure("have it replaced, or leave it out"));
            }
        }
    }
    if keys.is_empty() {
        return Err(ConfigError::new("Jwt: jwks has no key that checks signatures").cure(cure));
    }
    Ok(keys)
}

fn one(json: &str) -> Read {
    /// What is asked of the key before anything else.
    #[derive(Deserialize)]
    struct Known {
        kid: Option<String>,
        alg: Option<String>,
        d: Option<serde::de::IgnoredAny>,
    }
    let Ok(known) = serde_json::from_str::<Known>(json) else { return Err((None, Unused::Wrong("is malformed"))) };
    let id = known.kid;
    if known.d.is_some() {
        return Err((id, Unused::Wrong("is private; who has it signs tokens")));
    }
    match public(json, known.alg.as_deref()) {
        Ok((decoding, usual, pinned)) => Ok(Key { id, decoding, usual, pinned }),
        Err(unused) => Err((id, unused)),
    }
}

fn public(json: &str, alg: Option<&str>) -> Result<(DecodingKey, Algorithm, bool), Unused> {
    let jwk: Jwk = serde_json::from_str(json).map_err(|_| Unused::Wrong("is malformed"))?;
    let of_signatures = match &jwk.common.public_key_use {
        Some(purpose) => *purpose == PublicKeyUse::Signature,
        None => true,
    };
    let verifies = jwk.common.key_operations.as_ref().is_none_or(|all| all.contains(&KeyOperations::Verify));
    if !of_signatures || !verifies {
        return Err(Unused::Other);
    }
    let usual = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::EllipticCurve(key) => match key.curve {
            EllipticCurve::P256 => Algorithm::ES256,
            EllipticCurve::P384 => Algorithm::ES384,
            _ => return Err(Unused::Other),
        },
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => Algorithm::EdDSA,
        AlgorithmParameters::OctetKey(_) => Algorithm::HS256,
        _ => return Err(Unused::Other),
    };
    let (usual, is_pinned) = match alg {
        None => (usual, false),
        Some(alg) => (Algorithm::named(alg).ok_or(Unused::Other)?, true),
    };
    let decoding = DecodingKey::from_jwk(&jwk).map_err(|_| Unused::Wrong("is malformed"))?;
    if let DecodingKeyKind::RsaModulusExponent { n, .. } = decoding.kind() {
        let bits = n.iter().skip_while(|byte| **byte == 0).count() * 8;
        if bits < 2048 {
            return Err(Unused::Wrong("is an RSA key of less than 2048 bits"));
        }
        if bits > 4096 {
            return Err(Unused::Wrong("is an RSA key of more than 4096 bits"));
        }
    }
    if key::check(&decoding, usual).is_err() {
        return Err(Unused::Wrong(if decoding.family() == jsonwebtoken::AlgorithmFamily::Hmac {
            "is a secret that could be guessed, or not for its alg"
        } else {
            "does not fit its alg"
        }));
    }
    Ok((decoding, usual, is_pinned))
}
