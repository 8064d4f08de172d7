//! Keys that are known, and everything that is none.

use http::HeaderName;
use serde_json::{Value, json};
use tower::{ServiceExt, service_fn};
use tower_layer::Layer;
use ziggurat::layers::api_key::{ApiKeyLayer, Claims, CredentialSource, Fault, KnownKey};
use ziggurat::{Body, Request, Response};

use crate::support::{get, problem, text};

pub const KEY: &str = "a key of the tests";

pub fn layer() -> ApiKeyLayer {
    ApiKeyLayer::new([key(KEY, "ann").scope("enter"), key("another key", "bob").claim("tenant", 7).unwrap()]).unwrap()
}

fn key(key: &str, subject: &str) -> KnownKey {
    KnownKey::new(&KnownKey::hash_of(key), subject).unwrap()
}

async fn send(layer: ApiKeyLayer, request: Request) -> Response {
    let inner = service_fn(|request: Request| async move {
        let claims = request.extensions().get::<Claims>().map_or("nobody", Claims::as_json).to_owned();
        Ok::<_, std::convert::Infallible>(Response::new(Body::from(claims)))
    });
    layer.layer(inner).oneshot(request).await.unwrap()
}

async fn refused(layer: ApiKeyLayer, request: Request) -> Fault {
    let response = send(layer, request).await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()["www-authenticate"]),
        (401, &"ApiKey".parse().unwrap())
    );
    let fault = *response.extensions().get::<Fault>().unwrap();
    let detail = if fault == Fault::Missing { "this needs an API key" } else { "the API key is not valid" };
    assert_eq!(problem(response).await["detail"], detail);
    fault
}

#[tokio::test]
async fn a_known_key_says_whom_it_was_given_to() {
    let seen: Value = serde_json::from_str(&text(send(layer(), get("/", &[("x-api-key", KEY)])).await).await).unwrap();
    assert_eq!(seen, json!({"sub": "ann", "scopes": ["enter"]}));
    let seen = text(send(layer(), get("/", &[("x-api-key", "another key")])).await).await;
    assert_eq!(serde_json::from_str::<Value>(&seen).unwrap(), json!({"sub": "bob", "scopes": [], "tenant": 7}));
}

#[tokio::test]
async fn what_is_not_known_is_refused() {
    let hash = KnownKey::hash_of(KEY);
    let long = "k".repeat(5000);
    for other in ["a key of the test", "A key of the tests", "a key of the testss", "'", &hash, &hash[7..], &long] {
        assert_eq!(refused(layer(), get("/", &[("x-api-key", other)])).await, Fault::Unknown, "{other}");
        assert_eq!(refused(layer().required(false), get("/", &[("x-api-key", other)])).await, Fault::Unknown);
    }
    assert_eq!(refused(layer(), get("/", &[("x-api-key", KEY), ("x-api-key", KEY)])).await, Fault::Malformed);
    assert_eq!(refused(layer(), get("/", &[("x-api-key", "")])).await, Fault::Malformed);
    assert_eq!(refused(layer(), get("/", &[])).await, Fault::Missing);
    assert_eq!(refused(layer(), get("/?x-api-key=a%20key%20of%20the%20tests", &[])).await, Fault::Missing);
    assert_eq!(text(send(layer().required(false), get("/", &[])).await).await, "nobody");
}

#[tokio::test]
async fn keys_are_found_where_it_was_said() {
    let sources = || {
        [
            CredentialSource::query("key").unwrap(),
            CredentialSource::authorization(),
            CredentialSource::cookie("key").unwrap(),
            CredentialSource::header(HeaderName::from_static("x-key")),
        ]
    };
    let layer = || layer().sources(sources()).unwrap();
    let bearer = format!("Bearer {KEY}");
    let cookie = format!("key={KEY}");
    for request in [
        get("/?a=b&key=a%20key%20of%20the%20tests", &[("x-key", "no")]),
        get("/?k%65y=a%20key%20of%20the%20tests", &[]),
        get("/?key2=x&key", &[("authorization", &bearer)]),
        get("/", &[("cookie", &cookie)]),
        get("/", &[("x-key", KEY)]),
    ] {
        assert_eq!(send(layer(), request).await.status(), 200);
    }
    assert_eq!(refused(layer(), get("/?key=a&key=a", &[])).await, Fault::Malformed);
    assert_eq!(refused(layer(), get("/?key=", &[("x-key", KEY)])).await, Fault::Malformed);
    assert_eq!(refused(layer(), get("/", &[("x-api-key", KEY)])).await, Fault::Missing);
}

#[tokio::test]
async fn a_bad_key_in_a_cookie_is_none_where_none_is_needed() {
    let sources =
        || [CredentialSource::cookie("key").unwrap(), CredentialSource::header(HeaderName::from_static("x-key"))];
    let layer = || layer().sources(sources()).unwrap();
    for (cookie, fault) in [("key=no", Fault::Unknown), ("key=", Fault::Malformed), ("key=a; key=b", Fault::Malformed)]
    {
        let lax = || layer().required(false);
        assert_eq!(text(send(lax(), get("/", &[("cookie", cookie)])).await).await, "nobody");
        assert!(text(send(lax(), get("/", &[("cookie", cookie), ("x-key", KEY)])).await).await.contains("ann"));
        assert_eq!(refused(lax(), get("/", &[("cookie", cookie), ("x-key", "no")])).await, Fault::Unknown);
        assert_eq!(refused(layer(), get("/", &[("cookie", cookie)])).await, fault);
        // Nor is one needed of who is known by a token.
        let bearer = format!("Bearer {}", crate::support::token(json!({})));
        let known =
            crate::jwt::layer().layer(layer().layer(service_fn(|_: Request| async {
                Ok::<Response, std::convert::Infallible>(Response::default())
            })));
        let response = known.oneshot(get("/", &[("cookie", cookie), ("authorization", &bearer)])).await.unwrap();
        assert_eq!(response.status(), 200, "{cookie}");
    }
}

#[tokio::test]
async fn who_is_known_already_needs_no_key() {
    let stack = |key: ApiKeyLayer| {
        let jwt = crate::jwt::layer().required(false);
        let inner = service_fn(|request: Request| async move {
            let subject = request.extensions().get::<Claims>().and_then(Claims::subject).unwrap_or("nobody").to_owned();
            Ok::<_, std::convert::Infallible>(Response::new(Body::from(subject)))
        });
        jwt.layer(key.layer(inner))
    };
    let bearer = format!("Bearer {}", crate::support::token(json!({"sub": "carl"})));
    let with_token = get("/", &[("authorization", &bearer)]);
    assert_eq!(text(stack(layer()).oneshot(with_token).await.unwrap()).await, "carl");
    let with_both = get("/", &[("authorization", &bearer), ("x-api-key", KEY)]);
    assert_eq!(text(stack(layer()).oneshot(with_both).await.unwrap()).await, "ann");
    let with_a_bad_one = get("/", &[("authorization", &bearer), ("x-api-key", "no")]);
    assert_eq!(stack(layer()).oneshot(with_a_bad_one).await.unwrap().status(), 401);
    assert_eq!(stack(layer()).oneshot(get("/", &[])).await.unwrap().status(), 401);
}

#[test]
fn keys_that_are_no_good_are_refused_with_a_cure() {
    let hash = KnownKey::hash_of(KEY);
    for bad in [
        "",
        "abc",
        "sha256:abc",
        &hash[7..],
        &hash.replace("sha256", "sha512"),
        &format!("{hash}0"),
        &format!("sha256:{}", "g".repeat(64)),
    ] {
        let error = KnownKey::new(bad, "ann").unwrap_err().to_string();
        assert!(error.contains("the hash of the key of \"ann\" is none") && error.contains("; "), "{error}");
        assert!(bad.is_empty() || !error.contains(bad), "it may be the key: {error}");
    }
    KnownKey::new(&hash.to_uppercase().replace("SHA", "sha"), "ann").map(|_| ()).unwrap();
    for (result, says) in [
        (KnownKey::new(&hash, "").map(|_| ()), "subject is empty"),
        (key(KEY, "ann").claim("sub", "bob").map(|_| ()), "the claim sub of \"ann\" is said otherwise"),
        (key(KEY, "ann").claim("scope", "x").map(|_| ()), "said otherwise"),
        (ApiKeyLayer::new([]).map(|_| ()), "no key is known"),
        (ApiKeyLayer::new([key(KEY, "a"), key(KEY, "b")]).map(|_| ()), "the key of \"b\" is there twice"),
        (layer().sources([]).map(|_| ()), "sources is empty"),
        (CredentialSource::query("").map(|_| ()), "is empty"),
    ] {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(says) && error.contains("; "), "{error}");
    }
    assert!(!format!("{:?} {:?}", layer(), key(KEY, "ann")).contains(&hash[7..]));
}

async fn status(layer: &ApiKeyLayer, key: &str) -> u16 {
    send(layer.clone(), get("/", &[("x-api-key", key)])).await.status().as_u16()
}

#[tokio::test]
async fn keys_change_while_it_serves() {
    let layer = layer();
    let keys = layer.clone().required(false).keys();
    keys.add(key("a third", "ann")).unwrap();
    assert_eq!((status(&layer, KEY).await, status(&layer, "a third").await), (200, 200));
    let error = keys.add(key("a third", "eve")).unwrap_err().to_string();
    assert!(error.starts_with("ApiKey: the key of \"eve\" is there twice; "), "{error}");

    // One of hers, and not that of others.
    assert_eq!(keys.revoke("ann", Some(&KnownKey::hash_of("another key"))).unwrap(), 0);
    assert_eq!(keys.revoke("ann", Some(&KnownKey::hash_of(KEY))).unwrap(), 1);
    assert_eq!((status(&layer, KEY).await, status(&layer, "a third").await), (401, 200));
    let error = keys.revoke("ann", Some("a third")).unwrap_err().to_string();
    assert!(error.contains("the hash of the key of \"ann\" is none") && !error.contains("third"), "{error}");

    keys.replace([key(KEY, "cid"), key("a fourth", "ann"), key("a fifth", "ann")]).unwrap();
    assert_eq!(
        (status(&layer, KEY).await, status(&layer, "a third").await, status(&layer, "another key").await),
        (200, 401, 401)
    );
    let seen = text(send(layer.clone(), get("/", &[("x-api-key", KEY)])).await).await;
    assert_eq!(serde_json::from_str::<Value>(&seen).unwrap()["sub"], "cid");
    let error = keys.replace([key("new", "dan"), key("new", "eve")]).unwrap_err().to_string();
    assert!(error.contains("\"eve\" is there twice"), "{error}");
    assert_eq!((status(&layer, KEY).await, status(&layer, "new").await), (200, 401));

    // All of hers, and the last of all.
    assert_eq!((keys.revoke("ann", None).unwrap(), keys.revoke("ann", None).unwrap()), (2, 0));
    assert_eq!((status(&layer, "a fourth").await, status(&layer, KEY).await), (401, 200));
    assert_eq!(keys.revoke("cid", None).unwrap(), 1);
    assert_eq!(status(&layer, KEY).await, 401);
    keys.add(key(KEY, "ann")).unwrap();
    keys.replace([]).unwrap();
    assert_eq!(refused(layer.clone(), get("/", &[("x-api-key", KEY)])).await, Fault::Unknown);
    assert_eq!(format!("{keys:?}"), "ApiKeys(0)");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_stays_is_good_while_others_are_replaced() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    let layer = ApiKeyLayer::new([key(KEY, "ann"), key("old", "bob")]).unwrap();
    let keys = layer.keys();
    let done = Arc::new(AtomicBool::new(false));
    let asking = tokio::spawn({
        let (layer, done) = (layer.clone(), done.clone());
        async move {
            let mut asked = 0;
            while !done.load(Ordering::Acquire) || asked < 100 {
                assert_eq!(status(&layer, KEY).await, 200);
                asked += 1;
            }
        }
    });
    for round in 0..200 {
        let (old, new) = if round % 2 == 0 { ("old", "new") } else { ("new", "old") };
        keys.replace([key(KEY, "ann"), key(new, "bob")]).unwrap();
        // From the next request on.
        assert_eq!((status(&layer, old).await, status(&layer, new).await), (401, 200), "{round}");
    }
    done.store(true, Ordering::Release);
    asking.await.unwrap();
}
