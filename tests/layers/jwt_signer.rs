//! Tokens that an app signs itself, as the layer verifies them.

use std::time::Duration;

use jsonwebtoken::{DecodingKey, Validation, decode, decode_header, get_current_timestamp};
use serde_json::{Value, json};
use ziggurat::layers::jwt::{Algorithm, Fault, Issuer, JwtLayer, SignError, Signer};

use crate::jwt::{EC, EC_PUBLIC, ED, ED_PUBLIC, RSA, RSA_PUBLIC, accepts, bearer, refusal, send};
use crate::jwt_keys::{ec, ed, jwk, rsa, set};
use crate::support::{SECRET, text};

const EC_384: &[u8] = include_bytes!("keys/ec384.pem");
const EC_384_PUBLIC: &[u8] = include_bytes!("keys/ec384.pub.pem");
const RSA_1024: &[u8] = include_bytes!("keys/rsa1024.pem");
const MINUTE: Duration = Duration::from_secs(60);

fn pem(key: &[u8]) -> Signer {
    Signer::private_key_pem(key).unwrap().expires_in(MINUTE)
}

fn secret() -> Signer {
    Signer::secret(SECRET).unwrap().expires_in(MINUTE)
}

#[tokio::test]
async fn what_is_signed_with_each_kind_of_key_is_verified_with_its_other_half() {
    let public = |pem: &[u8]| JwtLayer::public_key_pem(pem).unwrap();
    for (signer, layer, algorithm) in [
        (secret(), JwtLayer::secret(SECRET).unwrap(), Algorithm::HS256),
        (pem(RSA), public(RSA_PUBLIC), Algorithm::RS256),
        (pem(EC), public(EC_PUBLIC), Algorithm::ES256),
        (pem(EC_384), public(EC_384_PUBLIC), Algorithm::ES384),
        (pem(ED), public(ED_PUBLIC), Algorithm::EdDSA),
    ] {
        let before = get_current_timestamp();
        let token = signer.sign(&json!({"sub": "ann", "roles": ["editor"], "n": 2.50})).unwrap();
        assert_eq!(format!("{:?}", decode_header(&token).unwrap().alg), format!("{algorithm:?}"));
        let seen = text(send(layer.clone(), bearer(&token)).await).await;
        let seen: Value = serde_json::from_str(&seen).unwrap();
        assert_eq!((&seen["sub"], &seen["roles"], &seen["n"]), (&json!("ann"), &json!(["editor"]), &json!(2.5)));
        let now = seen["iat"].as_u64().unwrap();
        assert!((before..before + 5).contains(&now), "{seen}");
        assert_eq!(seen["exp"], now + 60);
        // One of another key is not.
        let forged = Signer::secret([7; 64]).unwrap().expires_in(MINUTE).sign(&json!({"sub": "ann"})).unwrap();
        refusal(layer, bearer(&forged)).await;
    }
}

#[tokio::test]
async fn other_algorithms_of_the_same_key_are_asked_for() {
    for algorithm in [Algorithm::HS384, Algorithm::HS512] {
        let token = secret().algorithm(algorithm).unwrap().sign(&json!({})).unwrap();
        assert!(accepts(JwtLayer::secret(SECRET).unwrap().algorithms([algorithm]).unwrap(), &token).await);
        assert!(!accepts(JwtLayer::secret(SECRET).unwrap(), &token).await);
    }
    for algorithm in [Algorithm::RS384, Algorithm::RS512, Algorithm::PS256, Algorithm::PS384, Algorithm::PS512] {
        let token = pem(RSA).algorithm(algorithm).unwrap().sign(&json!({})).unwrap();
        assert!(accepts(JwtLayer::public_key_pem(RSA_PUBLIC).unwrap().algorithms([algorithm]).unwrap(), &token).await);
    }
}

#[tokio::test]
async fn a_kid_says_which_key_of_several_it_was() {
    use jsonwebtoken::Algorithm as Signed;
    let keys = set([
        jwk(&rsa(), Signed::RS256, json!({"kid": "a"})),
        jwk(&ec(), Signed::ES256, json!({"kid": "b"})),
        jwk(&ed(), Signed::EdDSA, json!({"kid": "c"})),
    ]);
    let layer =
        || JwtLayer::issuers([Issuer::new("https://id.example").jwk_set(&keys).unwrap().audience("api")]).unwrap();
    let claims = json!({"iss": "https://id.example", "aud": ["api", "other"]});
    for (key, kid) in [(RSA, "a"), (EC, "b"), (ED, "c")] {
        assert!(accepts(layer(), &pem(key).key_id(kid).sign(&claims).unwrap()).await, "{kid}");
    }
    assert_eq!(refusal(layer(), bearer(&pem(ED).key_id("d").sign(&claims).unwrap())).await, Fault::Key);
    assert_eq!(refusal(layer(), bearer(&pem(ED).key_id("a").sign(&claims).unwrap())).await, Fault::Algorithm);
}

#[test]
fn claims_say_when_a_token_expires_or_the_signer_does() {
    let unlimited = Signer::secret(SECRET).unwrap();
    assert_eq!(unlimited.sign(&json!({"sub": "ann"})).unwrap_err(), SignError::NoExpiry);
    let at = get_current_timestamp() + 7;
    for signer in [unlimited, secret()] {
        let token = signer.sign(&json!({"exp": at})).unwrap();
        let validation = Validation::default();
        let claims = decode::<Value>(&token, &DecodingKey::from_secret(SECRET.as_bytes()), &validation).unwrap().claims;
        assert_eq!(claims["exp"], at);
    }
    // A part of a second is a whole one, so that no token is too old when it is made.
    let short = Signer::secret(SECRET).unwrap().expires_in(Duration::from_millis(1)).sign(&json!({})).unwrap();
    let part = jsonwebtoken::dangerous::insecure_decode::<Value>(&short).unwrap().claims;
    assert_eq!(part["exp"].as_u64().unwrap(), part["iat"].as_u64().unwrap() + 1);
}

#[test]
fn claims_that_would_be_refused_are_not_signed() {
    for (claims, says) in [
        (json!({"sub": 7}), "the claim sub has to be a text"),
        (json!({"iss": ["a"]}), "the claim iss has to be a text"),
        (json!({"jti": null}), "the claim jti has to be a text"),
        (json!({"aud": {"a": 1}}), "the claim aud has to be a text or a list of texts"),
        (json!({"aud": ["a", 1]}), "the claim aud has to be a text or a list of texts"),
        (json!({"exp": "2027-01-01"}), "the claim exp has to be a number of seconds since 1970"),
        (json!({"nbf": true}), "the claim nbf has to be a number"),
        (json!({"iat": -1}), "the claim iat has to be a number"),
        (json!({"scope": 1}), "the claim scope has to be"),
        (json!({"scopes": [1]}), "the claim scopes has to be"),
        (json!(["sub"]), "the claims of a token are a JSON object"),
        (json!("sub"), "the claims of a token are a JSON object"),
    ] {
        let error = secret().sign(&claims).unwrap_err().to_string();
        assert!(error.contains(says), "{claims}: {error}");
    }
}

#[test]
fn keys_that_cannot_sign_are_refused_with_a_cure() {
    let header = |kind: &str| format!("-----BEGIN {kind} KEY-----\nAAAA\n-----END {kind} KEY-----\n");
    for (result, says, cure) in [
        (Signer::secret("short"), "secret has 5 bytes", "at least 32 random bytes"),
        (Signer::secret(RSA), "is a PEM key", "private key"),
        (Signer::private_key_pem(RSA_PUBLIC), "holds no private key", "the private half"),
        (Signer::private_key_pem(header("ENCRYPTED PRIVATE")), "is encrypted", "openssl pkey"),
        (Signer::private_key_pem(header("EC PRIVATE")), "is no PKCS#8 key", "openssl pkcs8"),
        (Signer::private_key_pem(header("PRIVATE")), "of a known kind", "Ed25519"),
        (Signer::private_key_pem(RSA_1024), "less than 2048 bits", "openssl genpkey"),
        (Signer::secret([7; 32]).unwrap().algorithm(Algorithm::HS512), "secret has 32 bytes", "at least 64"),
        (secret().algorithm(Algorithm::RS256), "RS256 cannot be used with the key", "HS256, HS384 and HS512"),
        (pem(RSA).algorithm(Algorithm::HS256), "HS256 cannot be used with the key", "RS256"),
        (pem(EC).algorithm(Algorithm::ES384), "ES384 cannot be used with the key", "a P-256 key goes with ES256"),
        (pem(ED).algorithm(Algorithm::ES256), "ES256 cannot be used with the key", "EdDSA"),
    ] {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(says) && error.split_once("; ").unwrap().1.contains(cure), "{error}");
    }
    assert!(!format!("{:?}", secret()).contains("secret of"));
}
