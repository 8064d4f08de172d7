//! What layers leave, as arguments of handlers in an Axum router, and layers as methods of tower's builder.
#![cfg(feature = "axum")]

use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::routing::get;
use http::{Request, StatusCode};
use tower::{ServiceBuilder, ServiceExt};
use ziggurat::Problem;
use ziggurat::layers::otel::Export;
use ziggurat::layers::{
    Claims, ClientIp, ClientIpLayer, JwtLayer, OtelLayer, RequestId, RequestIdLayer, ServiceBuilderExt, TraceContext,
    TraceLayer,
};

use crate::support::{SECRET, token};

async fn whoami(claims: Claims) -> String {
    claims.subject().unwrap_or_default().to_owned()
}

async fn perhaps(claims: Option<Claims>, id: Option<RequestId>, client: Option<ClientIp>) -> String {
    format!("{} {} {}", claims.is_some(), id.is_some(), client.is_some())
}

async fn needs_an_id(id: RequestId, ClientIp(client): ClientIp) -> String {
    format!("{} from {client}", id.as_str())
}

async fn refuses() -> Result<ziggurat::Body, Problem> {
    Err(Problem::not_found("there is no such thing"))
}

async fn ask(app: &Router, path: &str, token: Option<&str>) -> (StatusCode, http::HeaderMap, String) {
    let mut request = Request::get(path).body(Body::empty()).unwrap();
    if let Some(token) = token {
        request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    }
    let (parts, body) = app.clone().oneshot(request).await.unwrap().into_parts();
    let text = String::from_utf8(to_bytes(body, 10_000).await.unwrap().into()).unwrap();
    (parts.status, parts.headers, text)
}

#[tokio::test]
async fn handlers_take_what_layers_left() {
    let jwt = JwtLayer::secret(SECRET).unwrap().required(false);
    let app = Router::new()
        .route("/whoami", get(whoami))
        .route("/perhaps", get(perhaps))
        .route("/id", get(needs_an_id))
        .route("/refuses", get(refuses))
        .layer(jwt)
        .layer(RequestIdLayer::new());
    let good = token(serde_json::json!({"sub": "ada"}));
    let (status, _, text) = ask(&app, "/whoami", Some(&good)).await;
    assert_eq!((status, &*text), (StatusCode::OK, "ada"));

    let (status, headers, text) = ask(&app, "/whoami", None).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(headers["www-authenticate"], "Bearer");
    assert!(text.contains("\"status\":401"), "{text}");

    assert_eq!(ask(&app, "/perhaps", Some(&good)).await.2, "true true false");
    assert_eq!(ask(&app, "/perhaps", None).await.2, "false true false");

    let (status, headers, text) = ask(&app, "/refuses", None).await;
    assert_eq!(
        (status, &headers["content-type"]),
        (StatusCode::NOT_FOUND, &"application/problem+json".parse().unwrap())
    );
    assert!(text.contains("there is no such thing"), "{text}");
}

#[tokio::test]
async fn a_handler_takes_the_trace_that_it_is_part_of() {
    let traced = |trace: TraceContext| async move { trace.trace_id() };
    let app = Router::new().route("/", get(traced));
    assert_eq!(ask(&app, "/", None).await.0, StatusCode::INTERNAL_SERVER_ERROR);
    let otel = OtelLayer::to(Export::new().sample(0.0).unwrap()).unwrap();
    let (_, _, text) = ask(&app.layer(otel), "/", None).await;
    assert!(text.len() == 32 && text.bytes().all(|digit| digit.is_ascii_hexdigit()), "{text}");
}

#[tokio::test]
async fn a_layer_that_is_not_there_is_a_mistake_of_the_program() {
    let app = Router::new().route("/id", get(needs_an_id)).layer(RequestIdLayer::new());
    let (status, _, text) = ask(&app, "/id", None).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(!text.contains("ClientIp"), "that is for the log: {text}");

    let with_peer = ClientIpLayer::new().peer(|_: &http::Extensions| Some([192, 0, 2, 1].into()));
    let (status, _, text) = ask(&app.layer(with_peer), "/id", None).await;
    assert!(status == StatusCode::OK && text.ends_with("from 192.0.2.1"), "{status} {text}");
}

#[tokio::test]
async fn layers_are_methods_of_the_builder() {
    let stack = ServiceBuilder::new()
        .catch_panic()
        .request_id()
        .metrics()
        .security_headers()
        .layer(TraceLayer::new())
        .timeout_after(Duration::from_secs(5))
        .body_limit(16)
        .compression();
    let echo = |body: axum::body::Bytes| async move { body };
    let app: Router = Router::new()
        .route("/", axum::routing::post(echo))
        .route(
            "/panic",
            get(|| async {
                if true {
                    panic!("on purpose")
                }
            }),
        )
        .layer(stack.map_request(|request: Request<_>| request.map(Body::new)));
    let send = |body: &'static str| app.clone().oneshot(Request::post("/").body(Body::from(body)).unwrap());
    let response = send("short").await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert!(response.headers().contains_key("x-request-id"));
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    assert_eq!(send("longer than sixteen bytes").await.unwrap().status(), StatusCode::PAYLOAD_TOO_LARGE);
    let request = Request::get("/panic").body(Body::empty()).unwrap();
    assert_eq!(app.clone().oneshot(request).await.unwrap().status(), StatusCode::INTERNAL_SERVER_ERROR);
}
