//! Tokens that hold, and every way known to forge one.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use jsonwebtoken::{Algorithm as Signed, EncodingKey, Header, encode, get_current_timestamp};
use serde_json::{Value, json};
use tower::{ServiceExt, service_fn};
use tower_layer::Layer;
use ziggurat::layers::jwt::{Algorithm, Claims, Fault, JwtLayer, RequireAuth};
use ziggurat::{Body, Request, Response};

use crate::support::{SECRET, claims, problem, signed, text, token};

pub const RSA: &[u8] = include_bytes!("keys/rsa.pem");
pub const RSA_PUBLIC: &[u8] = include_bytes!("keys/rsa.pub.pem");
pub const EC: &[u8] = include_bytes!("keys/ec.pem");
pub const EC_PUBLIC: &[u8] = include_bytes!("keys/ec.pub.pem");
pub const ED: &[u8] = include_bytes!("keys/ed.pem");
pub const ED_PUBLIC: &[u8] = include_bytes!("keys/ed.pub.pem");

pub fn layer() -> JwtLayer {
    JwtLayer::secret(SECRET).unwrap()
}

pub async fn send(layer: impl Layer<Inner, Service: Answers>, headers: HeaderMap) -> Response {
    let inner: Inner = service_fn(|request: Request| {
        let claims = request.extensions().get::<Claims>().cloned();
        std::future::ready(Ok(Response::new(Body::from(match claims {
            Some(claims) => claims.as_json().to_owned(),
            None => "no claims".to_owned(),
        }))))
    });
    let mut request = Request::new(Body::empty());
    *request.headers_mut() = headers;
    layer.layer(inner).oneshot(request).await.unwrap()
}

pub type Inner = tower::util::ServiceFn<fn(Request) -> std::future::Ready<Result<Response, std::convert::Infallible>>>;
use tower::Service;
pub trait Answers: Service<Request, Response = Response, Error = std::convert::Infallible> {}
impl<S: Service<Request, Response = Response, Error = std::convert::Infallible>> Answers for S {}

pub fn bearer(token: &str) -> HeaderMap {
    authorization(&format!("Bearer {token}"))
}

pub fn authorization(value: &str) -> HeaderMap {
    HeaderMap::from_iter([(http::header::AUTHORIZATION, value.parse().unwrap())])
}

pub async fn accepts(layer: JwtLayer, token: &str) -> bool {
    let response = send(layer, bearer(token)).await;
    assert!([200, 401].contains(&response.status().as_u16()));
    response.status() == 200
}

/// The one refusal that all bad tokens get; tells which fault it was, as layers outside can.
pub async fn refusal(layer: JwtLayer, headers: HeaderMap) -> Fault {
    let response = send(layer, headers).await;
    assert_eq!(response.status(), 401);
    assert_eq!(response.headers()["www-authenticate"], "Bearer error=\"invalid_token\"");
    let fault = *response.extensions().get::<Fault>().unwrap();
    assert_eq!(
        problem(response).await,
        json!({
            "type": "https://ziggurat.dev/e/unauthorized", "title": "Not authenticated", "status": 401,
            "detail": "the bearer token is not valid"
        })
    );
    fault
}

/// A token of any header and any signature.
pub fn forged(header: &Value, claims: &Value, signature: &[u8]) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{}", part(header), part(claims), URL_SAFE_NO_PAD.encode(signature))
}

/// A token with any header, signed with our own secret.
fn signed_with_header(header: &Value) -> String {
    let parts = forged(header, &claims(json!({})), b"");
    let message = parts.rsplit_once('.').unwrap().0;
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    format!("{message}.{}", jsonwebtoken::crypto::sign(message.as_bytes(), &key, Signed::HS256).unwrap())
}

#[tokio::test]
async fn a_good_token_hands_its_claims_inward() {
    let token = token(json!({"role": "builder"}));
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let response = send(layer(), authorization(&format!("{scheme} {token}"))).await;
        let seen: Value = serde_json::from_str(&text(response).await).unwrap();
        assert_eq!((&seen["sub"], &seen["role"]), (&json!("ann"), &json!("builder")));
    }
}

#[tokio::test]
async fn every_allowed_algorithm_verifies() {
    let hmac =
        [(Signed::HS256, Algorithm::HS256), (Signed::HS384, Algorithm::HS384), (Signed::HS512, Algorithm::HS512)];
    for (sign, algorithm) in hmac {
        let token = signed(&claims(json!({})), &Header::new(sign), SECRET.as_bytes());
        assert!(accepts(layer().algorithms([algorithm]).unwrap(), &token).await, "{algorithm:?}");
        assert!(accepts(layer().algorithms(hmac.map(|(_, all)| all)).unwrap(), &token).await);
    }
    for (public, private, sign) in [
        (RSA_PUBLIC, EncodingKey::from_rsa_pem(RSA).unwrap(), Signed::RS256),
        (EC_PUBLIC, EncodingKey::from_ec_pem(EC).unwrap(), Signed::ES256),
        (ED_PUBLIC, EncodingKey::from_ed_pem(ED).unwrap(), Signed::EdDSA),
    ] {
        let token = encode(&Header::new(sign), &claims(json!({})), &private).unwrap();
        assert!(accepts(JwtLayer::public_key_pem(public).unwrap(), &token).await, "{sign:?}");
        let mut broken = token.into_bytes();
        let end = broken.len() - 10;
        broken[end] = if broken[end] == b'A' { b'B' } else { b'A' };
        let broken = String::from_utf8(broken).unwrap();
        assert_eq!(refusal(JwtLayer::public_key_pem(public).unwrap(), bearer(&broken)).await, Fault::Signature);
    }
}

#[tokio::test]
async fn without_a_token_it_depends() {
    let response = send(layer(), HeaderMap::new()).await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()["www-authenticate"]),
        (401, &"Bearer".parse().unwrap())
    );
    assert_eq!(response.extensions().get(), Some(&Fault::Missing));
    let optional = || layer().required(false);
    assert_eq!(text(send(optional(), HeaderMap::new()).await).await, "no claims");
    assert_eq!(text(send(optional(), authorization("Basic dTpw")).await).await, "no claims");
    assert_eq!(send(layer(), authorization("Basic dTpw")).await.status(), 401);
    refusal(optional(), bearer("a.b.c")).await;
}

#[tokio::test]
async fn an_unsigned_token_is_refused() {
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        for signature in [&b""[..], b"x"] {
            let token = forged(&json!({"alg": alg, "typ": "JWT"}), &claims(json!({})), signature);
            refusal(layer(), bearer(&token)).await;
            refusal(JwtLayer::public_key_pem(RSA_PUBLIC).unwrap(), bearer(&token)).await;
        }
    }
    refusal(layer(), bearer(&forged(&json!({"typ": "JWT"}), &claims(json!({})), b""))).await;
    // The signature of a good token cut off.
    let good = token(json!({}));
    refusal(layer(), bearer(good.rsplit_once('.').unwrap().0)).await;
    refusal(layer(), bearer(&format!("{}.", good.rsplit_once('.').unwrap().0))).await;
}

#[tokio::test]
async fn a_public_key_is_never_a_secret() {
    // Signed by HMAC with the public key's bytes, as published and without the PEM around it.
    let der = {
        let text: String = std::str::from_utf8(RSA_PUBLIC).unwrap().lines().filter(|l| !l.starts_with('-')).collect();
        base64::engine::general_purpose::STANDARD.decode(text).unwrap()
    };
    for secret in [RSA_PUBLIC, &der] {
        let token = signed(&claims(json!({})), &Header::new(Signed::HS256), secret);
        for public in [RSA_PUBLIC, EC_PUBLIC, ED_PUBLIC] {
            assert_eq!(refusal(JwtLayer::public_key_pem(public).unwrap(), bearer(&token)).await, Fault::Algorithm);
        }
    }
    assert!(JwtLayer::secret(RSA_PUBLIC).unwrap_err().to_string().contains("public_key_pem"));
}

#[tokio::test]
async fn only_the_listed_algorithms_count() {
    let token = signed(&claims(json!({})), &Header::new(Signed::HS512), SECRET.as_bytes());
    assert_eq!(refusal(layer(), bearer(&token)).await, Fault::Algorithm);
    let key = EncodingKey::from_rsa_pem(RSA).unwrap();
    let token = encode(&Header::new(Signed::RS512), &claims(json!({})), &key).unwrap();
    assert_eq!(refusal(JwtLayer::public_key_pem(RSA_PUBLIC).unwrap(), bearer(&token)).await, Fault::Algorithm);
}

#[tokio::test]
async fn a_token_does_not_choose_its_key() {
    // Signed by the attacker, with the attacker's key or where to find it.
    for extra in [
        json!({"kid": "../../dev/null"}),
        json!({"kid": "' UNION SELECT 'key"}),
        json!({"jwk": {"kty": "oct", "k": URL_SAFE_NO_PAD.encode("attacker")}}),
        json!({"jku": "https://attacker.example/keys"}),
        json!({"x5u": "https://attacker.example/cert", "x5c": ["MIIB"]}),
    ] {
        let mut header = json!({"alg": "HS256"});
        header.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let unsigned = forged(&header, &claims(json!({})), b"");
        let message = unsigned.rsplit_once('.').unwrap().0;
        for secret in ["attacker", ""] {
            let key = EncodingKey::from_secret(secret.as_bytes());
            let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Signed::HS256).unwrap();
            refusal(layer(), bearer(&format!("{message}.{signature}"))).await;
        }
    }
    // Beside a good signature they are looked over.
    assert!(
        accepts(layer(), &signed_with_header(&json!({"alg": "HS256", "kid": "7", "jku": "https://x.example"}))).await
    );
}

#[tokio::test]
async fn what_is_critical_is_refused() {
    for crit in [json!(["exp"]), json!(["b64"]), json!([])] {
        let token = signed_with_header(&json!({"alg": "HS256", "crit": crit, "b64": false}));
        assert_eq!(refusal(layer(), bearer(&token)).await, Fault::Critical);
    }
}

#[tokio::test]
async fn times_are_checked_with_leeway() {
    let now = get_current_timestamp();
    let with = |more: Value| token(more);
    assert!(accepts(layer(), &with(json!({"exp": now - 25}))).await);
    assert!(!accepts(layer().leeway(Duration::ZERO), &with(json!({"exp": now - 25}))).await);
    assert_eq!(refusal(layer(), bearer(&with(json!({"exp": now - 40})))).await, Fault::Expired);
    assert!(accepts(layer(), &with(json!({"nbf": now + 20}))).await);
    assert_eq!(refusal(layer(), bearer(&with(json!({"nbf": now + 60})))).await, Fault::NotYetValid);
    for bad in
        [json!({"exp": null}), json!({"exp": "tomorrow"}), json!({"exp": -1}), json!({"exp": []}), json!({"nbf": "x"})]
    {
        assert_eq!(refusal(layer(), bearer(&with(bad))).await, Fault::Claim);
    }
}

#[tokio::test]
async fn issuer_and_audience_must_match_when_set() {
    let strict = || layer().issuer("https://id.example").issuer("https://old.example").audience("tower");
    assert!(accepts(strict(), &token(json!({"iss": "https://old.example", "aud": ["x", "tower"]}))).await);
    for bad in [
        json!({}),
        json!({"iss": "https://id.example"}),
        json!({"aud": "tower"}),
        json!({"iss": "https://id.example.evil", "aud": "tower"}),
        json!({"iss": "https://id.example", "aud": "towers"}),
        json!({"iss": 1, "aud": "tower"}),
        json!({"iss": "https://id.example", "aud": []}),
    ] {
        assert_eq!(refusal(strict(), bearer(&token(bad.clone()))).await, Fault::Claim, "{bad}");
    }
    // RFC 7519, 4.1.3: a token for someone is not for those who are not named.
    assert_eq!(refusal(layer(), bearer(&token(json!({"aud": "someone"})))).await, Fault::Claim);
    assert_eq!(refusal(layer(), bearer(&token(json!({"sub": 7})))).await, Fault::Claim);
}

#[tokio::test]
async fn malformed_headers_and_tokens_are_refused() {
    let good = token(json!({}));
    let mut twice = bearer(&good);
    twice.append("authorization", format!("Bearer {good}").parse().unwrap());
    assert_eq!(refusal(layer(), twice).await, Fault::Malformed);
    for bad in [
        "Bearer",
        "Bearer ",
        &format!("Bearer {good} {good}"),
        &format!("Bearer {good},{good}"),
        "Bearer .",
        "Bearer ....",
    ] {
        refusal(layer(), authorization(bad)).await;
    }
    assert_eq!(refusal(layer(), bearer(&"x".repeat(8193))).await, Fault::TooLong);
    let long = token(json!({"x": "y".repeat(7000)}));
    assert_eq!(refusal(layer(), bearer(&long)).await, Fault::TooLong);
    let (head, rest) = good.split_once('.').unwrap();
    for bad in [format!("{head}=.{rest}"), format!("{good}="), format!(" .{good}"), format!("{good}\u{e9}")] {
        let value = http::HeaderValue::from_bytes(format!("Bearer {bad}").as_bytes()).unwrap();
        refusal(layer(), HeaderMap::from_iter([(http::header::AUTHORIZATION, value)])).await;
    }
}

#[tokio::test]
async fn a_guard_asks_for_claims_and_all_scopes() {
    let guarded = |guard: RequireAuth| (layer().required(false), guard);
    let open = send(tower_layer::Stack::new(RequireAuth::new(), layer().required(false)), HeaderMap::new()).await;
    assert_eq!((open.status().as_u16(), &open.headers()["www-authenticate"]), (401, &"Bearer".parse().unwrap()));

    let (jwt, guard) = guarded(RequireAuth::new().scopes(["users:read", "users:write"]));
    let stack = || tower_layer::Stack::new(guard.clone(), jwt.clone());
    assert_eq!(send(stack(), bearer(&token(json!({"scope": "users:write users:read x"})))).await.status(), 200);
    assert_eq!(send(stack(), bearer(&token(json!({"scp": ["users:write", "users:read"]})))).await.status(), 200);
    let lacking = send(stack(), bearer(&token(json!({"scope": "users:read"})))).await;
    assert_eq!(lacking.extensions().get(), Some(&ziggurat::layers::guard::Refusal::Scope));
    assert_eq!(lacking.status(), 403);
    assert_eq!(
        lacking.headers()["www-authenticate"],
        "Bearer error=\"insufficient_scope\", scope=\"users:read users:write\""
    );
    assert_eq!(problem(lacking).await["type"], "https://ziggurat.dev/e/insufficient_scope");
    // A bad token is told apart from a missing one even here.
    let bad = send(stack(), bearer("a.b.c")).await;
    assert_eq!(bad.headers()["www-authenticate"], "Bearer error=\"invalid_token\"");
}

#[test]
fn keys_that_are_no_good_are_refused_with_a_cure() {
    let weak: &[u8] = include_bytes!("keys/rsa1024.pub.pem");
    for (result, named) in [
        (JwtLayer::secret("short"), "random bytes"),
        (JwtLayer::secret([7; 31]), "31 bytes"),
        (JwtLayer::secret([7; 32]).and_then(|jwt| jwt.algorithms([Algorithm::HS512])), "64"),
        (JwtLayer::public_key_pem("nonsense"), "public_key_pem"),
        (JwtLayer::public_key_pem(RSA), "private"),
        (JwtLayer::public_key_pem(weak), "2048"),
        (layer().algorithms([]), "algorithms"),
        (layer().algorithms([Algorithm::HS256, Algorithm::RS256]), "RS256"),
        (
            JwtLayer::public_key_pem(RSA_PUBLIC).and_then(|jwt| jwt.algorithms([Algorithm::RS256, Algorithm::HS256])),
            "HS256",
        ),
        (JwtLayer::public_key_pem(EC_PUBLIC).and_then(|jwt| jwt.algorithms([Algorithm::ES384])), "ES384"),
    ] {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(named) && error.contains("; "), "{error}");
    }
    assert!(!format!("{:?}", layer()).contains("secret of the tests"));
}
