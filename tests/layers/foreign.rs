//! All layers at once in programs that are not ours: an Axum router, and hyper over an in-memory connection.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Extension, MatchedPath};
use axum::routing::{get, post};
use bytes::Bytes;
use futures_util::stream::pending;
use http::request::Parts;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use serde_json::json;
use tower::{ServiceBuilder, ServiceExt, service_fn};
use ziggurat::layers::body_limit::LimitedBody;
use ziggurat::layers::decompression::DecompressedBody;
use ziggurat::layers::jwt::{CredentialSource, Issuer};
use ziggurat::layers::metrics::RequestBody;
use ziggurat::layers::otel::Export;
use ziggurat::layers::rate_limit::Quota;
use ziggurat::layers::timeout::TimedBody;
use ziggurat::layers::{
    BodyLimitLayer, CacheLayer, CatchPanicLayer, Claims, ClientIp, ClientIpLayer, CompressionLayer, CorsLayer,
    CsrfLayer, DecompressionLayer, EtagLayer, HealthCheckLayer, HostsLayer, JwtLayer, LoadShedLayer, MetricsLayer,
    NormalizePathLayer, OtelLayer, RateLimitLayer, RedirectLayer, RequestIdLayer, RequireAuth, SecurityHeadersLayer,
    SensitiveHeadersLayer, StaticLayer, TimeoutLayer, TraceContext, TraceLayer,
};

use crate::support::{SECRET, decode, gzip, token};

fn cors() -> CorsLayer {
    CorsLayer::new().allow_origins(["https://app.example"]).build().unwrap()
}

fn axum_peer(extensions: &http::Extensions) -> Option<IpAddr> {
    extensions.get().map(|ConnectInfo::<SocketAddr>(peer)| peer.ip())
}

/// Tokens in the header or in a cookie, by one of two issuers.
fn jwt() -> JwtLayer {
    let issuer = |name: &str| Issuer::new(name).secret(SECRET).unwrap();
    let sources = [CredentialSource::authorization(), CredentialSource::cookie("session").unwrap()];
    JwtLayer::issuers([issuer("a"), issuer("b")]).unwrap().sources(sources).unwrap()
}

fn axum_template(request: &http::Extensions) -> Option<String> {
    request.get::<MatchedPath>().map(|path| path.as_str().to_owned())
}

/// Answers tell of their trace, and nothing is exported.
fn otel() -> OtelLayer {
    OtelLayer::to(Export::new().sample(0.0).unwrap()).unwrap()
}

fn metrics() -> MetricsLayer {
    MetricsLayer::with_buckets([0.1, 1.0]).unwrap().allow(["198.51.100.0/24"]).unwrap()
}

fn axum_route(parts: &Parts) -> Option<(String, IpAddr)> {
    let route = parts.extensions.get::<MatchedPath>()?.as_str().to_owned();
    parts.extensions.get().map(|ClientIp(client)| (route, *client))
}

fn router() -> Router {
    Router::new()
        .route("/guarded", get(|| async { "in" }))
        .route_layer(RequireAuth::new().scope("enter"))
        .route("/", get(|| async { "many steps ".repeat(100) }))
        .route("/report", get(|| async { ([("cache-control", "max-age=60")], "made once") }))
        .route("/client", get(|Extension(ClientIp(address)): Extension<ClientIp>| async move { address.to_string() }))
        .route("/trace", get(|Extension(trace): Extension<TraceContext>| async move { trace.traceparent() }))
        .route("/echo", post(|body: String| async move { body }))
        .route("/panic", get(|| async { panic!("boom") as &'static str }))
        .route("/slow", get(std::future::pending::<&'static str>))
        .route("/stuck", get(|| async { axum::body::Body::from_stream(pending::<Result<Bytes, Infallible>>()) }))
        .layer(CacheLayer::new())
        .layer(crate::api_key::layer().required(false))
        .layer(crate::basic::layer().required(false))
        .layer(jwt().required(false))
        .layer(RateLimitLayer::new(Quota::new(2, Duration::from_secs(60)).unwrap()).key(axum_route))
        .layer(BodyLimitLayer::new(10))
        .layer(DecompressionLayer::new())
        .layer(StaticLayer::new("/files", "src/layers").unwrap())
        .layer(EtagLayer::new())
        .layer(CompressionLayer::new())
        .layer(CsrfLayer::new())
        .layer(cors())
        .layer(SensitiveHeadersLayer::default())
        .layer(LoadShedLayer::new(1).unwrap())
        .layer(
            TimeoutLayer::new(Duration::from_secs(5)).body_idle(Duration::from_secs(2)).total(Duration::from_secs(9)),
        )
        .layer(RedirectLayer::new().path("/old", "/").unwrap())
        .layer(HostsLayer::new(["axum.example"]).unwrap())
        .layer(SecurityHeadersLayer::new())
        .layer(TraceLayer::new())
        .layer(otel().matched_path(axum_template))
        .layer(metrics().matched_path(axum_template).peer(axum_peer))
        .layer(HealthCheckLayer::new())
        .layer(ClientIpLayer::new().hops(1).unwrap().peer(axum_peer))
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
    assert_eq!(head.headers["x-content-type-options"], "nosniff");
    let (file, part) = ask(Request::get("/files/etag/mod.rs").header("range", "bytes=0-2"), empty()).await;
    assert_eq!((file.status.as_u16(), &part[..]), (206, &b"//!"[..]));
    assert_eq!(ask(Request::get("/files/../lib.rs"), empty()).await.0.status, 404);
    // Axum cuts the body off outside of the layers, and announces its length.
    let (cut, nothing) = ask(Request::head("/").header("accept-encoding", "gzip"), empty()).await;
    assert_eq!((&cut.headers["content-encoding"], nothing.len()), (&head.headers["content-encoding"], 0));
    assert_eq!(cut.headers["content-length"], body.len().to_string());
    assert_eq!(cut.headers["etag"], head.headers["etag"]);
    let again = Request::get("/").header("accept-encoding", "gzip").header("if-none-match", &head.headers["etag"]);
    let (again, nothing) = ask(again, empty()).await;
    assert_eq!((again.status.as_u16(), &again.headers["etag"], nothing.len()), (304, &head.headers["etag"], 0));

    // Nothing further in is asked: neither for the host, nor for a token.
    let alive = router().oneshot(Request::get("/healthz").body(empty()).unwrap()).await.unwrap();
    assert_eq!((alive.status().as_u16(), &alive.headers()["cache-control"]), (200, &"no-store".parse().unwrap()));
    assert_eq!(ask(Request::get("/old?a"), empty()).await.0.headers["location"], "/?a");
    let app = router();
    for (accepted, wanted) in [("identity", "stored"), ("gzip", "hit")] {
        let request = Request::get("/report").header("host", "axum.example").header("accept-encoding", accepted);
        let response = app.clone().oneshot(request.body(empty()).unwrap()).await.unwrap();
        assert!(response.headers()["cache-status"].to_str().unwrap().contains(wanted));
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "made once");
    }
    let called = async |says: &str| {
        let request = Request::get("/client").header("host", "axum.example").header("x-forwarded-for", says);
        let request = request.extension(ConnectInfo(SocketAddr::from(([203, 0, 113, 9], 80))));
        let response = app.clone().oneshot(request.body(empty()).unwrap()).await.unwrap();
        (response.status().as_u16(), response.into_body().collect().await.unwrap().to_bytes())
    };
    assert_eq!(called("unknown").await, (200, "203.0.113.9".into()));
    assert_eq!(called("1.1.1.1, ::2").await, (200, "::2".into()));
    assert_eq!(called("1.1.1.2, ::2").await, (200, "::2".into()));
    assert_eq!(called("1.1.1.3, ::2").await.0, 429);
    let scrape = Request::get("/metrics").header("x-forwarded-for", "198.51.100.1");
    let scrape = scrape.extension(ConnectInfo(SocketAddr::from(([203, 0, 113, 9], 80)))).body(empty()).unwrap();
    let scraped = app.clone().oneshot(scrape).await.unwrap().into_body().collect().await.unwrap().to_bytes();
    let scraped = std::str::from_utf8(&scraped).unwrap();
    let refused = r#"http_server_requests_total{http_request_method="GET",http_route="/client",leaf="none",http_response_status_code="429"} 1"#;
    assert!(scraped.contains(refused), "{scraped}");

    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    let (_, traced) = ask(Request::get("/trace").header("traceparent", parent), empty()).await;
    assert_eq!(traced[..36], parent.as_bytes()[..36]);
    assert_ne!(traced[36..52], parent.as_bytes()[36..52]);
    assert_eq!(ask(Request::get("/panic"), empty()).await.0.status, 500);
    let app = router();
    let slow = || Request::get("/slow").header("host", "axum.example").body(empty()).unwrap();
    let (first, second) = tokio::join!(app.clone().oneshot(slow()), app.oneshot(slow()));
    assert_eq!((first.unwrap().status().as_u16(), second.unwrap().status().as_u16()), (504, 503));
    assert_eq!(ask(Request::get("/slow"), empty()).await.0.status, 504);
    let stuck = Request::get("/stuck").header("host", "axum.example").body(empty()).unwrap();
    let stuck = router().oneshot(stuck).await.unwrap();
    assert_eq!(stuck.status(), 200);
    let error = stuck.into_body().collect().await.unwrap_err();
    assert_eq!(error.to_string(), "nothing came of the body for 2 s");
    let nothing = axum::body::Body::from_stream(pending::<Result<Bytes, Infallible>>());
    let (head, _) = ask(Request::post("/echo"), nothing).await;
    assert_eq!((head.status.as_u16(), &head.headers["connection"]), (408, &"close".parse().unwrap()));
    assert_eq!(ask(Request::post("/echo"), "0123456789".into()).await.1, "0123456789");
    assert_eq!(ask(Request::post("/echo"), "0123456789x".into()).await.0.status, 413);
    // Axum does not know our failure of a streamed body, and its 400 is corrected.
    let chunks = ["012345", "6789x"].map(|chunk| Ok::<_, Infallible>(Bytes::from(chunk)));
    let streamed = axum::body::Body::from_stream(futures_util::stream::iter(chunks));
    assert_eq!(ask(Request::post("/echo"), streamed).await.0.status, 413);

    let coded = |body: Bytes| ask(Request::post("/echo").header("content-encoding", "gzip"), body.into());
    assert_eq!(coded(gzip(b"0123456789")).await.1, "0123456789");
    assert_eq!(coded(gzip(b"0123456789x")).await.0.status, 413);
    assert_eq!(coded("0123456789".into()).await.0.status, 400);

    assert_eq!(ask(Request::post("/echo").header("sec-fetch-site", "cross-site"), "x".into()).await.0.status, 403);
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
    let greet = service_fn(
        |request: Request<LimitedBody<DecompressedBody<TimedBody<RequestBody<hyper::body::Incoming>>>>>| async move {
            let name = request.extensions().get::<Claims>().unwrap().subject().unwrap_or("nobody").to_owned();
            assert_eq!(request.extensions().get(), Some(&ClientIp([198, 51, 100, 7].into())));
            let response = match request.into_body().collect().await {
                Ok(body) => {
                    Response::builder().header("x-read", body.to_bytes().len()).header("content-type", "text/plain")
                }
                Err(_) => Response::builder().status(400),
            };
            Ok::<_, Infallible>(response.body(Full::<Bytes>::from(format!("{name}\n").repeat(200))).unwrap())
        },
    );
    let counting = metrics();
    let counted = counting.handle();
    let service = ServiceBuilder::new()
        // As whoever accepts connections can do.
        .map_request(|mut request: Request<_>| {
            request.extensions_mut().insert(SocketAddr::from(([203, 0, 113, 9], 4711)));
            request
        })
        .layer(CatchPanicLayer::new())
        .layer(RequestIdLayer::new())
        .layer(HealthCheckLayer::new())
        .layer(ClientIpLayer::new().trusted(["203.0.113.9"]).unwrap())
        .layer(counting)
        .layer(otel())
        .layer(TraceLayer::new())
        .layer(SecurityHeadersLayer::new())
        .layer(HostsLayer::new(["hyper.example", "www.hyper.example"]).unwrap())
        .layer(RedirectLayer::new().host("www.hyper.example", "hyper.example").unwrap())
        .layer(TimeoutLayer::default().body_idle(Duration::from_secs(2)))
        .layer(LoadShedLayer::new(1).unwrap())
        .layer(SensitiveHeadersLayer::default())
        .layer(cors())
        .layer(CsrfLayer::new())
        .layer(StaticLayer::new("/files", "src/layers").unwrap())
        .layer(NormalizePathLayer::redirect())
        .layer(CompressionLayer::new())
        .layer(EtagLayer::new())
        .layer(jwt())
        // The token is enough for both.
        .layer(crate::api_key::layer())
        .layer(crate::basic::layer())
        .layer(RequireAuth::new())
        .layer(DecompressionLayer::new())
        .layer(RateLimitLayer::new(Quota::new(30, Duration::from_secs(60)).unwrap()))
        .layer(BodyLimitLayer::new(10))
        .layer(CacheLayer::new().ttl(Duration::from_secs(60)).unwrap())
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
            .header("x-forwarded-for", "198.51.100.7")
            .header("accept-encoding", "zstd")
            .header("authorization", format!("Bearer {}", token(json!({"iss": "a"}))))
            .body(Full::<Bytes>::from(body))
            .unwrap()
    };
    let response = client.send_request(ask("small")).await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.headers().contains_key("x-request-id"));
    assert_eq!(response.headers()["x-frame-options"], "DENY");
    assert_eq!(response.headers()["content-encoding"], "zstd");
    assert_eq!(response.headers()["ratelimit"], r#""default";r=29;t=2"#);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(decode("zstd", &body), "ann\n".repeat(200).as_bytes());

    client.ready().await.unwrap();
    let mut page = ask("");
    *page.method_mut() = http::Method::GET;
    let tag = client.send_request(page.clone()).await.unwrap().headers()["etag"].clone();
    assert!(tag.to_str().unwrap().ends_with(".zstd\""));
    client.ready().await.unwrap();
    page.headers_mut().insert("if-none-match", tag);
    assert_eq!(client.send_request(page).await.unwrap().status(), 304);
    client.ready().await.unwrap();
    let mut other = ask("small");
    other.headers_mut().insert("host", "axum.example".parse().unwrap());
    assert_eq!(client.send_request(other).await.unwrap().status(), 421);
    client.ready().await.unwrap();
    assert_eq!(client.send_request(ask("much too large")).await.unwrap().status(), 413);
    client.ready().await.unwrap();
    let coded = |text: &str| {
        let mut coded = ask("").map(|_| Full::from(gzip(text.as_bytes())));
        coded.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
        coded
    };
    let response = client.send_request(coded("small")).await.unwrap();
    assert_eq!((response.status().as_u16(), &response.headers()["x-read"]), (200, &"5".parse().unwrap()));
    client.ready().await.unwrap();
    assert_eq!(client.send_request(coded("much too large")).await.unwrap().status(), 413);
    client.ready().await.unwrap();
    let mut foreign = ask("small");
    foreign.headers_mut().insert("origin", "https://evil.example".parse().unwrap());
    assert_eq!(client.send_request(foreign).await.unwrap().status(), 403);
    client.ready().await.unwrap();
    for method in ["GET", "HEAD"] {
        let request = Request::builder().method(method).uri("/healthz").body(Full::default()).unwrap();
        let alive = client.send_request(request).await.unwrap();
        assert_eq!((alive.status().as_u16(), &alive.headers()["content-length"]), (200, &"3".parse().unwrap()));
        assert_eq!(alive.into_body().collect().await.unwrap().to_bytes(), if method == "GET" { "ok\n" } else { "" });
        client.ready().await.unwrap();
    }
    for method in ["GET", "HEAD"] {
        let request = Request::builder().method(method).uri("/files/basic/").header("host", "hyper.example");
        let moved = client.send_request(request.body(Full::default()).unwrap()).await.unwrap();
        // There is no page, so it is for what is inside.
        assert_eq!((moved.status().as_u16(), &moved.headers()["location"]), (308, &"/files/basic".parse().unwrap()));
        client.ready().await.unwrap();
        let request = Request::builder().method(method).uri("/files/basic/mod.rs").header("host", "hyper.example");
        let file = client.send_request(request.body(Full::default()).unwrap()).await.unwrap();
        let announced = std::fs::metadata("src/layers/basic/mod.rs").unwrap().len();
        assert_eq!((file.status().as_u16(), &file.headers()["content-length"]), (200, &announced.into()));
        let body = file.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body.len() as u64, if method == "GET" { announced } else { 0 });
        client.ready().await.unwrap();
    }
    let mut canonical = ask("small");
    canonical.headers_mut().insert("host", "www.hyper.example".parse().unwrap());
    let led = client.send_request(canonical).await.unwrap();
    assert_eq!((led.status().as_u16(), &led.headers()["location"]), (308, &"//hyper.example/".parse().unwrap()));
    client.ready().await.unwrap();
    let mut slashed = ask("small");
    *slashed.uri_mut() = "/page/?of=2".parse().unwrap();
    let moved = client.send_request(slashed).await.unwrap();
    assert_eq!((moved.status().as_u16(), &moved.headers()["location"]), (308, &"/page?of=2".parse().unwrap()));
    client.ready().await.unwrap();
    let mut refused = false;
    for _ in 0..30 {
        refused |= client.send_request(ask("small")).await.unwrap().status() == 429;
        client.ready().await.unwrap();
    }
    assert!(refused, "the quota is used up");
    let scrape = Request::get("/metrics").header("x-forwarded-for", "198.51.100.7").body(Full::default()).unwrap();
    let scraped = client.send_request(scrape).await.unwrap();
    assert_eq!(scraped.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let scraped = scraped.into_body().collect().await.unwrap().to_bytes();
    assert!(scraped.starts_with(b"# HELP http_server_requests_total "));
    let small = r#"http_server_request_body_size_bytes_bucket{http_request_method="POST",http_route="unmatched",leaf="none",le="100"}"#;
    assert!(counted.render().contains(small), "{}", counted.render());
}
