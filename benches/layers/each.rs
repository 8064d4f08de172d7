//! What each layer adds to a service that answers at once, beside tower-http's where that has one for the same, and what the stack adds
//! that every app has.

use std::convert::Infallible;
use std::fmt::Debug;
use std::future::ready;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use futures_util::FutureExt;
use http::StatusCode;
use http::header::{HOST, ORIGIN};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use tower::{Layer, Service, service_fn};
use tower_http::catch_panic::CatchPanicLayer as TheirCatchPanic;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::request_id::{MakeRequestUuid, SetRequestIdLayer};
use tower_http::timeout::TimeoutLayer as TheirTimeout;
use tower_http::trace::{DefaultMakeSpan, DefaultOnResponse, TraceLayer as TheirTrace};
use tracing::Level;
use ziggurat::layers::otel::Export;
use ziggurat::layers::rate_limit::Quota;
use ziggurat::layers::{
    BodyLimitLayer, CacheLayer, CatchPanicLayer, ClientIpLayer, CompressionLayer, CorsLayer, CsrfLayer,
    DecompressionLayer, EtagLayer, HealthCheckLayer, HostsLayer, LayerSpec, LoadShedLayer, MetricsLayer,
    NormalizePathLayer, OtelLayer, RateLimitLayer, RequestIdLayer, SecurityHeadersLayer, SensitiveHeadersLayer,
    StaticLayer, TimeoutLayer, TraceLayer, foundation,
};
use ziggurat::{Body, Request, Response, Route};

const ORIGIN_OF_PAGE: &str = "https://example.org";

/// Answers at once; the layers around it are all that costs.
macro_rules! inner {
    ($body:ty) => {
        service_fn(|request: http::Request<$body>| {
            black_box(&request);
            ready(Ok::<Response, Infallible>(Response::default()))
        })
    };
}

fn request() -> Request {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = "/users/7".parse().unwrap_or_default();
    for (name, value) in [(HOST, "example.org"), (ORIGIN, ORIGIN_OF_PAGE)] {
        request.headers_mut().insert(name, http::HeaderValue::from_static(value));
    }
    request.extensions_mut().insert(SocketAddr::from((Ipv4Addr::LOCALHOST, 1)));
    request
}

#[allow(clippy::unwrap_used)] // A benchmark may fail.
fn measure<S, B>(c: &mut Criterion, group: &str, whose: &str, mut service: S)
where
    S: Service<Request, Response = http::Response<B>>,
    S::Error: Debug,
{
    let mut call = |request| {
        let response = service.call(request).now_or_never().unwrap().unwrap();
        assert!(response.status().is_success());
        response
    };
    c.benchmark_group(group).bench_function(whose, |b| b.iter_batched(request, &mut call, BatchSize::SmallInput));
}

#[allow(clippy::unwrap_used)] // A benchmark may fail.
fn layers(c: &mut Criterion) {
    // Lines are made, and go nowhere.
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _inside = runtime.enter();
    let minute = Duration::from_secs(60);

    measure(c, "nothing", "the service alone", inner!(Body));
    measure(c, "CatchPanic", "ziggurat", CatchPanicLayer::new().layer(inner!(Body)));
    measure(c, "CatchPanic", "tower-http", TheirCatchPanic::new().layer(inner!(Body)));
    measure(c, "RequestId", "ziggurat", RequestIdLayer::new().layer(inner!(Body)));
    let theirs = SetRequestIdLayer::x_request_id(MakeRequestUuid);
    measure(c, "RequestId", "tower-http", theirs.layer(inner!(Body)));
    measure(c, "Trace", "ziggurat", TraceLayer::new().layer(inner!(Body)));
    let theirs = TheirTrace::new_for_http()
        .make_span_with(DefaultMakeSpan::new().level(Level::INFO))
        .on_response(DefaultOnResponse::new().level(Level::INFO));
    measure(c, "Trace", "tower-http", theirs.layer(inner!(Body)));
    measure(c, "Timeout", "ziggurat", TimeoutLayer::new(minute).layer(inner!(Body)));
    let bodies = TimeoutLayer::new(minute).body_idle(minute).total(minute);
    measure(c, "Timeout", "ziggurat, also of bodies", bodies.layer(inner!(ziggurat::layers::timeout::TimedBody<Body>)));
    let theirs = TheirTimeout::with_status_code(StatusCode::GATEWAY_TIMEOUT, minute);
    measure(c, "Timeout", "tower-http", theirs.layer(inner!(Body)));
    let limit = BodyLimitLayer::new(1 << 20);
    measure(c, "BodyLimit", "ziggurat", limit.layer(inner!(ziggurat::layers::body_limit::LimitedBody<Body>)));
    let theirs = RequestBodyLimitLayer::new(1 << 20);
    measure(c, "BodyLimit", "tower-http", theirs.layer(inner!(tower_http::body::Limited<Body>)));

    let cors = CorsLayer::new().allow_origins([ORIGIN_OF_PAGE]).build().unwrap();
    measure(c, "Cors", "ziggurat", cors.layer(inner!(Body)));
    measure(c, "ClientIp", "ziggurat", ClientIpLayer::new().layer(inner!(Body)));
    measure(c, "SecurityHeaders", "ziggurat", SecurityHeadersLayer::new().layer(inner!(Body)));
    measure(c, "HealthCheck", "ziggurat", HealthCheckLayer::new().layer(inner!(Body)));
    let metrics = MetricsLayer::new();
    measure(c, "Metrics", "ziggurat", metrics.layer(inner!(ziggurat::layers::metrics::RequestBody<Body>)));
    let counter: Family<Vec<(String, String)>, Counter> = Family::default();
    let theirs = Histogram::new(exponential_buckets(0.001, 2.0, 14));
    let by_hand = service_fn(move |request: Request| {
        // What a middleware does that is written with the crate alone: labels by value, a counter and a histogram.
        let begun = std::time::Instant::now();
        let labels = vec![("method".to_owned(), request.method().to_string()), ("route".to_owned(), "/".to_owned())];
        counter.get_or_create(&labels).inc();
        theirs.observe(begun.elapsed().as_secs_f64());
        ready(Ok::<Response, Infallible>(Response::default()))
    });
    measure(c, "Metrics", "prometheus-client by hand", by_hand);
    let spans =
        |ratio| OtelLayer::to(Export::new().endpoint("http://[::1]:1").unwrap().sample(ratio).unwrap()).unwrap();
    measure(c, "Otel", "nothing is sampled", spans(0.0).layer(inner!(Body)));
    // To nowhere: the queue is full soon, and spans are dropped at its end.
    measure(c, "Otel", "all is sampled", spans(1.0).layer(inner!(Body)));
    measure(c, "Hosts", "ziggurat", HostsLayer::new(["example.org"]).unwrap().layer(inner!(Body)));
    measure(c, "LoadShed", "ziggurat", LoadShedLayer::new(1000).unwrap().layer(inner!(Body)));
    let sensitive = SensitiveHeadersLayer::new([http::header::AUTHORIZATION]);
    measure(c, "SensitiveHeaders", "ziggurat", sensitive.layer(inner!(Body)));
    measure(c, "Csrf", "ziggurat", CsrfLayer::new().layer(inner!(Body)));
    measure(c, "Static", "ziggurat", StaticLayer::new("/static", "src").unwrap().layer(inner!(Body)));
    measure(c, "NormalizePath", "ziggurat", NormalizePathLayer::trim().layer(inner!(Body)));
    measure(c, "Compression", "ziggurat", CompressionLayer::new().layer(inner!(Body)));
    let decompression = DecompressionLayer::new();
    measure(
        c,
        "Decompression",
        "ziggurat",
        decompression.layer(inner!(ziggurat::layers::decompression::DecompressedBody<Body>)),
    );
    measure(c, "Etag", "ziggurat", EtagLayer::new().layer(inner!(Body)));
    // The first request is handed on, and the others are answered by what was kept.
    let cache = CacheLayer::new().ttl(minute).unwrap();
    measure(c, "Cache", "ziggurat, kept", cache.layer(inner!(Body)));
    measure(c, "Cache", "ziggurat, not kept", CacheLayer::new().layer(inner!(Body)));
    let client = |parts: &http::request::Parts| parts.extensions.get().map(|peer: &SocketAddr| -> IpAddr { peer.ip() });
    let limit = RateLimitLayer::new(Quota::new(u32::MAX, Duration::from_secs(10)).unwrap()).key(client);
    measure(c, "RateLimit", "ziggurat", limit.layer(inner!(Body)));

    let stack = foundation(LayerSpec::list_from_json(r#"[{"type": "Trace"}]"#).unwrap());
    let whole =
        stack.into_iter().rev().fold(Route::new(inner!(Body)), |route, spec| spec.build().unwrap().apply(route));
    measure(c, "default stack", "with Trace", whole);
    let stack = foundation(Vec::new());
    let whole =
        stack.into_iter().rev().fold(Route::new(inner!(Body)), |route, spec| spec.build().unwrap().apply(route));
    measure(c, "default stack", "without Trace", whole);
    measure(c, "default stack", "no layers, erased", Route::new(inner!(Body)));
}

criterion_group!(benches, layers);
criterion_main!(benches);
