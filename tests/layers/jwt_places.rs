//! Where tokens may be, how long they may be, and what is asked of all of them.

use std::convert::Infallible;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderName, HeaderValue};
use jsonwebtoken::Header;
use serde_json::{Value, json};
use tower::{ServiceBuilder, ServiceExt, service_fn};
use tower_layer::Layer;
use ziggurat::layers::jwt::{CredentialSource, Fault, JwtLayer, RequireAuth, Requirement};
use ziggurat::{Body, Request, Response};

use crate::jwt::{authorization, bearer, layer, refusal, send};
use crate::support::{SECRET, claims, log, problem, signed, text, token};

fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
    let pair =
        |(name, value): &(&'static str, &str)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    let mut headers = HeaderMap::new();
    for (name, value) in all.iter().map(pair) {
        headers.append(name, value);
    }
    headers
}

async fn subject(layer: JwtLayer, headers: HeaderMap) -> Value {
    let seen = text(send(layer, headers).await).await;
    serde_json::from_str::<Value>(&seen).map_or(Value::String(seen), |claims| claims["sub"].clone())
}

fn of(subject: &str) -> String {
    token(json!({ "sub": subject }))
}

#[tokio::test]
async fn the_first_place_that_has_a_token_counts() {
    let layer = || anywhere().required(false);
    let (one, two, three) = (of("one"), of("two"), of("three"));
    let (cookie, bearer) = (format!("a=b; session={one}; c=d"), format!("Bearer {three}"));
    let all = [("authorization", &*bearer), ("x-token", &*two), ("cookie", &*cookie)];
    assert_eq!(subject(layer(), headers(&all)).await, "one");
    assert_eq!(subject(layer(), headers(&all[..2])).await, "two");
    assert_eq!(subject(layer(), headers(&all[..1])).await, "three");
    assert_eq!(subject(layer(), headers(&[("cookie", "a=b"), ("authorization", &bearer)])).await, "three");
    assert_eq!(subject(layer(), headers(&[("cookie", "a=b")])).await, "no claims");
    // What is bad there is not made good by what is elsewhere.
    for cookie in ["session=a.b.c", "session="] {
        let sent = || headers(&[("cookie", cookie), ("authorization", &bearer)]);
        assert_eq!(refusal(anywhere(), sent()).await, Fault::Malformed);
    }
    assert_eq!(refusal(layer(), headers(&[("x-token", " "), ("authorization", &bearer)])).await, Fault::Malformed);
}

/// Looks into a cookie, a header, and `Authorization`.
fn anywhere() -> JwtLayer {
    let header = CredentialSource::header(HeaderName::from_static("x-token"));
    let cookie = CredentialSource::cookie("session").unwrap();
    layer().sources([cookie, header, CredentialSource::authorization()]).unwrap()
}

#[tokio::test]
async fn a_bad_token_in_a_cookie_is_none_where_none_is_required() {
    let another = signed(&claims(json!({})), &Header::default(), b"another secret, which is as long as it has to be");
    let unknown = Header { kid: Some("gone".into()), ..Header::default() };
    let key = json!({"keys": [{"kty": "oct", "kid": "1", "k": URL_SAFE_NO_PAD.encode(SECRET)}]});
    let of_a_set = JwtLayer::jwk_set(key.to_string()).unwrap();
    let good = of("one");
    let long = token(json!({"x": "y".repeat(10_000)}));
    let cases = [
        (layer(), token(json!({"exp": 1})), Fault::Expired),
        (layer(), token(json!({"nbf": u32::MAX})), Fault::NotYetValid),
        (layer(), another, Fault::Signature),
        (layer().issuer("https://id.example"), good.clone(), Fault::Claim),
        (of_a_set, signed(&claims(json!({})), &unknown, SECRET.as_bytes()), Fault::Key),
        (layer(), long, Fault::TooLong),
        (layer(), "what is left of an old session".into(), Fault::Malformed),
        (layer(), String::new(), Fault::Malformed),
        (layer(), format!("{good}; session={good}"), Fault::Malformed),
    ];
    for (layer, bad, fault) in cases {
        let sources = [CredentialSource::cookie("session").unwrap(), CredentialSource::authorization()];
        let strict = layer.sources(sources).unwrap();
        let lax = strict.clone().required(false);
        let cookie = ("cookie", &*format!("a=b; session={bad}"));
        assert_eq!(subject(lax.clone(), headers(&[cookie])).await, "no claims", "{fault}");
        assert_eq!(refusal(strict, headers(&[cookie])).await, fault);
        // What a program sends by itself is refused, even beside such a cookie.
        let refused = refusal(lax.clone(), headers(&[cookie, ("authorization", "Bearer a.b.c")])).await;
        assert_eq!(refused, Fault::Malformed);
        // Whoever is inside can tell, and a guard does.
        let guarded = ServiceBuilder::new().layer(lax.clone()).layer(RequireAuth::new());
        let response = send(guarded, headers(&[cookie])).await;
        assert_eq!(response.status(), 401, "{fault}");
        assert_eq!(response.headers()["www-authenticate"], "Bearer error=\"invalid_token\"");
        assert_eq!(problem(response).await["detail"], "this needs a bearer token");
        let seen = service_fn(|request: Request| async move {
            let fault = request.extensions().get::<Fault>().map(Fault::to_string);
            Ok::<Response, Infallible>(Response::new(Body::from(fault.unwrap_or_default())))
        });
        let mut request = Request::new(Body::empty());
        *request.headers_mut() = headers(&[cookie]);
        assert_eq!(text(lax.layer(seen).oneshot(request).await.unwrap()).await, fault.to_string());
    }
}

#[tokio::test]
async fn a_token_beside_a_bad_cookie_counts_where_none_is_required() {
    let bearer = format!("Bearer {}", of("three"));
    for cookie in ["session=a.b.c", "session=", &format!("session={}", token(json!({"exp": 1})))] {
        let sent = headers(&[("cookie", cookie), ("authorization", &bearer)]);
        assert_eq!(subject(anywhere().required(false), sent).await, "three", "{cookie}");
    }
    let bad = headers(&[("cookie", "session=a.b.c"), ("x-token", "a.b.c"), ("authorization", &bearer)]);
    assert_eq!(refusal(anywhere().required(false), bad).await, Fault::Malformed, "another header is no cookie");
}

#[tokio::test]
async fn a_good_token_in_a_cookie_that_lacks_what_is_required_of_all_is_refused() {
    let layer = anywhere().required(false).require(Requirement::role("staff"));
    let response = send(layer, headers(&[("cookie", &format!("session={}", of("ann")))])).await;
    assert_eq!((response.status().as_u16(), response.extensions().get()), (403, Some(&Fault::Requirement)));
}

#[tokio::test]
async fn a_bad_token_in_a_cookie_is_told_in_the_log() {
    let (lines, _guard) = log(tracing::Level::DEBUG);
    let cookie = format!("session={}", token(json!({"exp": 1})));
    assert_eq!(subject(anywhere().required(false), headers(&[("cookie", &cookie)])).await, "no claims");
    let told = lines.take_of("ziggurat::layers::jwt");
    let told: Vec<_> = told.iter().map(|line| (&line["level"], &line["message"], &line["fault"])).collect();
    assert_eq!(told, [(&json!("DEBUG"), &json!("a token in a cookie counts as none"), &json!("expired"))]);
}

#[tokio::test]
async fn two_tokens_of_one_place_are_none() {
    let cookies = || layer().sources([CredentialSource::cookie("session").unwrap()]).unwrap();
    let header = || layer().sources([CredentialSource::header(HeaderName::from_static("x-token"))]).unwrap();
    let (one, two) = (of("one"), of("two"));
    let (a, b) = (format!("session={one}"), format!("session={two}"));
    assert_eq!(refusal(cookies(), headers(&[("cookie", &format!("{a}; {b}"))])).await, Fault::Malformed);
    // As HTTP/2 may send them.
    assert_eq!(refusal(cookies(), headers(&[("cookie", &a), ("cookie", &b)])).await, Fault::Malformed);
    assert_eq!(subject(cookies(), headers(&[("cookie", "x=y"), ("cookie", &a)])).await, "one");
    assert_eq!(refusal(header(), headers(&[("x-token", &one), ("x-token", &one)])).await, Fault::Malformed);
    // Another name is another cookie.
    for name in ["Session", "session2", "xsession", " session ="] {
        let sent = headers(&[("cookie", &format!("{name}={one}"))]);
        assert_eq!(send(cookies(), sent).await.status(), 401, "{name}");
    }
}

#[tokio::test]
async fn only_the_places_that_are_named_are_looked_at() {
    let header = || layer().sources([CredentialSource::header(HeaderName::from_static("x-token"))]).unwrap();
    assert_eq!(send(header(), bearer(&of("ann"))).await.extensions().get(), Some(&Fault::Missing));
    assert_eq!(subject(header(), headers(&[("x-token", &of("ann"))])).await, "ann");
    assert_eq!(refusal(header(), headers(&[("x-token", &format!("Bearer {}", of("ann")))])).await, Fault::Malformed);
    // `Authorization` by its name is what it is otherwise.
    let named = || layer().sources([CredentialSource::header(http::header::AUTHORIZATION)]).unwrap();
    assert_eq!(subject(named(), bearer(&of("ann"))).await, "ann");
    assert_eq!(send(named(), authorization(&of("ann"))).await.status(), 401);
    assert!(layer().sources([]).unwrap_err().to_string().contains("sources is empty"));
    assert!(CredentialSource::cookie("a b").unwrap_err().to_string().contains("\"a b\""));
}

#[tokio::test]
async fn whitespace_in_a_token_is_no_part_of_it() {
    let good = of("ann");
    assert_eq!(subject(layer(), authorization(&format!("Bearer  \t{good} "))).await, "ann");
    let (head, rest) = good.split_at(10);
    for bad in [format!("{head} {rest}"), format!("{head}\t{rest}"), format!("{good} .")] {
        refusal(layer(), bearer(&bad)).await;
    }
}

#[tokio::test]
async fn long_tokens_are_not_looked_at() {
    let good = of("ann");
    let at = |bytes: usize| layer().max_token_bytes(bytes);
    assert_eq!(subject(at(good.len()), bearer(&good)).await, "ann");
    assert_eq!(refusal(at(good.len() - 1), bearer(&good)).await, Fault::TooLong);
    let long = token(json!({"x": "y".repeat(10_000)}));
    assert_eq!(refusal(layer(), bearer(&long)).await, Fault::TooLong);
    assert_eq!(subject(at(20_000), bearer(&long)).await, "ann");
}

#[tokio::test]
async fn what_is_required_is_asked_of_every_token() {
    let scoped = || layer().require(Requirement::scope("a")).require(Requirement::scope("b"));
    assert_eq!(send(scoped(), bearer(&token(json!({"scope": "b a"})))).await.status(), 200);
    let lacking = send(scoped(), bearer(&token(json!({"scope": "a"})))).await;
    assert_eq!((lacking.status().as_u16(), lacking.extensions().get()), (403, Some(&Fault::Scope)));
    assert_eq!(lacking.headers()["www-authenticate"], "Bearer error=\"insufficient_scope\", scope=\"a b\"");
    assert_eq!(problem(lacking).await["type"], "https://ziggurat.dev/e/insufficient_scope");

    let role = || layer().require(Requirement::role("staff")).require(Requirement::claim("tenant", ["t", "u"]));
    assert_eq!(send(role(), bearer(&token(json!({"roles": ["staff"], "tenant": "u"})))).await.status(), 200);
    for less in [json!({"roles": ["staff"]}), json!({"tenant": "t"}), json!({"roles": "staffer", "tenant": "t"})] {
        let lacking = send(role(), bearer(&token(less))).await;
        assert_eq!((lacking.status().as_u16(), lacking.extensions().get()), (403, Some(&Fault::Requirement)));
        assert!(!lacking.headers().contains_key("www-authenticate"));
        assert_eq!(problem(lacking).await["type"], "https://ziggurat.dev/e/forbidden");
    }
    // A bad token is still a 401, and none passes where none is needed.
    refusal(role(), bearer("a.b.c")).await;
    assert_eq!(send(role().required(false), HeaderMap::new()).await.status(), 200);
    let even = || layer().require(Requirement::that(|claims| claims.get("n").and_then(Value::as_u64) == Some(2)));
    assert_eq!(send(even(), bearer(&token(json!({"n": 2})))).await.status(), 200);
    assert_eq!(send(even(), bearer(&token(json!({"n": 3})))).await.status(), 403);
}
