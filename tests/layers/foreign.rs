//! All layers at once in programs that are not ours: an Axum router, and hyper over an in-memory connection.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use serde_json::json;
use tower::{ServiceBuilder, ServiceExt, service_fn};
use ziggurat::layers::body_limit::LimitedBody;
use ziggurat::layers::jwt::{CredentialSource, Issuer};
use ziggurat::layers::{
    BodyLimitLayer, CatchPanicLayer, Claims, CompressionLayer, CorsLayer, HostsLayer, JwtLayer, RequestIdLayer,
    RequireAuth, SensitiveHeadersLayer, TimeoutLayer, TraceLayer,
};

use crate::support::{SECRET, decode, token};

fn cors() -> CorsLayer {
    CorsLayer::new().allow_origins(["https://app.example"]).build().unwrap()
}

/// Tokens in the header or in a cookie, by one of two issuers.
fn jwt() -> JwtLayer {
    let issuer = |name: &str| Issuer::new(name).secret(SECRET).unwrap();
    let sources = [CredentialSource::authorization(), CredentialSource::cookie("session").unwrap()];
    JwtLayer::issuers([issuer("a"), issuer("b")]).unwrap().sources(sources).unwrap()
}

fn router() -> Router {
    Router::new()
        .route("/guarded", get(|| async { "in" }))
        .route_layer(RequireAuth::new().scope("enter"))
        .route("/", get(|| async { "many steps ".repeat(100) }))
        .route("/echo", post(|body: String| async move { body }))
        .route("/panic", get(|| async { panic!("boom") as &'static str }))
        .route("/slow", get(std::future::pending::<&'static str>))
        .layer(crate::api_key::layer().required(false))
        .layer(crate::basic::layer().required(false))
        .layer(jwt().required(false))
        .layer(BodyLimitLayer::new(10))
        .layer(CompressionLayer::new())
        .layer(cors())
        .layer(SensitiveHeadersLayer::default())
        .layer(TimeoutLayer::new(Duration::from_secs(5)))
        .layer(HostsLayer::new(["axum.example"]).unwrap())
        .layer(TraceLayer::new())
        .layer(RequestIdLayer::new())
        .layer(CatchPanicLayer::new())
}

async fn ask(request: http::request::Builder, body: axum::body::Body) -> (http::response::Parts, Bytes) {
    let request = request.header("host", "axum.example");
    let (parts, body) = router().oneshot(request.body(body).unwrap()).await.unwrap().into_parts();
    (parts, body.collect().await.unwrap().to_bytes())
}

#[tokio::test(start_paused = true)]
async fn every_layer_works_in_an_axum_router() {
    let empty = axum::body::Body::empty;
    let page = Request::get("/").header("accept-encoding", "gzip").header("origin", "https://app.example");
    let (head, body) = ask(page, empty()).await;
    assert_eq!((head.status.as_u16(), &head.headers["content-encoding"]), (200, &"gzip".parse().unwrap()));
    assert_eq!(decode("gzip", &body), "many steps ".repeat(100).as_bytes());
    assert_eq!(head.headers["access-control-allow-origin"], "https://app.example");
    assert!(head.headers.contains_key("x-request-id"));
    // Axum cuts the body off outside of the layers, and announces its length.
    let (cut, nothing) = ask(Request::head("/").header("accept-encoding", "gzip"), empty()).await;
    assert_eq!((&cut.headers["content-encoding"], nothing.len()), (&head.headers["content-encoding"], 0));
    assert_eq!(cut.headers["content-length"], body.len().to_string());

    assert_eq!(ask(Request::get("/panic"), empty()).await.0.status, 500);
    assert_eq!(ask(Request::get("/slow"), empty()).await.0.status, 504);
    assert_eq!(ask(Request::post("/echo"), "0123456789".into()).await.1, "0123456789");
    assert_eq!(ask(Request::post("/echo"), "0123456789x".into()).await.0.status, 413);
    // Axum does not know our failure of a streamed body, and its 400 is corrected.
    let chunks = ["012345", "6789x"].map(|chunk| Ok::<_, Infallible>(Bytes::from(chunk)));
    let streamed = axum::body::Body::from_stream(futures_util::stream::iter(chunks));
    assert_eq!(ask(Request::post("/echo"), streamed).await.0.status, 413);

    assert_eq!(ask(Request::get("/guarded"), empty()).await.0.status, 401);
    let with = |token: String| Request::get("/guarded").header("authorization", format!("Bearer {token}"));
    assert_eq!(ask(with(token(json!({"scope": "enter"}))), empty()).await.0.status, 401);
    assert_eq!(ask(with(token(json!({"iss": "a"}))), empty()).await.0.status, 403);
    let entering = token(json!({"iss": "b", "scope": "enter"}));
    let (head, body) = ask(with(entering.clone()), empty()).await;
    assert_eq!((head.status.as_u16(), &body[..]), (200, &b"in"[..]));
    let cookie = Request::get("/guarded").header("cookie", format!("session={entering}"));
    assert_eq!(ask(cookie, empty()).await.0.status, 200);
    let keyed = |key: &str| Request::get("/guarded").header("x-api-key", key);
    assert_eq!(ask(keyed(crate::api_key::KEY), empty()).await.0.status, 200);
    assert_eq!(ask(keyed("another"), empty()).await.0.status, 401);
    let user = |password: &str| Request::get("/guarded").header("authorization", crate::basic::sent("ann", password));
    assert_eq!(ask(user("open sesame"), empty()).await.0.status, 200);
    assert_eq!(ask(user("sesame"), empty()).await.0.status, 401);
}

#[tokio::test]
async fn every_layer_works_in_bare_hyper() {
    let greet = service_fn(|request: Request<LimitedBody<hyper::body::Incoming>>| async move {
        let name = request.extensions().get::<Claims>().unwrap().subject().unwrap_or("nobody").to_owned();
        let response = match request.into_body().collect().await {
            Ok(_) => Response::builder().header("content-type", "text/plain"),
            Err(_) => Response::builder().status(400),
        };
        Ok::<_, Infallible>(response.body(Full::<Bytes>::from(format!("{name}\n").repeat(200))).unwrap())
    });
    let service = ServiceBuilder::new()
        .layer(CatchPanicLayer::new())
        .layer(RequestIdLayer::new())
        .layer(TraceLayer::new())
        .layer(HostsLayer::new(["hyper.example"]).unwrap())
        .layer(TimeoutLayer::default())
        .layer(SensitiveHeadersLayer::default())
        .layer(cors())
        .layer(CompressionLayer::new())
        .layer(jwt())
        // The token is enough for both.
        .layer(crate::api_key::layer())
        .layer(crate::basic::layer())
        .layer(RequireAuth::new())
        .layer(BodyLimitLayer::new(10))
        .service(greet);

    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let server = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(ours), TowerToHyperService::new(service));
    tokio::spawn(server);
    let (mut client, connection) = hyper::client::conn::http1::handshake(TokioIo::new(theirs)).await.unwrap();
    tokio::spawn(connection);

    let ask = |body: &'static str| {
        Request::post("/")
            .header("host", "hyper.example")
            .header("accept-encoding", "zstd")
            .header("authorization", format!("Bearer {}", token(json!({"iss": "a"}))))
            .body(Full::<Bytes>::from(body))
            .unwrap()
    };
    let response = client.send_request(ask("small")).await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.headers().contains_key("x-request-id"));
    assert_eq!(response.headers()["content-encoding"], "zstd");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(decode("zstd", &body), "ann\n".repeat(200).as_bytes());

    client.ready().await.unwrap();
    let mut other = ask("small");
    other.headers_mut().insert("host", "axum.example".parse().unwrap());
    assert_eq!(client.send_request(other).await.unwrap().status(), 421);
    client.ready().await.unwrap();
    assert_eq!(client.send_request(ask("much too large")).await.unwrap().status(), 413);
}
