//! Good tokens are remembered, and nothing else is.

use std::time::Duration;

use jsonwebtoken::get_current_timestamp;
use serde_json::{Value, json};
use tower::{Service, ServiceExt, service_fn};
use tower_layer::Layer;
use ziggurat::layers::jwt::{Claims, Fault, JwtLayer, Requirement};
use ziggurat::{Request, Response};

use crate::jwt::{bearer, layer, refusal, send};
use crate::support::token;

/// The claims that the service was given.
async fn given(layer: &JwtLayer, token: &str) -> Claims {
    let mut service = layer.layer(service_fn(|request: Request| async move {
        let mut response: Response = Response::default();
        response.extensions_mut().insert(request.extensions().get::<Claims>().unwrap().clone());
        Ok::<_, std::convert::Infallible>(response)
    }));
    let mut request: Request = Request::default();
    *request.headers_mut() = bearer(token);
    let response = service.ready().await.unwrap().call(request).await.unwrap();
    assert_eq!(response.status(), 200);
    response.extensions().get::<Claims>().unwrap().clone()
}

/// Whether they were read from the token once.
fn are_one(a: &Claims, b: &Claims) -> bool {
    std::ptr::eq(a.as_json(), b.as_json())
}

#[tokio::test]
async fn a_good_token_is_checked_once() {
    let (one, two) = (token(json!({"jti": 1})), token(json!({"jti": 2})));
    let remembering = layer();
    let first = given(&remembering, &one).await;
    assert!(!are_one(&given(&remembering, &two).await, &first));
    assert!(are_one(&given(&remembering, &one).await, &first));
    // By the copies of the layer too, but not where other settings count.
    assert!(are_one(&given(&remembering.clone(), &one).await, &first));
    assert!(!are_one(&given(&remembering.clone().leeway(Duration::ZERO), &one).await, &first));
    assert_eq!(refusal(remembering.clone().issuer("x"), bearer(&one)).await, Fault::Claim);
    assert_eq!(refusal(remembering.max_token_bytes(10), bearer(&one)).await, Fault::TooLong);
    let forgetful = layer().remember(0);
    assert!(!are_one(&given(&forgetful, &one).await, &given(&forgetful, &one).await));
}

#[tokio::test]
async fn what_is_remembered_expires() {
    let layer = layer().leeway(Duration::from_secs(1));
    let token = token(json!({"exp": get_current_timestamp() + 1}));
    assert_eq!(send(layer.clone(), bearer(&token)).await.status(), 200);
    tokio::time::sleep(Duration::from_millis(3200)).await;
    assert_eq!(refusal(layer, bearer(&token)).await, Fault::Expired);
}

#[tokio::test]
async fn what_is_bad_is_not_remembered_and_nothing_like_it_helps() {
    let layer = layer();
    let good = token(json!({}));
    assert_eq!(send(layer.clone(), bearer(&good)).await.status(), 200);
    for at in [0, good.len() / 2, good.len() - 2] {
        let mut bad = good.clone();
        bad.replace_range(at..=at, if &good[at..=at] == "A" { "B" } else { "A" });
        for _ in 0..2 {
            refusal(layer.clone(), bearer(&bad)).await;
        }
    }
    refusal(layer.clone(), bearer(good.rsplit_once('.').unwrap().0)).await;
    assert_eq!(send(layer, bearer(&good)).await.status(), 200);
}

#[tokio::test]
async fn what_is_required_is_asked_each_time() {
    let open = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let asked = open.clone();
    let holds = move |claims: &Claims| {
        claims.get("sub") == Some(&Value::from("ann")) && asked.load(std::sync::atomic::Ordering::SeqCst)
    };
    let layer = layer().require(Requirement::that(holds));
    let token = token(json!({}));
    assert_eq!(send(layer.clone(), bearer(&token)).await.status(), 200);
    open.store(false, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(send(layer, bearer(&token)).await.status(), 403);
}

#[tokio::test]
async fn more_tokens_than_are_remembered_are_all_good() {
    let layer = layer().remember(8);
    let all: Vec<_> = (0..100).map(|number| token(json!({ "jti": number }))).collect();
    for _ in 0..2 {
        for token in &all {
            assert_eq!(send(layer.clone(), bearer(token)).await.status(), 200);
        }
    }
}
