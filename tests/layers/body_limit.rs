//! Bodies that are announced, found or streamed too large.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::BodyExt;
use tower::{ServiceExt, service_fn};
use tower_layer::Layer;
use ziggurat::layers::BodyLimitLayer;
use ziggurat::layers::body_limit::LimitedBody;
use ziggurat::{Body, BodyTooLarge, BoxError, Problem, Request, Response};

use crate::support::{problem, text};

fn streamed(chunks: &'static [&'static str]) -> Body {
    Body::from_stream(futures_util::stream::iter(chunks.iter().map(|chunk| Ok::<_, BoxError>(Bytes::from(*chunk)))))
}

/// Reads the body, and answers with it or with `failed`.
async fn send(request: Request, failed: fn(BoxError) -> Response) -> Response {
    let echo = service_fn(move |request: Request<LimitedBody<Body>>| async move {
        Ok::<_, Infallible>(match Body::from(request.into_body()).collect().await {
            Ok(body) => Response::new(body.to_bytes().into()),
            Err(error) => failed(error),
        })
    });
    BodyLimitLayer::new(4).layer(echo).oneshot(request).await.unwrap()
}

fn as_problem(error: BoxError) -> Response {
    Problem::unreadable(&*error).into_response()
}

#[tokio::test]
async fn up_to_the_limit_passes() {
    for body in [Body::from("1234"), streamed(&["12", "34"]), Body::empty()] {
        let response = send(Request::new(body), as_problem).await;
        assert_eq!(response.status(), 200);
        assert!(["1234", ""].contains(&text(response).await.as_str()));
    }
}

#[tokio::test]
async fn past_the_limit_is_a_413_that_names_it() {
    let announced = http::Request::post("/").header("content-length", "5").body(streamed(&["1"])).unwrap();
    for request in [announced, Request::new(Body::from("12345")), Request::new(streamed(&["123", "45"]))] {
        let response = send(request, as_problem).await;
        assert_eq!(response.status(), 413);
        assert_eq!(problem(response).await["detail"], "the body may have at most 4 bytes");
    }
}

#[tokio::test]
async fn a_reader_that_does_not_know_the_failure_is_corrected() {
    for (status, expected) in [(400, 413), (500, 413), (403, 403)] {
        let answers: fn(BoxError) -> Response = match status {
            400 => |_| Problem::bad_request("what is this").into_response(),
            500 => |_| Problem::internal().into_response(),
            _ => |_| Problem::new(http::StatusCode::FORBIDDEN, "no", "No").into_response(),
        };
        assert_eq!(send(Request::new(streamed(&["123", "45"])), answers).await.status(), expected);
    }
    // Without a limit passed, the same answers stay.
    let broken = Body::from_stream(futures_util::stream::iter([Err::<Bytes, _>("torn")]));
    assert_eq!(send(Request::new(broken), |_| Problem::internal().into_response()).await.status(), 500);
}

#[tokio::test]
async fn the_failed_read_carries_the_limit() {
    let read = |error: BoxError| {
        assert_eq!(error.downcast_ref(), Some(&BodyTooLarge { limit: 4 }));
        Response::new(Body::from("seen"))
    };
    assert_eq!(text(send(Request::new(streamed(&["12345"])), read).await).await, "seen");
}

#[tokio::test]
async fn a_path_may_have_a_limit_of_its_own() {
    let layer = BodyLimitLayer::new(4).at("/files/{id}", 6).unwrap().at("/small", 1).unwrap();
    let ok = service_fn(|request: Request<LimitedBody<Body>>| async move {
        Ok::<_, Infallible>(match request.into_body().collect().await {
            Ok(_) => Response::default(),
            Err(error) => as_problem(error),
        })
    });
    for (path, body, status) in [
        ("/", "12345", 413),
        ("/files/a", "12345", 200),
        ("/files/a?b", "123456", 200),
        ("/files/a", "1234567", 413),
        ("/files/a/b", "12345", 413),
        ("/small", "12", 413),
    ] {
        for body in
            [Body::from(body), Body::from_stream(futures_util::stream::iter([Ok::<_, BoxError>(Bytes::from(body))]))]
        {
            let request = Request::builder().uri(path).body(body).unwrap();
            assert_eq!(layer.layer(ok).oneshot(request).await.unwrap().status(), status, "{path}");
        }
    }
    for path in ["/files/{other}", "/{x", "/small"] {
        let error = layer.clone().at(path, 1).unwrap_err().to_string();
        assert!(error.contains(&format!("a limit at {path:?}")), "{error}");
    }
}
