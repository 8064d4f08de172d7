//! Where tokens may be, how long they may be, and what is asked of all of them.

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use ziggurat::layers::jwt::{CredentialSource, Fault, JwtLayer, Requirement};

use crate::jwt::{authorization, bearer, layer, refusal, send};
use crate::support::{problem, text, token};

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
    let layer = || {
        let header = CredentialSource::header(HeaderName::from_static("x-token"));
        let cookie = CredentialSource::cookie("session").unwrap();
        layer().sources([cookie, header, CredentialSource::authorization()]).unwrap().required(false)
    };
    let (one, two, three) = (of("one"), of("two"), of("three"));
    let (cookie, bearer) = (format!("a=b; session={one}; c=d"), format!("Bearer {three}"));
    let all = [("authorization", &*bearer), ("x-token", &*two), ("cookie", &*cookie)];
    assert_eq!(subject(layer(), headers(&all)).await, "one");
    assert_eq!(subject(layer(), headers(&all[..2])).await, "two");
    assert_eq!(subject(layer(), headers(&all[..1])).await, "three");
    assert_eq!(subject(layer(), headers(&[("cookie", "a=b"), ("authorization", &bearer)])).await, "three");
    assert_eq!(subject(layer(), headers(&[("cookie", "a=b")])).await, "no claims");
    // What is bad there is not made good by what is elsewhere.
    assert_eq!(
        refusal(layer(), headers(&[("cookie", "session=a.b.c"), ("authorization", &bearer)])).await,
        Fault::Malformed
    );
    assert_eq!(
        refusal(layer(), headers(&[("cookie", "session="), ("authorization", &bearer)])).await,
        Fault::Malformed
    );
    assert_eq!(refusal(layer(), headers(&[("x-token", " "), ("authorization", &bearer)])).await, Fault::Malformed);
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
