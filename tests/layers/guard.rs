//! Who may call a route, whichever layer has found out who that is.

use std::convert::Infallible;

use serde_json::json;
use tower::{ServiceBuilder, ServiceExt, service_fn};
use ziggurat::layers::guard::{Refusal, RequireAuth, Requirement};
use ziggurat::{Request, Response};

use crate::support::{get, problem, token};

async fn send(guard: RequireAuth, headers: &[(&str, &str)]) -> Response {
    let service = ServiceBuilder::new()
        .layer(crate::jwt::layer().required(false))
        .layer(crate::api_key::layer().required(false))
        .layer(crate::basic::layer().required(false))
        .layer(guard)
        .service(service_fn(|_: Request| async { Ok::<Response, Infallible>(Response::default()) }));
    service.oneshot(get("/", headers)).await.unwrap()
}

#[tokio::test]
async fn any_credential_will_do() {
    let guard = || RequireAuth::new().scope("enter");
    let bearer = format!("Bearer {}", token(json!({"scope": "enter"})));
    let user = crate::basic::sent("ann", "open sesame");
    for sent in [("authorization", &*bearer), ("authorization", &*user), ("x-api-key", crate::api_key::KEY)] {
        assert_eq!(send(guard(), &[sent]).await.status(), 200, "{sent:?}");
    }
    let nobody = send(guard(), &[]).await;
    assert_eq!((nobody.status().as_u16(), nobody.extensions().get()), (401, Some(&Refusal::Unknown)));
    // Each layer says what it would have taken.
    let challenges: Vec<_> = nobody.headers().get_all("www-authenticate").iter().collect();
    assert_eq!(challenges, ["Bearer", "ApiKey", "Basic realm=\"restricted\", charset=\"UTF-8\""]);
    assert_eq!(problem(nobody).await["detail"], "this needs credentials of a caller who is known");
    let bob = send(guard(), &[("x-api-key", "another key")]).await;
    assert_eq!((bob.status().as_u16(), bob.extensions().get()), (403, Some(&Refusal::Scope)));
}

#[tokio::test]
async fn everything_that_is_asked_for_counts() {
    let guard = || RequireAuth::new().require(Requirement::role("editor")).require(Requirement::claim("tenant", ["a"]));
    let with = |claims: serde_json::Value| format!("Bearer {}", token(claims));
    let good = with(json!({"roles": ["editor"], "tenant": "a"}));
    assert_eq!(send(guard(), &[("authorization", &good)]).await.status(), 200);
    for less in [json!({}), json!({"roles": ["editor"], "tenant": "b"}), json!({"tenant": "a"})] {
        let response = send(guard(), &[("authorization", &with(less))]).await;
        assert_eq!((response.status().as_u16(), response.extensions().get()), (403, Some(&Refusal::Requirement)));
        assert_eq!(problem(response).await["type"], "https://ziggurat.dev/e/forbidden");
    }
}

#[test]
fn it_says_what_it_asks_for() {
    assert_eq!(RequireAuth::new().to_string(), "");
    assert_eq!(RequireAuth::new().scopes(["a", "b"]).to_string(), "a b");
    assert_eq!(RequireAuth::new().require(Requirement::role("r")).to_string(), "role r");
    assert_eq!(RequireAuth::new().require(Requirement::claim("t", [1])).scope("a").to_string(), "a, claim t");
}
