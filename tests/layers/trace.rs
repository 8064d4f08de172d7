//! What is logged, when, and what never is.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::BodyExt;
use serde_json::Value;
use tower::{ServiceExt, service_fn};
use tower_layer::Layer;
use tracing::Level;
use ziggurat::layers::{CatchPanicLayer, ClientIpLayer, RequestIdLayer, TraceLayer};
use ziggurat::service::{Dispatcher, Leaf, LeafKind, RouteTableBuilder};
use ziggurat::{Body, Request, Response, Route};

use crate::support::{channel, get, log};

fn route(answer: fn() -> Response) -> Route {
    Route::new(service_fn(move |_: Request| async move { Ok::<_, Infallible>(answer()) }))
}

#[tokio::test]
async fn one_line_per_request_when_its_body_ends() {
    let (lines, _guard) = log(Level::INFO);
    let mut table = RouteTableBuilder::new();
    let leaf = Leaf::new("show", LeafKind::Crud, route(|| Response::new(Body::from("hello"))));
    table.add(Some(http::Method::GET), "/users/{id}", leaf).unwrap();
    let stack = RequestIdLayer::new().layer(TraceLayer::new().layer(Dispatcher::new(table.build().unwrap())));

    let response =
        stack.clone().oneshot(get("/users/7?token=hunter2", &[("authorization", "Bearer hunter3")])).await.unwrap();
    assert!(lines.take().is_empty(), "not before the body was sent");
    let id = response.headers()["x-request-id"].clone();
    response.into_body().collect().await.unwrap();
    let logged = lines.take();
    assert_eq!(logged.len(), 1);
    let line = &logged[0];
    assert_eq!((&line["method"], &line["path"], &line["status"]), (&"GET".into(), &"/users/{id}".into(), &200.into()));
    assert_eq!((&line["bytes"], &line["leaf"], &line["level"]), (&5.into(), &"crud".into(), &"INFO".into()));
    assert_eq!(line["request_id"], id.to_str().unwrap());
    assert!(line["latency_ms"].as_f64().unwrap() >= 0.0 && line["aborted"].is_null());
    assert!(!line.to_string().contains("hunter"));

    // No leaf: the raw path, without the query.
    let response = stack.oneshot(get("/nowhere?token=hunter2", &[])).await.unwrap();
    response.into_body().collect().await.unwrap();
    let line = &lines.take()[0];
    assert_eq!((&line["path"], &line["status"]), (&"/nowhere".into(), &404.into()));
    assert!(!line.to_string().contains("hunter"));
}

#[tokio::test]
async fn the_client_is_logged_where_it_is_known() {
    let (lines, _guard) = log(Level::INFO);
    let inner = || TraceLayer::new().layer(route(Response::default));
    let request = || get("/", &[("x-forwarded-for", "192.0.2.66, 2001:db8::7")]);
    drop(ClientIpLayer::new().hops(1).unwrap().layer(inner()).oneshot(request()).await.unwrap());
    assert_eq!(lines.take()[0]["client"], "2001:db8::7");
    drop(inner().oneshot(request()).await.unwrap());
    assert!(lines.take()[0]["client"].is_null());
}

#[tokio::test]
async fn a_client_that_leaves_is_seen() {
    let (lines, _guard) = log(Level::INFO);
    // Before the answer.
    let service =
        TraceLayer::new().layer(service_fn(|_: Request| std::future::pending::<Result<Response, Infallible>>()));
    let mut answer = Box::pin(service.oneshot(get("/slow", &[])));
    assert!(futures_util::poll!(answer.as_mut()).is_pending());
    drop(answer);
    let line = &lines.take()[0];
    assert_eq!((&line["path"], &line["aborted"]), (&"/slow".into(), &"client gone".into()));
    assert!(line["status"].is_null());

    // In the middle of it.
    let (chunks, body) = channel();
    chunks.send(Ok(Bytes::from("abc"))).unwrap();
    let body = Arc::new(Mutex::new(Some(body)));
    let service = TraceLayer::new().layer(service_fn(move |_: Request| {
        let body = body.lock().unwrap().take().unwrap();
        async move { Ok::<_, Infallible>(Response::new(body)) }
    }));
    let mut response = service.oneshot(get("/", &[])).await.unwrap();
    response.body_mut().frame().await.unwrap().unwrap();
    drop(response);
    let line = &lines.take()[0];
    assert_eq!((&line["status"], &line["bytes"], &line["aborted"]), (&200.into(), &3.into(), &"client gone".into()));
}

#[tokio::test]
async fn failures_are_told_apart() {
    let (lines, _guard) = log(Level::INFO);
    let (chunks, body) = channel();
    chunks.send(Err("torn".into())).unwrap();
    let body = Arc::new(Mutex::new(Some(body)));
    let service = TraceLayer::new().layer(service_fn(move |_: Request| {
        let body = body.lock().unwrap().take().unwrap();
        async move { Ok::<_, Infallible>(Response::new(body)) }
    }));
    assert!(service.oneshot(get("/", &[])).await.unwrap().into_body().collect().await.is_err());
    assert_eq!(lines.take()[0]["aborted"], "failed");

    let service = TraceLayer::new().layer(service_fn(|_: Request| async { Err::<Response, _>("no") }));
    assert!(service.oneshot(get("/", &[])).await.is_err());
    assert_eq!(lines.take()[0]["aborted"], "failed");

    let service = CatchPanicLayer::new()
        .layer(TraceLayer::new().layer(route(|| panic!("boom"))).map_response(|r| r.map(Body::from)));
    assert_eq!(service.oneshot(get("/", &[])).await.unwrap().status(), 500);
    let line = &lines.take()[0];
    assert_eq!((&line["aborted"], &line["level"]), (&"panicked".into(), &"ERROR".into()));
}

#[tokio::test]
async fn answers_without_content_are_complete_at_once() {
    let (lines, _guard) = log(Level::INFO);
    let service = TraceLayer::new().layer(route(Response::default));
    drop(service.clone().oneshot(get("/", &[])).await.unwrap());
    assert!(lines.take()[0]["aborted"].is_null());
    // A server drops the body of an answer to HEAD unread.
    let head = http::Request::head("/").body(Body::empty()).unwrap();
    let service = TraceLayer::new().layer(route(|| Response::new(Body::from("unread"))));
    drop(service.clone().oneshot(head).await.unwrap());
    let line = &lines.take()[0];
    assert_eq!((&line["aborted"], &line["bytes"]), (&Value::Null, &0.into()));
    // It also stops asking after the last announced byte.
    let mut response = service.oneshot(get("/", &[])).await.unwrap();
    response.body_mut().frame().await.unwrap().unwrap();
    assert!(lines.take()[0]["aborted"].is_null());
}

#[tokio::test]
async fn levels_decide_what_is_written() {
    fn failing() -> Response {
        let mut response = Response::default();
        *response.status_mut() = http::StatusCode::BAD_GATEWAY;
        response
    }
    for (shown, layer, fine, error) in [
        (Level::INFO, TraceLayer::new(), 1, 1),
        (Level::WARN, TraceLayer::new(), 0, 1),
        (Level::INFO, TraceLayer::new().level(Level::DEBUG), 0, 1),
        (Level::DEBUG, TraceLayer::new().level(Level::DEBUG), 1, 1),
    ] {
        let (lines, _guard) = log(shown);
        drop(layer.layer(route(Response::default)).oneshot(get("/", &[])).await.unwrap());
        assert_eq!(lines.take().len(), fine);
        drop(layer.layer(route(failing)).oneshot(get("/", &[])).await.unwrap());
        let logged = lines.take();
        assert_eq!(logged.len(), error);
        assert!(logged.iter().all(|line| line["level"] == "ERROR"));
    }
}

#[tokio::test]
async fn without_a_log_bodies_are_not_wrapped() {
    let guard = tracing::subscriber::set_default(tracing::subscriber::NoSubscriber::default());
    let response =
        TraceLayer::new().layer(route(|| Response::new(Body::from("hello")))).oneshot(get("/", &[])).await.unwrap();
    assert_eq!(response.map(Body::from).body().as_bytes().unwrap(), "hello");
    drop(guard);
}
