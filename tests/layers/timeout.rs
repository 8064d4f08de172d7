//! Answers that are late, and bodies that stand still or never end.

use std::convert::Infallible;
use std::future::{pending, ready};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use tokio::time::{Instant, advance, sleep};
use tower::{ServiceExt, service_fn};
use tower_layer::Layer;
use tower_service::Service;
use tower_test::mock;
use tracing::Level;
use ziggurat::layers::timeout::{Bodies, BodyTimeout, TimedBody};
use ziggurat::layers::{LayerSpec, TimeoutLayer};
use ziggurat::service::{Dispatcher, Leaf, LeafKind, RouteTableBuilder};
use ziggurat::{Body, Problem, Request, Response, Route};

use crate::support::{channel, get, log, problem};

type Sender = tokio::sync::mpsc::UnboundedSender<Result<Bytes, ziggurat::BoxError>>;

const SECOND: Duration = Duration::from_secs(1);

fn idle() -> TimeoutLayer<Bodies> {
    TimeoutLayer::new(60 * SECOND).body_idle(5 * SECOND)
}

fn total() -> TimeoutLayer<Bodies> {
    TimeoutLayer::new(60 * SECOND).total(5 * SECOND)
}

/// The answer to a request when the inner one has this body.
async fn answered(layer: TimeoutLayer<Bodies>, body: Body) -> TimedBody<Body> {
    let mut body = Some(body);
    let inner = service_fn(move |_: http::Request<TimedBody<Body>>| {
        ready(Ok::<_, Infallible>(Response::new(body.take().unwrap_or_default())))
    });
    layer.layer(inner).call(get("/", &[])).await.unwrap().into_body()
}

async fn next(body: &mut TimedBody<Body>) -> Result<Bytes, String> {
    body.frame().await.unwrap().map(|frame| frame.into_data().unwrap()).map_err(|error| error.to_string())
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_is_a_504_and_its_work_is_dropped() {
    async fn is_late<L, B>(layer: L, detail: &str)
    where
        L: Layer<mock::Mock<http::Request<B>, Response>>,
        L::Service: Service<Request, Error = ziggurat::BoxError>,
        <L::Service as Service<Request>>::Response: crate::support::IntoOurs,
        B: Send + 'static,
    {
        let (mut service, mut inner) = mock::spawn_layer::<http::Request<B>, Response, _>(layer);
        inner.allow(1);
        assert!(service.poll_ready().is_ready());
        let answer = service.call(get("/", &[]));
        let (request, reply) = inner.next_request().await.unwrap();
        drop(request);
        let before = Instant::now();
        let response = crate::support::IntoOurs::into_ours(answer.await.unwrap());
        assert_eq!((before.elapsed(), response.status().as_u16()), (5 * SECOND, 504));
        assert_eq!(problem(response).await["detail"], detail);
        // Nobody waits for this any more, and nothing breaks by it.
        reply.send_response(Response::default());
    }
    let detail = "no answer was ready within 5 s";
    is_late::<_, Body>(TimeoutLayer::new(5 * SECOND), detail).await;
    is_late::<_, TimedBody<Body>>(total(), detail).await;
    is_late::<_, TimedBody<Body>>(TimeoutLayer::new(5 * SECOND).total(60 * SECOND).body_idle(SECOND), detail).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_which_nothing_comes_is_cut_off() {
    let (sender, body) = channel();
    let mut body = answered(idle(), body).await;
    for part in ["a", "b", "c"] {
        let later = sender.clone();
        tokio::spawn(async move {
            sleep(4 * SECOND).await;
            later.send(Ok(part.into())).unwrap();
        });
        // Longer than the limit in all.
        assert_eq!(next(&mut body).await.unwrap(), part);
    }
    let before = Instant::now();
    assert_eq!(next(&mut body).await.unwrap_err(), "nothing came of the body for 5 s");
    assert_eq!(before.elapsed(), 5 * SECOND);
    assert!(!http_body::Body::is_end_stream(&body));
    // Who does not heed the error gets it again, and no end.
    sender.send(Ok("late".into())).unwrap();
    let again = body.frame().await.unwrap().unwrap_err();
    assert_eq!(again.downcast_ref(), Some(&BodyTimeout::Idle(5 * SECOND)));

    let (sender, body) = channel();
    let mut body = answered(idle(), body).await;
    sender.send(Ok("all".into())).unwrap();
    drop(sender);
    assert_eq!(next(&mut body).await.unwrap(), "all");
    advance(60 * SECOND).await;
    assert!(body.frame().await.is_none(), "the end came in time");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_slow_to_read_makes_no_answer_idle() {
    let (sender, body) = channel();
    let mut body = answered(idle(), body).await;
    let send = |part: &'static str| sender.send(Ok(part.into())).unwrap();
    for part in ["a", "b"] {
        send(part);
        advance(60 * SECOND).await;
        assert_eq!(next(&mut body).await.unwrap(), part);
    }
    // It has asked in vain, and comes back long after something was there.
    assert!(body.frame().now_or_never().is_none());
    advance(4 * SECOND).await;
    send("c");
    advance(60 * SECOND).await;
    assert_eq!(next(&mut body).await.unwrap(), "c");
    // The timer of then is over, and its time counts for nothing.
    assert!(body.frame().now_or_never().is_none());
    advance(4 * SECOND).await;
    assert!(body.frame().now_or_never().is_none());
    advance(2 * SECOND).await;
    assert_eq!(next(&mut body).await.unwrap_err(), "nothing came of the body for 5 s");
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_an_end_ends_with_its_time() {
    // There is always more, and a timer would never be looked at.
    let endless = || Body::from_stream(futures_util::stream::repeat(Ok::<_, Infallible>(Bytes::from_static(b"x"))));
    let mut body = answered(total(), endless()).await;
    for _ in 0..4 {
        advance(SECOND).await;
        assert_eq!(next(&mut body).await.unwrap(), "x");
    }
    advance(SECOND).await;
    assert_eq!(next(&mut body).await.unwrap_err(), "the answer had not ended within 5 s");

    // The head took a part of it.
    let (_sender, body) = channel();
    let mut body = Some(body);
    let slow = service_fn(move |_: http::Request<TimedBody<Body>>| {
        let response = Response::new(body.take().unwrap());
        async move {
            sleep(3 * SECOND).await;
            Ok::<_, Infallible>(response)
        }
    });
    let before = Instant::now();
    let response = total().layer(slow).call(get("/", &[])).await.unwrap();
    assert_eq!(before.elapsed(), 3 * SECOND);
    let error = response.into_body().collect().await.unwrap_err();
    assert_eq!((before.elapsed(), error.downcast_ref()), (5 * SECOND, Some(&BodyTimeout::Total(5 * SECOND))));

    // Whichever comes first.
    for (idle, wanted) in [(2, "nothing came of the body for 2 s"), (9, "the answer had not ended within 5 s")] {
        let (_sender, body) = channel();
        let mut body = answered(total().body_idle(idle * SECOND), body).await;
        assert_eq!(next(&mut body).await.unwrap_err(), wanted);
    }
}

/// Sends a body that `send` has a hand in to a service that answers by `reply` what it has read.
async fn uploaded(
    layer: TimeoutLayer<Bodies>,
    send: impl AsyncFnOnce(Sender),
    reply: impl AsyncFnOnce(TimedBody<Body>) -> Response,
) -> Response {
    let (sender, body) = channel();
    let (mut service, mut inner) = mock::spawn_layer::<http::Request<TimedBody<Body>>, Response, _>(layer);
    inner.allow(1);
    assert!(service.poll_ready().is_ready());
    let answer = service.call(http::Request::post("/upload?token=hunter2").body(body).unwrap());
    let serve = async {
        let (request, answer) = inner.next_request().await.unwrap();
        answer.send_response(reply(request.into_body()).await);
    };
    let (answer, (), ()) = tokio::join!(answer, serve, send(sender));
    answer.unwrap().map(Body::from)
}

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_nothing_is_a_408() {
    let stops = async |sender: Sender| {
        sender.send(Ok("begun".into())).unwrap();
        sleep(20 * SECOND).await;
    };
    let status = |status: u16| Response::new(Body::empty()).map(|body| (body, status));
    let with = |code: u16| {
        let (mut parts, (body, status)) = status(code).into_parts();
        parts.status = StatusCode::from_u16(status).unwrap();
        Response::from_parts(parts, body)
    };
    // Readers that know the failure, and such that do not.
    for (code, wanted) in [(None, 408), (Some(400), 408), (Some(500), 408), (Some(200), 200), (Some(409), 409)] {
        let before = Instant::now();
        let read = async |body: TimedBody<Body>| {
            let error = body.collect().await.unwrap_err();
            assert_eq!(before.elapsed(), 5 * SECOND);
            code.map_or_else(|| Problem::unreadable(&*error).into_response(), with)
        };
        let response = uploaded(idle(), stops, read).await;
        assert_eq!(response.status().as_u16(), wanted);
        if wanted == 408 {
            assert_eq!(response.headers()["connection"], "close");
            assert_eq!(problem(response).await["detail"], "the body came too slowly");
        }
    }
    // What takes its time is not the client's, and a 500 stays one.
    let slow = async |mut body: TimedBody<Body>| {
        assert_eq!(next(&mut body).await.unwrap(), "begun");
        sleep(15 * SECOND).await;
        with(500)
    };
    assert_eq!(uploaded(idle(), stops, slow).await.status(), 500);
    let trickles = async |sender: Sender| {
        for _ in 0..4 {
            sleep(4 * SECOND).await;
            sender.send(Ok("x".into())).unwrap();
        }
    };
    let length = async |body: TimedBody<Body>| Response::new(Body::from(body.collect().await.unwrap().to_bytes()));
    assert_eq!(uploaded(idle(), trickles, length).await.into_body().as_bytes().unwrap(), "xxxx");
    // Without a limit on it there is none.
    assert_eq!(uploaded(total().total(60 * SECOND), trickles, length).await.status(), 200);
}

#[tokio::test]
async fn what_is_there_needs_no_timer_and_no_box() {
    // Without a runtime a timer would panic.
    let layer = total().body_idle(SECOND);
    let body = std::thread::spawn(move || {
        let chunks = futures_util::stream::iter(["a", "b"].map(|part| Ok::<_, Infallible>(Bytes::from(part))));
        let body = answered(layer, Body::from_stream(chunks)).now_or_never().unwrap();
        body.collect().now_or_never().unwrap().unwrap().to_bytes()
    });
    assert_eq!(body.join().unwrap(), "ab");
    let whole = answered(layer, Body::from("whole")).await;
    assert_eq!(Body::from(whole).as_bytes().unwrap(), "whole");
    let spec = r#"{"type":"Timeout","body_idle":1,"total":2}"#;
    let leaf = service_fn(|request: Request| async move {
        assert_eq!(request.body().as_bytes().unwrap(), "sent");
        Ok::<Response, Infallible>(Response::new(Body::from("whole")))
    });
    let route = LayerSpec::from_json(spec).unwrap().build().unwrap().apply(Route::new(leaf));
    let response = route.oneshot(http::Request::post("/").body(Body::from("sent")).unwrap()).await.unwrap();
    assert_eq!(response.body().as_bytes().unwrap(), "whole");
}

#[tokio::test(start_paused = true)]
async fn what_follows_a_switch_of_protocols_is_left_alone() {
    for (method, status, is_timed) in [
        (Method::GET, 101, false),
        (Method::CONNECT, 200, false),
        (Method::CONNECT, 400, true),
        (Method::GET, 200, true),
    ] {
        let (_sender, body) = channel();
        let (_client, sent) = channel();
        let mut body = Some(body);
        let inner = service_fn(move |request: http::Request<TimedBody<Body>>| {
            let mut response = Response::new(body.take().unwrap());
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            response.extensions_mut().insert(Arc::new(tokio::sync::Mutex::new(request.into_body())));
            ready(Ok::<_, Infallible>(response))
        });
        let is_connect = method == Method::CONNECT;
        let request = http::Request::builder().method(method).uri("/").body(sent).unwrap();
        let response = idle().total(9 * SECOND).layer(inner).call(request).await.unwrap();
        let sent: Arc<tokio::sync::Mutex<TimedBody<Body>>> = response.extensions().get().cloned().unwrap();
        let mut body = response.into_body();
        let lasts = tokio::time::timeout(3600 * SECOND, body.frame()).await.is_err();
        assert_eq!(lasts, !is_timed, "{status}");
        let lasts = tokio::time::timeout(3600 * SECOND, sent.lock().await.frame()).await.is_err();
        assert_eq!(lasts, is_connect, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_cut_off_is_logged_once_by_its_route() {
    let (lines, _guard) = log(Level::WARN);
    let stuck = || Body::from_stream(futures_util::stream::pending::<Result<Bytes, Infallible>>());
    let leaf = service_fn(move |request: Request| async move {
        if request.method() == Method::POST && request.into_body().collect().await.is_err() {
            return Ok::<Response, Infallible>(Problem::internal().into_response());
        }
        Ok(Response::new(stuck()))
    });
    let mut table = RouteTableBuilder::new();
    table.add(None, "/rows/{id}", Leaf::new("rows", LeafKind::Native, Route::new(leaf))).unwrap();
    let route = Route::new(Dispatcher::new(table.build().unwrap()));
    for (settings, request, what, limit) in [
        (r#""body_idle":2"#, get("/rows/7?token=hunter2", &[]), "nothing came of the body of an answer", 2.0),
        (r#""total":3"#, get("/rows/7?token=hunter2", &[]), "an answer had not ended", 3.0),
        (
            r#""body_idle":2"#,
            http::Request::post("/rows/7").body(stuck()).unwrap(),
            "nothing came of the body of a request",
            2.0,
        ),
    ] {
        let spec = LayerSpec::from_json(&format!(r#"{{"type":"Timeout",{settings}}}"#)).unwrap();
        let is_upload = request.method() == Method::POST;
        let response = spec.build().unwrap().apply(route.clone()).oneshot(request).await.unwrap();
        assert_eq!(response.status(), if is_upload { 408 } else { 200 });
        let mut body = response.into_body();
        let _ = body.frame().await;
        let _ = body.frame().await;
        let logged = lines.take_of("ziggurat::layers::timeout");
        let [line] = &logged[..] else { panic!("{logged:?}") };
        let message = format!("{what} in time, and it was given up");
        assert_eq!((&line["level"], &line["message"]), (&"WARN".into(), &message.into()));
        assert_eq!((&line["path"], &line["limit_s"]), (&"/rows/{id}".into(), &limit.into()));
    }

    // The head was there already, and the layer is around no dispatcher.
    let echo = service_fn(|request: http::Request<TimedBody<Body>>| {
        ready(Ok::<_, Infallible>(Response::new(Body::new(request.into_body()))))
    });
    let request = http::Request::post("/echo?token=hunter2").body(stuck()).unwrap();
    let response = TimeoutLayer::default().body_idle(2 * SECOND).layer(echo).oneshot(request).await.unwrap();
    assert!(response.into_body().collect().await.is_err());
    let logged = lines.take_of("ziggurat::layers::timeout");
    assert!(logged.iter().all(|line| line["path"] == "/echo"));
    let [line] = &logged[..] else { panic!("{logged:?}") };
    assert!(line["message"].as_str().unwrap().contains("of a request"));
}

#[tokio::test(start_paused = true)]
async fn a_layer_without_limits_on_bodies_leaves_their_types_alone() {
    let inner = service_fn(|request: http::Request<u8>| async move {
        pending::<()>().now_or_never();
        Ok::<_, Infallible>(http::Response::new(vec![*request.body()].into_iter().collect::<Bytes>()))
    });
    let response = TimeoutLayer::default().layer(inner).oneshot(http::Request::new(7)).await.unwrap();
    assert_eq!(response.into_body(), Bytes::from_static(&[7]));
}
