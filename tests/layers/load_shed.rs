//! Requests that are refused, or wait, while too many are under way.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http_body_util::BodyExt;
use tokio::time::Instant;
use tower::{ServiceExt, service_fn};
use tower_layer::Layer;
use tower_service::Service;
use tower_test::mock;
use ziggurat::layers::load_shed::{CountedBody, LoadShed};
use ziggurat::layers::{CatchPanicLayer, LoadShedLayer};
use ziggurat::{Body, Request, Response};

use crate::support::{channel, get, problem};

type Shed = mock::Spawn<LoadShed<mock::Mock<Request, Response>>>;
type Inner = mock::Handle<Request, Response>;
type Answer = Pin<Box<<LoadShed<mock::Mock<Request, Response>> as Service<Request>>::Future>>;
type Answered = Poll<Result<Response<CountedBody<Body>>, ziggurat::BoxError>>;

fn shed(layer: LoadShedLayer) -> (Shed, Inner) {
    let (service, mut inner) = mock::spawn_layer(layer);
    inner.allow(100);
    (service, inner)
}

fn ask(service: &mut Shed) -> Answer {
    assert!(service.poll_ready().is_ready());
    Box::pin(service.call(get("/", &[])))
}

fn poll(answer: &mut Answer) -> Answered {
    answer.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// The answer that is there already.
fn now(answer: &mut Answer) -> Response<CountedBody<Body>> {
    match poll(answer) {
        Poll::Ready(answer) => answer.unwrap(),
        Poll::Pending => panic!("there is no answer yet"),
    }
}

async fn reply(inner: &mut Inner, body: Body) {
    inner.next_request().await.unwrap().1.send_response(Response::new(body));
}

#[tokio::test]
async fn what_is_too_much_is_refused_at_once() {
    let (mut service, mut inner) = shed(LoadShedLayer::new(2).unwrap());
    let (mut first, mut second) = (ask(&mut service), ask(&mut service));
    assert!(poll(&mut first).is_pending() && poll(&mut second).is_pending());
    let refused = now(&mut ask(&mut service));
    assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (503, &"1".parse().unwrap()));
    let refused = problem(refused.map(Body::from)).await;
    assert_eq!(refused["type"], "https://ziggurat.dev/e/unavailable");
    assert_eq!(refused["detail"], "too many requests are under way; try again");
    // Only two arrived.
    reply(&mut inner, Body::from("1")).await;
    reply(&mut inner, Body::from("2")).await;
    assert!(inner.poll_request().is_pending());
    assert_eq!((now(&mut first).status(), now(&mut second).status()), (http::StatusCode::OK, http::StatusCode::OK));
}

#[tokio::test]
async fn a_request_counts_until_the_end_of_its_answer() {
    let (mut service, mut inner) = shed(LoadShedLayer::new(1).unwrap());
    for ending in ["ended", "failed", "dropped", "empty"] {
        let mut answer = ask(&mut service);
        let (sender, body) = channel();
        reply(&mut inner, if ending == "empty" { Body::empty() } else { body }).await;
        let mut response = now(&mut answer);
        if ending != "empty" {
            assert_eq!(now(&mut ask(&mut service)).status(), 503, "the head is not the end");
            sender.send(Ok("part".into())).unwrap();
            assert_eq!(response.body_mut().frame().await.unwrap().unwrap().into_data().unwrap(), "part");
            assert_eq!(now(&mut ask(&mut service)).status(), 503, "a part is not the end");
        }
        match ending {
            "failed" => sender.send(Err("torn".into())).unwrap(),
            "dropped" => drop(response.into_body()),
            _ => {}
        }
        drop(sender);
        if ending == "ended" || ending == "failed" {
            continue;
        }
        assert!(poll(&mut ask(&mut service)).is_pending(), "{ending}");
        drop(inner.next_request().await);
    }
}

#[tokio::test]
async fn whatever_ends_a_request_makes_room() {
    let (mut service, mut inner) = shed(LoadShedLayer::new(1).unwrap());
    // The inner service fails.
    let answer = ask(&mut service);
    inner.next_request().await.unwrap().1.send_error("the inner error");
    assert_eq!(answer.await.map(|_| ()).unwrap_err().to_string(), "the inner error");
    // The client leaves.
    drop(ask(&mut service));
    drop(inner.next_request().await);
    let mut answer = ask(&mut service);
    reply(&mut inner, Body::empty()).await;
    assert_eq!(now(&mut answer).status(), 200);

    // Bytes that were there are sent when the last of them is taken.
    let layer = LoadShedLayer::new(1).unwrap();
    let whole =
        layer.layer(service_fn(|_: Request| async { Ok::<Response, Infallible>(Response::new(Body::from("whole"))) }));
    let mut first = whole.clone().oneshot(get("/", &[])).await.unwrap();
    assert_eq!(whole.clone().oneshot(get("/", &[])).await.unwrap().status(), 503);
    first.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(whole.oneshot(get("/", &[])).await.unwrap().status(), 200);

    // A panic, in the call and in its future.
    for in_call in [true, false] {
        let panics = service_fn(move |request: Request| {
            assert!(!in_call || request.uri() != "/panic");
            async move {
                assert!(in_call || request.uri() != "/panic");
                Ok::<Response, Infallible>(Response::default())
            }
        });
        let service = CatchPanicLayer::new().layer(LoadShedLayer::new(1).unwrap().layer(panics));
        assert_eq!(service.clone().oneshot(get("/panic", &[])).await.unwrap().status(), 500);
        assert_eq!(service.oneshot(get("/", &[])).await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn those_that_wait_come_in_order_and_are_not_many() {
    let (mut service, mut inner) = shed(LoadShedLayer::new(1).unwrap().queue(2, Duration::from_secs(60)).unwrap());
    let mut first = ask(&mut service);
    let (mut second, mut third) = (ask(&mut service), ask(&mut service));
    assert!(poll(&mut second).is_pending() && poll(&mut third).is_pending());
    assert_eq!(now(&mut ask(&mut service)).status(), 503, "the queue is full");

    reply(&mut inner, Body::empty()).await;
    assert_eq!(now(&mut first).status(), 200);
    assert_eq!(now(&mut ask(&mut service)).status(), 503, "what became free is the second's, and nobody overtakes");
    assert!(poll(&mut third).is_pending() && poll(&mut second).is_pending());
    let mut fourth = ask(&mut service);
    assert!(poll(&mut fourth).is_pending());
    reply(&mut inner, Body::empty()).await;
    assert!(inner.poll_request().is_pending(), "only the second arrived");
    drop(third);
    assert_eq!(now(&mut second).status(), 200);
    assert!(poll(&mut fourth).is_pending());
    reply(&mut inner, Body::empty()).await;
    assert_eq!(now(&mut fourth).status(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_wait_has_an_end() {
    let (mut service, inner) = shed(LoadShedLayer::new(1).unwrap().queue(1, Duration::from_secs(3)).unwrap());
    let _first = ask(&mut service);
    let before = Instant::now();
    let late = ask(&mut service).await.unwrap();
    assert_eq!((late.status().as_u16(), before.elapsed().as_secs()), (503, 3));
    // Its place is free again, and so is that of one that leaves.
    let mut gone = ask(&mut service);
    assert!(poll(&mut gone).is_pending());
    assert_eq!(now(&mut ask(&mut service)).status(), 503);
    drop(gone);
    assert!(poll(&mut ask(&mut service)).is_pending());
    drop(inner);
}

#[tokio::test]
async fn what_one_layer_wraps_counts_together() {
    let layer = LoadShedLayer::new(1).unwrap();
    let answer = service_fn(|_: Request| async { Ok::<Response, Infallible>(Response::new(Body::from("x"))) });
    let (one, other) = (layer.layer(answer), layer.clone().layer(answer));
    let first = one.clone().oneshot(get("/", &[])).await.unwrap();
    assert_eq!(other.clone().oneshot(get("/", &[])).await.unwrap().status(), 503);
    let alone = LoadShedLayer::new(1).unwrap().layer(answer);
    assert_eq!(alone.oneshot(get("/", &[])).await.unwrap().status(), 200);
    drop(first);
    assert_eq!(other.oneshot(get("/", &[])).await.unwrap().status(), 200);
}

#[test]
fn what_would_refuse_everything_is_refused() {
    let error = |result: Result<LoadShedLayer, ziggurat::ConfigError>| result.unwrap_err().to_string();
    assert!(error(LoadShedLayer::new(0)).contains("max_concurrent is 0, so every request would be refused; "));
    assert!(error(LoadShedLayer::new(usize::MAX)).contains("give a whole number up to"));
    let layer = || LoadShedLayer::new(1).unwrap();
    assert!(error(layer().queue(1, Duration::ZERO)).contains("would wait for no time; "));
    assert!(error(layer().queue(usize::MAX, Duration::from_secs(1))).contains("queue is"));
    assert!(layer().queue(0, Duration::ZERO).is_ok());
}
