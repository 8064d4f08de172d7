//! Requests that ask whether the service is alive, and whether it is ready.

use http::Method;
use http_body::Body as _;
use tower_test::mock;
use ziggurat::layers::HealthCheckLayer;
use ziggurat::layers::health_check::Readiness;
use ziggurat::{Body, Request, Response};

use crate::support::{problem, text};

/// The answer, or none where the request was handed inward.
async fn ask(layer: HealthCheckLayer, method: Method, target: &str) -> Option<Response> {
    let (mut service, mut inner) = mock::spawn_layer::<Request, Response, _>(layer);
    inner.allow(1);
    assert!(service.poll_ready().is_ready());
    let answer = service.call(http::Request::builder().method(method).uri(target).body(Body::empty()).unwrap());
    match inner.poll_request() {
        std::task::Poll::Ready(Some(_)) => None,
        _ => Some(answer.await.unwrap()),
    }
}

#[tokio::test]
async fn it_is_alive_while_it_answers() {
    for target in ["/healthz", "/healthz?verbose=1", "http://10.0.0.7/healthz"] {
        let alive = ask(HealthCheckLayer::default(), Method::GET, target).await.unwrap();
        assert_eq!((alive.status().as_u16(), &alive.headers()["cache-control"]), (200, &"no-store".parse().unwrap()));
        assert_eq!(alive.headers()["content-type"], "text/plain; charset=utf-8");
        assert_eq!(text(alive).await, "ok\n");
    }
    let alive = ask(HealthCheckLayer::new(), Method::HEAD, "/healthz").await.unwrap();
    assert_eq!((alive.status().as_u16(), &alive.headers()["content-length"]), (200, &"3".parse().unwrap()));
    assert!(alive.body().is_end_stream());
}

#[tokio::test]
async fn other_requests_are_handed_inward() {
    for target in ["/", "/healthz/", "/Healthz", "//healthz", "/health%7A", "/readyz", "/a?/healthz", "*"] {
        assert!(ask(HealthCheckLayer::new(), Method::GET, target).await.is_none(), "{target}");
    }
    for method in [Method::POST, Method::OPTIONS, Method::DELETE] {
        assert!(ask(HealthCheckLayer::new(), method, "/healthz").await.is_none());
    }
    let other = || HealthCheckLayer::at(["/livez", "/up"]).unwrap();
    assert!(ask(other(), Method::GET, "/healthz").await.is_none());
    assert!(ask(other(), Method::GET, "/up").await.is_some() && ask(other(), Method::GET, "/livez").await.is_some());
}

#[tokio::test]
async fn it_is_ready_when_that_was_said() {
    let readiness = Readiness::new(true);
    let layer = HealthCheckLayer::new().ready("/readyz", &readiness).unwrap();
    for ready in [true, false, true] {
        readiness.clone().set(ready);
        assert_eq!(readiness.is_ready(), ready);
        let answer = ask(layer.clone(), Method::GET, "/readyz").await.unwrap();
        assert_eq!(answer.headers()["cache-control"], "no-store");
        if ready {
            assert_eq!((answer.status().as_u16(), text(answer).await.as_str()), (200, "ok\n"));
        } else {
            assert_eq!((answer.status().as_u16(), &answer.headers()["retry-after"]), (503, &"1".parse().unwrap()));
            assert_eq!(problem(answer).await["detail"], "the service is not ready");
            let head = ask(layer.clone(), Method::HEAD, "/readyz").await.unwrap();
            assert!(head.status() == 503 && head.body().is_end_stream());
        }
        // Being alive is another matter.
        assert_eq!(ask(layer.clone(), Method::GET, "/healthz").await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn why_it_is_not_ready_is_told() {
    let readiness = Readiness::new(true);
    let layer = HealthCheckLayer::new().ready("/readyz", &readiness).unwrap();
    readiness.set_not_ready("warming up");
    assert_eq!((readiness.is_ready(), readiness.reason().as_deref()), (false, Some("warming up")));
    let answer = ask(layer.clone(), Method::GET, "/readyz").await.unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(problem(answer).await["detail"], "the service is not ready: warming up");
    readiness.set(false);
    let answer = ask(layer.clone(), Method::GET, "/readyz").await.unwrap();
    assert_eq!(
        (problem(answer).await["detail"].as_str(), readiness.reason()),
        (Some("the service is not ready"), None)
    );
    readiness.set(true);
    assert_eq!(ask(layer, Method::GET, "/readyz").await.unwrap().status(), 200);
}

#[test]
fn paths_are_plain_and_named_once() {
    for path in ["", "healthz", "/{x}", "/a?b", "/a#b"] {
        let error = HealthCheckLayer::at([path]).unwrap_err().to_string();
        assert!(error.contains(&format!("{path:?} is no path; ")), "{error}");
    }
    let error = HealthCheckLayer::new().ready("/healthz", &Readiness::new(true)).unwrap_err().to_string();
    assert!(error.contains("\"/healthz\" is named twice; "), "{error}");
}
