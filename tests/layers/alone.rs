//! Every layer alone around a mock: readiness, calls and errors pass through, stepped by hand.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderName;
use tower_layer::Layer;
use tower_service::Service;
use tower_test::mock::{self, Mock};
use ziggurat::layers::body_limit::LimitedBody;
use ziggurat::layers::decompression::DecompressedBody;
use ziggurat::layers::metrics::RequestBody;
use ziggurat::layers::otel::Export;
use ziggurat::layers::rate_limit::Quota;
use ziggurat::layers::timeout::TimedBody;
use ziggurat::layers::{
    BodyLimitLayer, CacheLayer, CatchPanicLayer, ClientIpLayer, CompressionLayer, CorsLayer, CsrfLayer,
    DecompressionLayer, EtagLayer, HealthCheckLayer, HostsLayer, JwtLayer, LoadShedLayer, MetricsLayer,
    NormalizePathLayer, OtelLayer, RateLimitLayer, RedirectLayer, RequestId, RequestIdLayer, RequireAuth,
    SecurityHeadersLayer, SensitiveHeadersLayer, StaticLayer, TimeoutLayer, TraceLayer,
};
use ziggurat::{Body, BoxError, Request, Response};

use crate::support::{IntoOurs, SECRET, get, problem, text};

async fn is_transparent<B: Send + 'static, L>(layer: L)
where
    L: Layer<Mock<Request<B>, Response>>,
    L::Service: Service<Request, Error = BoxError>,
    <L::Service as Service<Request>>::Response: IntoOurs,
{
    let (mut service, mut inner) = mock::spawn_layer::<Request<B>, Response, L>(layer);
    inner.allow(0);
    assert!(service.poll_ready().is_pending(), "not ready while the inner service is not");
    inner.allow(2);
    assert!(matches!(service.poll_ready(), std::task::Poll::Ready(Ok(()))));

    let answer = service.call(get("/x", &[]));
    let serve = async {
        let (request, reply) = inner.next_request().await.unwrap();
        assert_eq!(request.uri(), "/x");
        reply.send_response(Response::new(Body::from("hello")));
    };
    let (answer, ()) = tokio::join!(answer, serve);
    assert_eq!(text(answer.ok().unwrap().into_ours()).await, "hello");

    assert!(matches!(service.poll_ready(), std::task::Poll::Ready(Ok(()))));
    let answer = service.call(get("/x", &[]));
    let serve = async { inner.next_request().await.unwrap().1.send_error("the inner error") };
    let (answer, ()) = tokio::join!(answer, serve);
    assert_eq!(answer.err().unwrap().to_string(), "the inner error");
}

#[tokio::test]
async fn layers_hand_readiness_answers_and_errors_through() {
    is_transparent::<Body, _>(CatchPanicLayer::new()).await;
    is_transparent::<Body, _>(RequestIdLayer::new()).await;
    is_transparent::<Body, _>(HealthCheckLayer::new()).await;
    is_transparent::<Body, _>(ClientIpLayer::new()).await;
    is_transparent::<RequestBody<Body>, _>(MetricsLayer::new()).await;
    is_transparent::<Body, _>(OtelLayer::to(Export::new().sample(0.0).unwrap()).unwrap()).await;
    is_transparent::<Body, _>(TraceLayer::new()).await;
    is_transparent::<Body, _>(SecurityHeadersLayer::new()).await;
    is_transparent::<Body, _>(RedirectLayer::new().path("/old", "/new").unwrap()).await;
    is_transparent::<Body, _>(TimeoutLayer::default()).await;
    is_transparent::<TimedBody<Body>, _>(TimeoutLayer::default().body_idle(Duration::from_secs(9))).await;
    is_transparent::<TimedBody<Body>, _>(TimeoutLayer::default().total(Duration::from_secs(9))).await;
    is_transparent::<Body, _>(LoadShedLayer::new(1).unwrap()).await;
    is_transparent::<Body, _>(SensitiveHeadersLayer::default()).await;
    is_transparent::<Body, _>(CorsLayer::new().build().unwrap()).await;
    is_transparent::<Body, _>(CsrfLayer::new()).await;
    is_transparent::<Body, _>(StaticLayer::new("/", "src").unwrap()).await;
    is_transparent::<Body, _>(NormalizePathLayer::trim()).await;
    is_transparent::<Body, _>(NormalizePathLayer::redirect()).await;
    is_transparent::<Body, _>(CompressionLayer::new()).await;
    is_transparent::<Body, _>(EtagLayer::new()).await;
    is_transparent::<LimitedBody<Body>, _>(BodyLimitLayer::default()).await;
    is_transparent::<DecompressedBody<Body>, _>(DecompressionLayer::new()).await;
    is_transparent::<Body, _>(crate::api_key::layer().required(false)).await;
    is_transparent::<Body, _>(crate::basic::layer().required(false)).await;
    is_transparent::<Body, _>(RateLimitLayer::new(Quota::new(2, Duration::from_secs(60)).unwrap())).await;
    is_transparent::<Body, _>(JwtLayer::secret(SECRET).unwrap().required(false)).await;
    is_transparent::<Body, _>(CacheLayer::new()).await;
}

#[test]
fn layers_are_cheap_to_share() {
    fn is_shared<T: Send + Sync + Clone + std::fmt::Debug + 'static>(_: &T) {}
    is_shared(&CatchPanicLayer::new());
    is_shared(&RequestIdLayer::new());
    is_shared(&HealthCheckLayer::new());
    is_shared(&ClientIpLayer::new());
    is_shared(&MetricsLayer::new());
    is_shared(&OtelLayer::to(Export::new().sample(0.0).unwrap()).unwrap());
    is_shared(&TraceLayer::new());
    is_shared(&SecurityHeadersLayer::new());
    is_shared(&HostsLayer::new(["a.example"]).unwrap());
    is_shared(&RedirectLayer::new());
    is_shared(&TimeoutLayer::default());
    is_shared(&TimeoutLayer::default().total(Duration::from_secs(9)));
    is_shared(&LoadShedLayer::new(1).unwrap());
    is_shared(&SensitiveHeadersLayer::default());
    is_shared(&CorsLayer::new().build().unwrap());
    is_shared(&CsrfLayer::new().exempt("/open").unwrap());
    is_shared(&StaticLayer::new("/", "src").unwrap());
    is_shared(&NormalizePathLayer::trim());
    is_shared(&CompressionLayer::new());
    is_shared(&EtagLayer::new());
    is_shared(&BodyLimitLayer::default());
    is_shared(&DecompressionLayer::new());
    is_shared(&RateLimitLayer::new(Quota::new(1, Duration::from_secs(60)).unwrap()));
    is_shared(&JwtLayer::secret(SECRET).unwrap());
    is_shared(&crate::api_key::layer());
    is_shared(&crate::basic::layer());
    is_shared(&CacheLayer::new());
    is_shared(&RequireAuth::new());
}

#[tokio::test]
async fn what_is_meant_for_another_host_never_arrives() {
    let layer = HostsLayer::new(["Example.org", "*.example.org", "[::1]"]).unwrap();
    let (mut service, mut inner) = mock::spawn_layer::<Request, Response, _>(layer);
    let cases: [(&str, &[&str], u16); 16] = [
        ("/", &["example.org"], 200),
        ("/", &["EXAMPLE.ORG.:65535"], 200),
        ("/", &["a.b.example.org"], 200),
        ("/", &["[::1]:80"], 200),
        ("http://example.org/", &[], 200),
        ("http://example.org/", &["a.example.org"], 200),
        ("/", &["evil.example"], 421),
        ("/", &["notexample.org"], 421),
        ("/", &["example.org.evil.example"], 421),
        ("/", &["[::2]"], 421),
        // As HTTP/2 sends it, and both have to be known.
        ("http://evil.example/", &["example.org"], 421),
        ("http://example.org/", &["evil.example"], 421),
        ("/", &[], 400),
        ("/", &[""], 400),
        ("/", &["example.org", "example.org"], 400),
        ("/", &["user@example.org"], 400),
    ];
    for (target, hosts, wanted) in cases {
        let hosts: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
        inner.allow(1);
        assert!(service.poll_ready().is_ready());
        let answer = service.call(get(target, &hosts));
        if wanted == 200 {
            inner.next_request().await.unwrap().1.send_response(Response::default());
        }
        assert_eq!(answer.await.unwrap().status().as_u16(), wanted, "{target} {hosts:?}");
    }
}

#[test]
fn hosts_are_written_bare() {
    for name in ["", "*", "*.", "*.*.a", "a.*", "a:80", "http://a", "a/b", "u@a", "a.", "*.[::1]", "a b", "::1"] {
        let error = HostsLayer::new([name]).unwrap_err().to_string();
        assert!(error.contains(&format!("{name:?} is no host")) && error.contains("; "), "{error}");
    }
    let none: [&str; 0] = [];
    assert!(HostsLayer::new(none).unwrap_err().to_string().contains("no host is known"));
}

#[tokio::test]
async fn a_panic_is_a_500_that_tells_nothing() {
    use tower::{ServiceExt, service_fn};
    for in_call in [true, false] {
        let panics = service_fn(move |_: Request| {
            assert!(!in_call, "inner secret");
            async move {
                tokio::task::yield_now().await;
                panic!("inner secret {}", 1);
                #[allow(unreachable_code)]
                Ok::<Response, std::convert::Infallible>(Response::default())
            }
        });
        let response = CatchPanicLayer::new().layer(panics).oneshot(get("/", &[])).await.unwrap();
        assert_eq!(response.status(), 500);
        assert!(!problem(response).await.to_string().contains("secret"));
    }
}

#[tokio::test]
async fn an_incoming_id_is_replaced_unless_trusted_and_well_formed() {
    let header = "x-request-id";
    for (layer, sent, kept) in [
        (RequestIdLayer::new(), vec!["abc"], false),
        (RequestIdLayer::new().trust_incoming(true), vec!["abc"], true),
        (RequestIdLayer::new().trust_incoming(true), vec!["abc", "def"], false),
        (RequestIdLayer::new().trust_incoming(true), vec!["a b"], false),
        (RequestIdLayer::new().trust_incoming(true), vec![""], false),
    ] {
        let (mut service, mut inner) = mock::spawn_layer::<Request, Response, _>(layer);
        inner.allow(1);
        assert!(service.poll_ready().is_ready());
        let mut request = get("/", &[]);
        for value in &sent {
            request.headers_mut().append(header, value.parse().unwrap());
        }
        let answer = service.call(request);
        let (request, reply) = inner.next_request().await.unwrap();
        let seen: Vec<_> = request.headers().get_all(header).iter().cloned().collect();
        assert_eq!(seen.len(), 1);
        assert_eq!(request.extensions().get::<RequestId>().unwrap().as_header(), seen[0]);
        assert_eq!(seen[0] == "abc", kept, "{sent:?}");
        reply.send_response(Response::default());
        let response = answer.await.unwrap();
        assert_eq!(response.headers()[header], seen[0]);
        assert_eq!(response.extensions().get::<RequestId>().unwrap().as_header(), seen[0]);
    }
}

#[tokio::test]
async fn sensitive_values_are_marked_both_ways() {
    let layer = SensitiveHeadersLayer::new([HeaderName::from_static("x-key")]);
    let (mut service, mut inner) = mock::spawn_layer::<Request, Response, _>(layer);
    inner.allow(1);
    assert!(service.poll_ready().is_ready());
    let answer = service.call(get("/", &[("x-key", "1"), ("x-other", "2")]));
    let (request, reply) = inner.next_request().await.unwrap();
    assert!(request.headers()["x-key"].is_sensitive() && !request.headers()["x-other"].is_sensitive());
    let mut response = Response::new(Body::from(Bytes::new()));
    response.headers_mut().insert("x-key", "3".parse().unwrap());
    reply.send_response(response);
    assert!(answer.await.unwrap().headers()["x-key"].is_sensitive());
}
