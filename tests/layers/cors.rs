//! Starlette's settings, and those that are refused.

use ziggurat::Response;
use ziggurat::layers::CorsLayer;
use ziggurat::layers::cors::CorsBuilder;

use crate::support::{answer, get};

async fn origin_allowed(cors: &CorsBuilder, origin: &str) -> bool {
    let layer = cors.clone().build().unwrap();
    let response = answer(layer, get("/", &[("origin", origin)]), Response::default).await;
    response.headers().get("access-control-allow-origin").is_some_and(|value| value == origin || value == "*")
}

#[tokio::test]
async fn origins_are_compared_whole() {
    let listed = CorsLayer::new().allow_origins(["https://app.example"]);
    assert!(origin_allowed(&listed, "https://app.example").await);
    for other in ["https://app.example.evil", "http://app.example", "https://app.example:444", "null"] {
        assert!(!origin_allowed(&listed, other).await, "{other}");
    }
    let pattern = CorsLayer::new().allow_origin_regex("https://[a-z]+\\.example|http://localhost:[0-9]+");
    assert!(origin_allowed(&pattern, "https://a.example").await);
    assert!(origin_allowed(&pattern, "http://localhost:8000").await);
    for other in
        ["https://a.example.evil", "https://evil/https://a.example", "xhttp://localhost:1", "http://localhost:1/"]
    {
        assert!(!origin_allowed(&pattern, other).await, "{other}");
    }
    assert!(origin_allowed(&CorsLayer::new().allow_origins(["*"]), "https://any.example").await);
}

#[tokio::test]
async fn preflights_are_answered_without_the_inner_service() {
    let cors = CorsLayer::new()
        .allow_origins(["https://app.example"])
        .allow_methods(["GET", "PATCH"])
        .allow_headers(["Authorization"])
        .allow_credentials(true);
    let request = http::Request::options("/")
        .header("origin", "https://app.example")
        .header("access-control-request-method", "PATCH")
        .header("access-control-request-headers", "authorization")
        .body(ziggurat::Body::empty())
        .unwrap();
    let response = answer(cors.build().unwrap(), request, || panic!("must not be called")).await;
    let headers = response.headers();
    assert_eq!(response.status(), 200);
    assert_eq!(headers["access-control-allow-origin"], "https://app.example");
    assert_eq!(headers["access-control-allow-credentials"], "true");
    assert_eq!(headers["access-control-allow-methods"], "GET,PATCH");
    assert_eq!(headers["access-control-max-age"], "600");
    let allowed = headers["access-control-allow-headers"].to_str().unwrap();
    assert!(allowed.contains("authorization") && allowed.contains("content-type"), "{allowed}");
    assert!(headers.get_all("vary").iter().any(|value| value.to_str().unwrap().contains("origin")));
}

#[test]
fn contradictions_are_refused_with_the_setting_and_a_cure() {
    let new = CorsLayer::new;
    for (cors, named) in [
        (new().allow_origins(["*"]).allow_credentials(true), "allow_credentials"),
        (new().allow_origins(["*", "https://a.example"]), "allow_origins"),
        (new().allow_origins(["https://a.example/"]), "allow_origins"),
        (new().allow_origins(["a.example"]), "allow_origins"),
        (new().allow_origins(["https://*.example"]), "allow_origins"),
        (new().allow_origin_regex("("), "allow_origin_regex"),
        (new().allow_methods(["GE T"]), "allow_methods"),
        (new().allow_headers(["a b"]), "allow_headers"),
        (new().expose_headers(["*"]).allow_origins(["https://a.example"]).allow_credentials(true), "expose_headers"),
    ] {
        let error = cors.build().unwrap_err().to_string();
        assert!(error.contains(named) && error.contains("; "), "{error}");
    }
}

#[tokio::test]
async fn every_method_is_one_of_those_that_are_known() {
    let cors = CorsLayer::new().allow_origins(["https://app.example"]).allow_methods(["*"]);
    let request = http::Request::options("/")
        .header("origin", "https://app.example")
        .header("access-control-request-method", "QUERY")
        .body(ziggurat::Body::empty())
        .unwrap();
    let response = answer(cors.build().unwrap(), request, || panic!("must not be called")).await;
    let methods = &response.headers()["access-control-allow-methods"];
    assert_eq!(methods, "DELETE,GET,HEAD,OPTIONS,PATCH,POST,PUT,QUERY");
}
