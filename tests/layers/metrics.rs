//! What is counted of requests.

use std::convert::Infallible;
use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt;
use http::Method;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use tower::{Service, ServiceExt, service_fn};
use tower_layer::Layer;
use ziggurat::crud::schema::{Field, Type, Unknown};
use ziggurat::crud::store::sqlite::{SqliteOptions, SqliteStore};
use ziggurat::crud::{Resource, ResourceOptions, Schema, Store};
use ziggurat::layers::metrics::{MetricsHandle, RequestBody};
use ziggurat::layers::{MetricsLayer, RequireAuth};
use ziggurat::service::{Dispatcher, Leaf, LeafKind, RouteTableBuilder, Stack};
use ziggurat::{Body, BoxError, Request, Response, Route};

use crate::support::{bytes, channel, get};

/// The value of the one series with this name and all these labels.
pub fn value(metrics: &str, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let holds = |line: &&str| {
        let is_named = line.strip_prefix(name).is_some_and(|rest| rest.starts_with('{') || rest.starts_with(' '));
        is_named && labels.iter().all(|(label, value)| line.contains(&format!("{label}=\"{value}\"")))
    };
    let found: Vec<&str> = metrics.lines().filter(holds).collect();
    assert!(found.len() < 2, "{found:?}");
    found.first().map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
}

fn requests(handle: &MetricsHandle, method: &str, route: &str, leaf: &str, status: &str) -> Option<f64> {
    let labels = [("http_request_method", method), ("http_route", route), ("leaf", leaf)];
    let labels = [&labels[..], &[("http_response_status_code", status)]].concat();
    let metrics = handle.render();
    let count = value(&metrics, "http_server_requests_total", &labels);
    assert_eq!(count, value(&metrics, "http_server_request_duration_seconds_count", &labels));
    count
}

fn active(handle: &MetricsHandle) -> f64 {
    value(&handle.render(), "http_server_active_requests", &[("http_request_method", "GET")]).unwrap()
}

pub type Counting<S> = ziggurat::layers::metrics::Metrics<S>;

pub fn counting<F, R>(answer: F) -> (Counting<tower::util::ServiceFn<F>>, MetricsHandle)
where
    F: FnMut(Request<RequestBody<Body>>) -> R,
    R: Future<Output = Result<Response, BoxError>>,
{
    let layer = MetricsLayer::new();
    let handle = layer.handle();
    (layer.layer(service_fn(answer)), handle)
}

#[tokio::test]
async fn names_that_clients_make_up_make_one_series() {
    let (mut service, handle) = counting(|_| async { Ok(Response::default()) });
    for number in 0..100_000 {
        let request =
            Request::builder().method(format!("M{number}").as_str()).uri(format!("/{number}/wp-admin?a={number}"));
        service.call(request.body(Body::empty()).unwrap()).await.unwrap();
    }
    let metrics = handle.render();
    let series = |name: &str| metrics.lines().filter(|line| line.starts_with(name)).count();
    assert_eq!(series("http_server_requests_total"), 1);
    assert_eq!(series("http_server_request_duration_seconds_count"), 1);
    assert_eq!(requests(&handle, "_OTHER", "unmatched", "none", "200"), Some(100_000.0));
    assert!(!metrics.contains("wp-admin") && !metrics.contains("M1"), "{metrics}");
}

#[tokio::test]
async fn every_way_to_end_is_counted_once() {
    let (mut service, handle) = counting(|request| {
        assert_ne!(request.uri().path(), "/panic at once");
        let path = request.uri().path().to_owned();
        assert_ne!(path, "/panics");
        async move {
            match &*path {
                "/panics-later" => panic!("boom"),
                "/fails" => Err("the inner error".into()),
                "/hangs" => pending().await,
                _ => Ok(Response::default()),
            }
        }
    });
    let panicked = std::panic::AssertUnwindSafe(async { service.call(get("/panics", &[])).await });
    assert!(panicked.catch_unwind().await.is_err());
    assert_eq!(requests(&handle, "GET", "unmatched", "none", "500"), Some(1.0));
    assert!(std::panic::AssertUnwindSafe(service.call(get("/panics-later", &[]))).catch_unwind().await.is_err());
    assert_eq!(requests(&handle, "GET", "unmatched", "none", "500"), Some(2.0));
    assert!(service.call(get("/fails", &[])).await.is_err());
    assert_eq!(requests(&handle, "GET", "unmatched", "none", "500"), Some(3.0));
    assert!(service.call(get("/hangs", &[])).now_or_never().is_none());
    assert_eq!(requests(&handle, "GET", "unmatched", "none", "499"), Some(1.0), "the client has left");
    drop(service.call(get("/hangs", &[])));
    assert_eq!(requests(&handle, "GET", "unmatched", "none", "499"), Some(2.0), "before it was looked at");
    service.call(get("/", &[])).await.unwrap();
    assert_eq!(requests(&handle, "GET", "unmatched", "none", "200"), Some(1.0));
    assert_eq!(active(&handle), 0.0);
}

#[tokio::test]
async fn a_request_is_active_until_its_body_has_ended() {
    let (sender, body) = channel();
    let mut body = Some(body);
    let (mut service, handle) = counting(move |_| {
        let body = body.take();
        async move { Ok(Response::new(body.unwrap())) }
    });
    let size = |what: &str| value(&handle.render(), &format!("http_server_response_body_size_bytes_{what}"), &[]);
    let answer = service.call(get("/", &[]));
    assert_eq!(active(&handle), 1.0);
    let mut answer = answer.await.unwrap();
    assert_eq!(requests(&handle, "GET", "unmatched", "none", "200"), Some(1.0), "its duration is that of the head");
    assert_eq!((active(&handle), size("count")), (1.0, Some(0.0)));
    sender.send(Ok(Bytes::from("12345"))).unwrap();
    answer.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(active(&handle), 1.0);
    drop(sender);
    assert!(answer.body_mut().frame().await.is_none());
    assert_eq!((active(&handle), size("sum"), size("count")), (0.0, Some(5.0), Some(1.0)));
}

#[tokio::test]
async fn sizes_are_those_of_what_was_sent() {
    let (mut service, handle) = counting(|request| async move {
        let read = request.into_body().collect().await.unwrap().to_bytes().len();
        Ok(Response::new(Body::from(vec![0; read * 2])))
    });
    let (sender, streamed) = channel();
    for chunk in ["12", "345"] {
        sender.send(Ok(Bytes::from(chunk))).unwrap();
    }
    drop(sender);
    for body in [Body::from("1234567890"), streamed] {
        let answer = service.call(http::Request::post("/").body(body).unwrap()).await.unwrap();
        bytes(answer.map(Body::from)).await;
    }
    let head = http::Request::head("/").body(Body::from("1")).unwrap();
    let head = service.call(head).await.unwrap();
    // It has ended, though its body was not asked for.
    let metrics = handle.render();
    drop(head);
    let sum = |name: &str, method: &str| value(&metrics, &format!("{name}_sum"), &[("http_request_method", method)]);
    assert_eq!(sum("http_server_request_body_size_bytes", "POST"), Some(15.0));
    assert_eq!(sum("http_server_response_body_size_bytes", "POST"), Some(30.0));
    assert_eq!(sum("http_server_response_body_size_bytes", "HEAD"), Some(0.0));
    assert_eq!(value(&metrics, "http_server_active_requests", &[("http_request_method", "HEAD")]), Some(0.0));
}

/// Announces more than anybody has.
struct Boast;

impl http_body::Body for Boast {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(None)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(u64::MAX - 1)
    }
}

#[tokio::test]
async fn what_is_announced_is_not_believed() {
    let (mut service, handle) =
        counting(|_| async { Ok(ziggurat::Problem::of(http::StatusCode::PAYLOAD_TOO_LARGE).into_response()) });
    for body in [Body::new(Boast), Body::new(Boast), Body::new(http_body_util::Full::new(Bytes::from("12")))] {
        service.call(http::Request::post("/").body(body).unwrap()).await.unwrap();
    }
    let metrics = handle.render();
    let size = |what: &str| value(&metrics, &format!("http_server_request_body_size_bytes_{what}"), &[]);
    assert_eq!((size("sum"), size("count")), (Some(0.0), Some(3.0)));
}

#[tokio::test]
async fn a_body_in_memory_stays_as_it_is() {
    let layer = MetricsLayer::new();
    let handle = layer.handle();
    let inner = service_fn(|request: Request<RequestBody<Body>>| async {
        assert_eq!(Body::from(request.into_body()).as_bytes().unwrap(), "1234");
        Ok::<_, Infallible>(Response::<Body>::default())
    });
    layer.layer(inner).oneshot(http::Request::post("/").body(Body::from("1234")).unwrap()).await.unwrap();
    assert_eq!(value(&handle.render(), "http_server_request_body_size_bytes_sum", &[]), Some(4.0));
}

#[tokio::test]
async fn buckets_are_those_that_are_advised() {
    let (mut service, handle) = counting(|_| async { Ok(Response::default()) });
    service.call(get("/", &[])).await.unwrap();
    let metrics = handle.render();
    let ends: Vec<&str> = metrics
        .lines()
        .filter(|line| line.starts_with("http_server_request_duration_seconds_bucket{"))
        .filter_map(|line| line.split("le=\"").nth(1)?.split('"').next())
        .collect();
    // Three, and those of https://opentelemetry.io/docs/specs/semconv/http/http-metrics/.
    let wanted = "0.0005 0.001 0.0025 0.005 0.01 0.025 0.05 0.075 0.1 0.25 0.5 0.75 1 2.5 5 7.5 10 +Inf";
    assert_eq!(ends.join(" "), wanted);
}

#[tokio::test]
async fn templates_of_other_routers_are_escaped() {
    let layer = MetricsLayer::new().matched_path(|_: &http::Extensions| Some("/a\"b\\c\nd".to_owned()));
    let handle = layer.handle();
    let inner = service_fn(|_: Request<RequestBody<Body>>| async { Ok::<_, Infallible>(Response::<Body>::default()) });
    layer.layer(inner).oneshot(get("/", &[])).await.unwrap();
    assert!(handle.render().contains(r#"http_route="/a\"b\\c\nd""#), "{}", handle.render());
}

fn user() -> Schema {
    let fields =
        vec![Field::new("id", Type::Uuid), Field::new("name", Type::Str(ziggurat::crud::schema::Text::default()))];
    Schema { name: "User".into(), id: Some(0), unknown: Unknown::Forbid, fields }
}

async fn stack() -> (Stack, MetricsHandle) {
    let mut table = RouteTableBuilder::new();
    let native = Route::new(service_fn(|_: Request| async {
        tokio::time::sleep(Duration::from_millis(2)).await;
        Ok::<_, Infallible>(Response::new(Body::from("hello")))
    }));
    table.add(Some(Method::GET), "/hello/{name}", Leaf::new("hello", LeafKind::Native, native.clone())).unwrap();
    let guarded = Leaf::new("guarded", LeafKind::Native, native.layer(RequireAuth::new()));
    table.add(Some(Method::GET), "/guarded/{id}", guarded).unwrap();
    let store = SqliteStore::in_memory(SqliteOptions::default()).unwrap();
    let schema = Arc::new(user());
    let options = ResourceOptions::new().path("/users");
    Resource::new(schema.clone(), options).mount(store.open(schema).await.unwrap(), &mut table).unwrap();
    let dispatcher = Dispatcher::new(table.build().unwrap());
    let layer = MetricsLayer::new().routes_of(&dispatcher);
    let handle = layer.handle();
    // Refuses before the dispatcher is asked.
    let refuse = |inner: Route| {
        Route::new(service_fn(move |request: Request| {
            let is_refused = request.headers().contains_key("x-refuse");
            let inner = inner.clone();
            async move {
                if is_refused {
                    return Ok(ziggurat::Problem::of(http::StatusCode::UNAUTHORIZED).into_response());
                }
                inner.oneshot(request).await
            }
        }))
    };
    let metrics = {
        let layer = layer.clone();
        move |inner: Route| {
            let inner = inner.map_request(|request: Request<RequestBody<Body>>| request.map(Body::from));
            Route::new(layer.layer(inner).map_response(|response: http::Response<_>| response.map(Body::from)))
        }
    };
    (Stack::builder().wrap("Metrics", metrics).wrap("Refuse", refuse).build(dispatcher).unwrap(), handle)
}

#[tokio::test]
async fn routes_are_their_templates() {
    let (stack, handle) = stack().await;
    let ask = async |method: &str, path: &str, headers: &[(&str, &str)]| {
        let mut request = get(path, headers);
        *request.method_mut() = method.parse().unwrap();
        stack.clone().oneshot(request).await.unwrap()
    };
    for path in ["/hello/ann", "/hello/bob?x=1"] {
        let answer = ask("GET", path, &[]).await;
        assert_eq!(answer.body().as_bytes().unwrap(), "hello", "it is not boxed");
    }
    ask("HEAD", "/hello/ann", &[]).await;
    ask("POST", "/hello/ann", &[]).await;
    ask("GET", "/nowhere", &[]).await;
    ask("GET", "/guarded/1", &[]).await;
    ask("GET", "/hello/eve", &[("x-refuse", "1")]).await;
    ask("GET", "/nowhere", &[("x-refuse", "1")]).await;
    for (method, route, leaf, status, wanted) in [
        ("GET", "/hello/{name}", "native", "200", 2.0),
        ("HEAD", "/hello/{name}", "native", "200", 1.0),
        ("POST", "/hello/{name}", "none", "405", 1.0),
        ("GET", "unmatched", "none", "404", 1.0),
        ("GET", "/guarded/{id}", "native", "401", 1.0),
        ("GET", "/hello/{name}", "native", "401", 1.0),
        ("GET", "unmatched", "none", "401", 1.0),
    ] {
        assert_eq!(requests(&handle, method, route, leaf, status), Some(wanted), "{method} {route} {status}");
    }
    let metrics = handle.render();
    let all: Vec<&str> = metrics.lines().filter_map(|line| Some(line.rsplit_once(' ')?.0)).collect();
    let once: std::collections::HashSet<_> = all.iter().collect();
    assert_eq!(once.len(), all.len(), "{metrics}");
    let is_of_requests = |line: &&&str| line.starts_with("http_server_requests_total");
    let routes = all.iter().filter(is_of_requests).map(|line| line.split('"').nth(3).unwrap());
    assert!(routes.is_sorted(), "{metrics}");
}

#[tokio::test]
async fn the_parts_of_a_request_add_up_to_the_whole() {
    let (stack, handle) = stack().await;
    let begun = Instant::now();
    for _ in 0..5 {
        let make = http::Request::post("/users").header("content-type", "application/json");
        let made = stack.clone().oneshot(make.body(Body::from(r#"{"name": "Ann"}"#)).unwrap()).await.unwrap();
        assert_eq!(made.status(), 201);
        // Two questions to the store at once.
        let list = stack.clone().oneshot(get("/users", &[("prefer", "count=exact")])).await.unwrap();
        assert_eq!(list.status(), 200);
        stack.clone().oneshot(get("/hello/ann", &[])).await.unwrap();
    }
    let elapsed = begun.elapsed().as_secs_f64();
    let metrics = handle.render();
    let mut whole = 0.0;
    for (method, route) in [("POST", "/users"), ("GET", "/users"), ("GET", "/hello/{name}")] {
        let labels = [("http_request_method", method), ("http_route", route)];
        let duration = value(&metrics, "http_server_request_duration_seconds_sum", &labels).unwrap();
        let part = |name| {
            let labels = [&labels[..], &[("part", name)]].concat();
            value(&metrics, "http_server_request_part_seconds_total", &labels).unwrap()
        };
        let parts: f64 = ["layers", "waiting", "python", "store"].map(part).iter().sum();
        assert!((parts - duration).abs() < 1e-6, "{route}: {parts} of {duration}");
        assert_eq!(part("store") > 0.0, route == "/users", "{metrics}");
        assert_eq!((part("python"), part("waiting")), (0.0, 0.0));
        assert!(part("layers") >= if route == "/users" { 0.0 } else { 0.010 });
        whole += duration;
    }
    assert!(whole <= elapsed, "{whole} of {elapsed}");
}
