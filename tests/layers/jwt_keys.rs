//! Several issuers, several keys, and who may choose among them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm as Signed, EncodingKey, Header, encode};
use serde_json::{Value, json};
use ziggurat::layers::jwt::{Algorithm, Fault, Issuer, JwtLayer};

use crate::jwt::{EC, ED, ED_PUBLIC, RSA, RSA_PUBLIC, accepts, bearer, refusal, send};
use crate::support::{SECRET, claims, signed};

pub fn rsa() -> EncodingKey {
    EncodingKey::from_rsa_pem(RSA).unwrap()
}

pub fn ec() -> EncodingKey {
    EncodingKey::from_ec_pem(EC).unwrap()
}

pub fn ed() -> EncodingKey {
    EncodingKey::from_ed_pem(ED).unwrap()
}

/// The public half of `key` with `more` members; null takes one out.
pub fn jwk(key: &EncodingKey, algorithm: Signed, more: Value) -> Value {
    let mut jwk = serde_json::to_value(Jwk::from_encoding_key(key, algorithm).unwrap()).unwrap();
    for (name, value) in more.as_object().unwrap() {
        match value {
            Value::Null => jwk.as_object_mut().unwrap().remove(name),
            value => jwk.as_object_mut().unwrap().insert(name.clone(), value.clone()),
        };
    }
    jwk
}

pub fn set(keys: impl IntoIterator<Item = Value>) -> String {
    json!({ "keys": keys.into_iter().collect::<Vec<_>>() }).to_string()
}

/// A token signed with `key`, which it names `kid`.
pub fn by(key: &EncodingKey, algorithm: Signed, kid: Option<&str>, more: Value) -> String {
    let header = Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) };
    encode(&header, &claims(more), key).unwrap()
}

fn three() -> JwtLayer {
    JwtLayer::jwk_set(set([
        jwk(&rsa(), Signed::RS256, json!({"kid": "rsa", "use": "sig"})),
        jwk(&ec(), Signed::ES256, json!({"kid": "ec", "key_ops": ["verify"]})),
        jwk(&ed(), Signed::EdDSA, json!({"kid": "ed", "alg": null})),
    ]))
    .unwrap()
}

#[tokio::test]
async fn a_kid_chooses_among_the_keys_that_are_there() {
    for (key, algorithm, kid) in
        [(rsa(), Signed::RS256, "rsa"), (ec(), Signed::ES256, "ec"), (ed(), Signed::EdDSA, "ed")]
    {
        assert!(accepts(three(), &by(&key, algorithm, Some(kid), json!({}))).await, "{kid}");
        // Without one, whatever fits is tried.
        assert!(accepts(three(), &by(&key, algorithm, None, json!({}))).await, "{kid}");
        for other in ["", "RSA", "rsa ", "../rsa", "/dev/null", "' OR 1=1 --", "rsa\0", &"k".repeat(4000)] {
            assert_eq!(refusal(three(), bearer(&by(&key, algorithm, Some(other), json!({})))).await, Fault::Key);
        }
    }
    // The key of that name is of another kind.
    assert_eq!(refusal(three(), bearer(&by(&ec(), Signed::ES256, Some("rsa"), json!({})))).await, Fault::Algorithm);
    assert_eq!(refusal(three(), bearer(&by(&rsa(), Signed::RS512, Some("rsa"), json!({})))).await, Fault::Algorithm);
    let secret = signed(&claims(json!({})), &Header { kid: Some("rsa".into()), ..Header::default() }, RSA_PUBLIC);
    assert_eq!(refusal(three(), bearer(&secret)).await, Fault::Algorithm);
}

#[tokio::test]
async fn secrets_of_a_set_are_rotated_by_name() {
    let oct = |kid: &str, secret: &str| json!({"kty": "oct", "kid": kid, "k": URL_SAFE_NO_PAD.encode(secret)});
    let other = "another secret of the tests, which is long enough";
    let layer = || JwtLayer::jwk_set(set([oct("old", SECRET), oct("new", other)])).unwrap();
    let with = |kid: Option<&str>, secret: &str| {
        signed(&claims(json!({})), &Header { kid: kid.map(str::to_owned), ..Header::default() }, secret.as_bytes())
    };
    assert!(accepts(layer(), &with(Some("old"), SECRET)).await);
    assert!(accepts(layer(), &with(Some("new"), other)).await);
    assert!(accepts(layer(), &with(None, other)).await);
    assert_eq!(refusal(layer(), bearer(&with(Some("new"), SECRET))).await, Fault::Signature);
    assert_eq!(refusal(layer(), bearer(&with(None, "a secret that nobody has, and is long"))).await, Fault::Signature);
}

#[tokio::test]
async fn one_without_a_name_is_tried_with_few_keys() {
    let secret = |number: usize| format!("secret number {number} of the tests, long enough");
    let keys = (0..8).map(|n| json!({"kty": "oct", "kid": n.to_string(), "k": URL_SAFE_NO_PAD.encode(secret(n))}));
    let layer = JwtLayer::jwk_set(set(keys)).unwrap();
    let of = |number: usize| signed(&claims(json!({})), &Header::default(), secret(number).as_bytes());
    assert!(accepts(layer.clone(), &of(3)).await);
    assert!(!accepts(layer, &of(4)).await);
}

#[tokio::test]
async fn each_issuer_has_keys_algorithms_and_audiences_of_its_own() {
    let layer = || {
        let keys =
            set([jwk(&rsa(), Signed::RS256, json!({"kid": "1"})), jwk(&ec(), Signed::ES256, json!({"kid": "2"}))]);
        JwtLayer::issuers([
            Issuer::new("https://a.example").jwk_set(keys).unwrap().algorithms([Algorithm::RS256]).audience("a"),
            Issuer::new("https://b.example").name("b").public_key_pem(ED_PUBLIC).unwrap().audience("b"),
            Issuer::new("c").secret(SECRET).unwrap().algorithms([Algorithm::HS256, Algorithm::HS512]),
        ])
        .unwrap()
    };
    let a = |more: Value| by(&rsa(), Signed::RS256, Some("1"), more);
    let b = |more: Value| by(&ed(), Signed::EdDSA, None, more);
    let c = |more: Value| signed(&claims(more), &Header::new(Signed::HS512), SECRET.as_bytes());
    assert!(accepts(layer(), &a(json!({"iss": "https://a.example", "aud": "a"}))).await);
    assert!(accepts(layer(), &b(json!({"iss": "https://b.example", "aud": ["x", "b"]}))).await);
    assert!(accepts(layer(), &b(json!({"iss": "b", "aud": "b"}))).await);
    assert!(accepts(layer(), &c(json!({"iss": "c"}))).await);

    // Signed by one in the name of another.
    for forged in [
        b(json!({"iss": "https://a.example", "aud": "a"})),
        c(json!({"iss": "https://a.example", "aud": "a"})),
        c(json!({"iss": "b", "aud": "b"})),
    ] {
        assert_eq!(refusal(layer(), bearer(&forged)).await, Fault::Algorithm);
    }
    // With the other's audience, and with an algorithm that this one does not use.
    assert_eq!(refusal(layer(), bearer(&a(json!({"iss": "https://a.example", "aud": "b"})))).await, Fault::Claim);
    assert_eq!(refusal(layer(), bearer(&a(json!({"iss": "https://a.example"})))).await, Fault::Claim);
    let es = by(&ec(), Signed::ES256, Some("2"), json!({"iss": "https://a.example", "aud": "a"}));
    assert_eq!(refusal(layer(), bearer(&es)).await, Fault::Key);
    for iss in [json!(null), json!("https://d.example"), json!(""), json!(["c"]), json!(7), json!("https://a.example/")]
    {
        assert_eq!(refusal(layer(), bearer(&c(json!({ "iss": iss })))).await, Fault::Issuer);
    }
}

#[tokio::test]
async fn with_two_issuers_of_one_kind_the_wrong_one_is_told_by_its_signature() {
    let other = "another secret of the tests, which is long enough";
    let layer =
        JwtLayer::issuers([Issuer::new("a").secret(SECRET).unwrap(), Issuer::new("b").secret(other).unwrap()]).unwrap();
    let of = |iss: &str, secret: &str| signed(&claims(json!({ "iss": iss })), &Header::default(), secret.as_bytes());
    assert!(accepts(layer.clone(), &of("b", other)).await);
    assert_eq!(refusal(layer.clone(), bearer(&of("a", other))).await, Fault::Signature);
    assert_eq!(refusal(layer, bearer(&of("b", SECRET))).await, Fault::Signature);
}

#[tokio::test]
async fn what_a_set_has_besides_is_left_out() {
    let layer = JwtLayer::jwk_set(set([
        jwk(&rsa(), Signed::RS256, json!({"kid": "enc", "use": "enc"})),
        jwk(&rsa(), Signed::RS256, json!({"kid": "oaep", "alg": "RSA-OAEP"})),
        jwk(&rsa(), Signed::RS256, json!({"kid": "sign", "key_ops": ["sign"]})),
        json!({"kty": "EC", "crv": "secp256k1", "kid": "k1", "x": "AA", "y": "AA"}),
        json!({"kty": "future", "kid": "future"}),
        jwk(&ec(), Signed::ES256, json!({"kid": "ec", "x5t": "AA", "more": [1]})),
    ]))
    .unwrap();
    assert!(accepts(layer.clone(), &by(&ec(), Signed::ES256, Some("ec"), json!({}))).await);
    for kid in ["enc", "oaep", "sign"] {
        let token = by(&rsa(), Signed::RS256, Some(kid), json!({}));
        assert_eq!(send(layer.clone(), bearer(&token)).await.status(), 401, "{kid}");
    }
}

#[test]
fn sets_and_issuers_that_are_no_good_are_refused_with_a_cure() {
    let weak = json!({"kty": "RSA", "kid": "weak", "n": URL_SAFE_NO_PAD.encode([0xff; 128]), "e": "AQAB"});
    let huge = json!({"kty": "RSA", "kid": "huge", "n": URL_SAFE_NO_PAD.encode([0xff; 1024]), "e": "AQAB"});
    let padded = {
        let mut n = vec![0; 200];
        n.extend([0xff; 128]);
        json!({"kty": "RSA", "kid": "padded", "n": URL_SAFE_NO_PAD.encode(n), "e": "AQAB"})
    };
    let good = || jwk(&rsa(), Signed::RS256, json!({"kid": "1"}));
    let named = |name: &str| Issuer::new(name).secret(SECRET).unwrap();
    let of_set = |keys: Vec<Value>| JwtLayer::jwk_set(set(keys)).map(|_| ());
    for (result, says) in [
        (JwtLayer::jwk_set("nonsense").map(|_| ()), "jwks is no JWK Set"),
        (JwtLayer::jwk_set("[]").map(|_| ()), "jwks is no JWK Set"),
        (of_set(vec![]), "no key that checks signatures"),
        (of_set(vec![jwk(&rsa(), Signed::RS256, json!({"use": "enc"}))]), "no key that checks signatures"),
        (of_set(vec![good(); 65]), "more than 64"),
        (of_set(vec![good(), weak]), "\"weak\" of jwks is an RSA key of less than 2048 bits"),
        (of_set(vec![padded]), "less than 2048"),
        (of_set(vec![huge]), "more than 4096"),
        (of_set(vec![jwk(&rsa(), Signed::RS256, json!({"kid": "p", "d": "AQ"}))]), "\"p\" of jwks is private"),
        (of_set(vec![jwk(&rsa(), Signed::RS256, json!({"alg": "ES256"}))]), "does not fit its alg"),
        (of_set(vec![jwk(&ed(), Signed::EdDSA, json!({"x": "AA"}))]), "does not fit its alg"),
        (of_set(vec![jwk(&ec(), Signed::ES256, json!({"x": "AA"}))]), "does not fit its alg"),
        (of_set(vec![json!({"kty": "oct", "k": "AAAA"})]), "could be guessed"),
        (of_set(vec![json!({"kty": "RSA", "kid": 7})]), "malformed"),
        (JwtLayer::issuers([]).map(|_| ()), "issuers is empty"),
        (JwtLayer::issuers([Issuer::new("a")]).map(|_| ()), "the issuer \"a\" has no key"),
        (JwtLayer::issuers([named("a"), named("b").name("a")]).map(|_| ()), "\"a\" is there twice"),
        (JwtLayer::issuers([named("a"), Issuer::default().secret(SECRET).unwrap()]).map(|_| ()), "has no name"),
        (JwtLayer::issuers([named("a").algorithms([])]).map(|_| ()), "algorithms is empty"),
        (JwtLayer::issuers([named("a").algorithms([Algorithm::ES256])]).map(|_| ()), "ES256 cannot be used"),
        (
            JwtLayer::jwk_set(set([good()])).unwrap().algorithms([Algorithm::RS512]).map(|_| ()),
            "RS512 can be used with no key",
        ),
    ] {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(says) && error.contains("; "), "{says}: {error}");
    }
    assert!(!format!("{:?}", named("a")).contains("secret of the tests"));
}
