//! Who may read what is counted, and in which format.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use http::Method;
use tower::{Service, ServiceExt, service_fn};
use tower_layer::Layer;
use ziggurat::layers::metrics::RequestBody;
use ziggurat::layers::spec::LayerHandle;
use ziggurat::layers::{ClientIp, LayerSpec, MetricsLayer, StaticLayer};
use ziggurat::{Body, Request, Response, Route};

use crate::metrics::{counting, value};
use crate::support::{get, text};

fn from(path: &str, peer: &str, headers: &[(&str, &str)]) -> Request {
    let mut request = get(path, headers);
    request.extensions_mut().insert(SocketAddr::from((peer.parse::<IpAddr>().unwrap(), 4711)));
    request
}

#[tokio::test]
async fn neighbours_alone_may_read() {
    let (mut service, _) = counting(|_| async { Ok(Response::new(Body::from("a page"))) });
    let mut reads = async |request: Request| {
        let text = text(service.call(request).await.unwrap().map(Body::from)).await;
        assert!(text == "a page" || text.starts_with("# HELP"), "{text}");
        text != "a page"
    };
    for peer in [
        "127.0.0.1",
        "::1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.7.7",
        "169.254.0.1",
        "fd00::1",
        "fe80::1",
        "::ffff:10.0.0.1",
    ] {
        assert!(reads(from("/metrics", peer, &[])).await, "{peer}");
        assert!(!reads(from("/metrics/", peer, &[])).await, "{peer}");
        for header in ["forwarded", "x-forwarded-for", "x-forwarded-proto", "x-real-ip", "via"] {
            let forwarded = from("/metrics", peer, &[(header, "127.0.0.1")]);
            assert!(!reads(forwarded).await, "a proxy stands between: {peer} {header}");
            let mut untrusted = from("/metrics", peer, &[(header, "127.0.0.1")]);
            untrusted.extensions_mut().insert(ClientIp(peer.parse::<IpAddr>().unwrap().to_canonical()));
            assert!(!reads(untrusted).await, "a ClientIp that trusts nobody: {peer} {header}");
        }
    }
    for peer in ["203.0.113.1", "172.32.0.1", "2001:db8::1", "::ffff:203.0.113.1", "0.0.0.0", "::"] {
        assert!(!reads(from("/metrics", peer, &[])).await, "{peer}");
    }
    assert!(!reads(get("/metrics", &[])).await, "nobody knows who asks");
    let mut through = from("/metrics", "203.0.113.1", &[("x-forwarded-for", "10.0.0.1")]);
    through.extensions_mut().insert(ClientIp([10, 0, 0, 1].into()));
    assert!(reads(through).await, "a trusted proxy says who asks");
    let mut mapped = from("/metrics", "203.0.113.1", &[("x-forwarded-for", "::ffff:10.0.0.1")]);
    mapped.extensions_mut().insert(ClientIp("::ffff:10.0.0.1".parse().unwrap()));
    assert!(reads(mapped).await, "in whatever way it is written");
    let mut through = from("/metrics", "10.0.0.1", &[("x-forwarded-for", "203.0.113.1")]);
    through.extensions_mut().insert(ClientIp([203, 0, 113, 1].into()));
    assert!(!reads(through).await);
    let mut post = from("/metrics", "127.0.0.1", &[]);
    *post.method_mut() = Method::POST;
    assert!(!reads(post).await);
}

#[tokio::test]
async fn who_may_read_and_where_can_be_said() {
    let page = || {
        service_fn(|_: Request<RequestBody<Body>>| async { Ok::<_, Infallible>(Response::new(Body::from("a page"))) })
    };
    let reads = async |layer: &MetricsLayer, request: Request| {
        text(layer.layer(page()).oneshot(request).await.unwrap().map(Body::from)).await != "a page"
    };
    let named = MetricsLayer::new().allow(["203.0.113.0/24", "2001:db8::7"]).unwrap().path("/internal").unwrap();
    for (peer, wanted) in
        [("203.0.113.9", true), ("::ffff:203.0.113.9", true), ("2001:db8::7", true), ("10.0.0.1", false)]
    {
        assert_eq!(reads(&named, from("/internal", peer, &[])).await, wanted, "{peer}");
    }
    assert!(!reads(&named, from("/metrics", "203.0.113.9", &[])).await);
    let open = MetricsLayer::new().allow(["*"]).unwrap();
    assert!(reads(&open, get("/metrics", &[("via", "a proxy")])).await);
    let closed = open.without_path();
    assert!(!reads(&closed, get("/metrics", &[])).await);
    let error = closed.clone().allow(["*"]).unwrap_err().to_string();
    assert_eq!(
        error,
        "Metrics: allow is given, but there is no path; leave allow out, and guard the route that answers"
    );
    assert!(reads(&closed.path("/other").unwrap().allow(["*"]).unwrap(), get("/other", &[])).await);
}

#[tokio::test]
async fn of_a_description_the_handle_reads() {
    let build = |json: &str| LayerSpec::from_json(json).unwrap().build();
    let page = Route::new(service_fn(|_: Request| async { Ok::<_, Infallible>(Response::new(Body::from("a page"))) }));
    for (json, wanted) in [
        (r#"{"type": "Metrics"}"#, "# HELP"),
        (r#"{"type": "Metrics", "path": null}"#, "a page"),
        (r#"{"type": "Metrics", "path": "/other"}"#, "a page"),
    ] {
        let layer = build(json).unwrap();
        let Some(LayerHandle::Metrics(handle)) = layer.handle() else { panic!("{json}") };
        let read = layer.apply(page.clone()).oneshot(from("/metrics", "127.0.0.1", &[])).await.unwrap();
        assert!(text(read).await.starts_with(wanted), "{json}");
        let counted = value(&handle.render(), "http_server_requests_total", &[]);
        assert_eq!(counted, (wanted == "a page").then_some(1.0), "{json}");
    }
    let error = build(r#"{"type": "Metrics", "path": null, "allow": ["*"]}"#).unwrap_err().to_string();
    assert!(error.contains("allow is given, but there is no path"), "{error}");
    assert!(build(r#"{"type": "Timeout"}"#).unwrap().handle().is_none());
}

#[tokio::test]
async fn answers_are_of_the_format_that_is_asked_for() {
    let layer = MetricsLayer::new().allow(["*"]).unwrap();
    let answer = async |method: &str, accept: &str| {
        let inner =
            service_fn(|_: Request<RequestBody<Body>>| async { Ok::<_, Infallible>(Response::<Body>::default()) });
        let request = Request::builder().method(method).uri("/metrics").header("accept", accept);
        layer.layer(inner).oneshot(request.body(Body::empty()).unwrap()).await.unwrap().map(Body::from)
    };
    let plain = answer("GET", "text/html, */*").await;
    assert_eq!(plain.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    assert_eq!(
        (&plain.headers()["cache-control"], &plain.headers()["x-content-type-options"]),
        (&"no-store".parse().unwrap(), &"nosniff".parse().unwrap())
    );
    let announced = plain.headers()["content-length"].to_str().unwrap().parse::<usize>().unwrap();
    let plain = text(plain).await;
    assert_eq!(plain.len(), announced);
    assert!(plain.contains("# TYPE http_server_requests_total counter\n") && !plain.contains("# EOF"), "{plain}");
    let accept = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    let open = answer("GET", accept).await;
    assert_eq!(open.headers()["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8");
    let open = text(open).await;
    assert!(open.contains("# TYPE http_server_requests counter\n") && open.ends_with("# EOF\n"), "{open}");
    let head = answer("HEAD", "").await;
    assert!(head.headers()["content-length"].to_str().unwrap().parse::<usize>().unwrap() > 100);
    assert_eq!(text(head).await, "");
    #[cfg(target_os = "linux")]
    for name in ["process_resident_memory_bytes", "process_open_fds", "process_start_time_seconds"] {
        assert!(value(&plain, name, &[]).unwrap() > 0.0, "{name}");
    }
    #[cfg(target_os = "linux")]
    assert!(value(&plain, "process_cpu_seconds_total", &[]).is_some(), "it may be younger than a tick");
}

#[tokio::test]
async fn files_are_known_by_the_path_that_they_are_below() {
    for (mount, path, route, leaf, status) in [
        ("/static", "/static/lib.rs", "/static/*", "native", "200"),
        ("/static", "/static/service", "/static/*", "native", "308"),
        ("/static", "/static/other", "unmatched", "none", "404"),
        ("/", "/lib.rs", "/*", "native", "200"),
        ("/", "/page", "/*", "native", "200"),
    ] {
        let metrics = MetricsLayer::new();
        let handle = metrics.handle();
        let files = StaticLayer::new(mount, "src").unwrap().index(Some("mod.rs")).unwrap();
        let files = if mount == "/" { files.fallback("lib.rs").unwrap() } else { files };
        let inner = files.into_service().map_request(|request: Request<RequestBody<Body>>| request.map(Body::from));
        metrics.layer(inner).oneshot(get(path, &[("accept", "text/html")])).await.unwrap();
        let labels = [("http_route", route), ("leaf", leaf), ("http_response_status_code", status)];
        assert_eq!(value(&handle.render(), "http_server_requests_total", &labels), Some(1.0), "{path}");
    }
}
