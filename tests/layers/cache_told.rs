//! What kept answers tell, and what is not told again.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::FutureExt;
use http_body::{Body as _, Frame, SizeHint};
use tower::{Layer, ServiceExt, service_fn};
use ziggurat::layers::CacheLayer;
use ziggurat::{Body, BoxError, Response};

use crate::cache::{MINUTE, around, ask, by_default, header, numbered, read, saying};
use crate::support::{IntoOurs, get, text};

#[tokio::test]
async fn what_is_shorter_than_it_says_is_not_kept() {
    for (said, is_kept) in [("1", true), ("2", false), ("0", false), ("x", false), ("+1", false)] {
        let inner = service_fn(move |_| async move {
            let answer = http::Response::builder().header("cache-control", "max-age=60").header("content-length", said);
            Ok::<_, Infallible>(answer.body(Body::from("1")).unwrap())
        });
        let service = CacheLayer::new().layer(inner).map_response(IntoOurs::into_ours);
        let first = service.clone().oneshot(get("/", &[])).await.unwrap();
        assert_eq!(header(&first, "content-length"), said, "who sends it sees that something is missing");
        assert_eq!(header(&first, "cache-status").contains("stored"), is_kept, "{said}");
        assert_eq!(text(first).await, "1");
        let again = service.oneshot(get("/", &[])).await.unwrap();
        assert_eq!(header(&again, "cache-status").contains("hit"), is_kept, "{said}");
    }
}

#[tokio::test]
async fn a_kept_answer_has_the_date_of_when_it_came() {
    let service = saying(&by_default(), &[]);
    let before = SystemTime::now() - Duration::from_secs(2);
    read(&service, "/", &[]).await;
    let kept = ask(&service, get("/", &[])).await;
    let date = httpdate::parse_http_date(header(&kept, "date")).unwrap();
    assert!(date > before && date <= SystemTime::now());
    let long_ago = "Sun, 06 Nov 1994 08:49:37 GMT";
    let service = saying(&by_default(), &[("date", "Sun, 06 Nov 1994 08:49:37 GMT")]);
    read(&service, "/", &[]).await;
    assert_eq!(header(&ask(&service, get("/", &[])).await, "date"), long_ago);
}

#[tokio::test]
async fn what_is_of_a_connection_is_not_kept() {
    let headers = &[
        ("connection", "x-hop, keep-alive"),
        ("connection", "X-Other"),
        ("x-hop", "1"),
        ("x-other", "1"),
        ("keep-alive", "timeout=5"),
        ("te", "trailers"),
        ("trailer", "x-sum"),
        ("transfer-encoding", "chunked"),
        ("proxy-authenticate", "Basic"),
        ("proxy-authentication-info", "a"),
        ("x-kept", "1"),
    ];
    let service = saying(&by_default(), headers);
    read(&service, "/", &[]).await;
    let kept = ask(&service, get("/", &[])).await;
    let mut names: Vec<_> = kept.headers().keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["age", "cache-status", "content-length", "date", "x-kept"]);
}

#[tokio::test]
async fn who_has_any_answer_gets_none() {
    let service = saying(&by_default(), &[]);
    for path in ["/", "/", "/other"] {
        let response = ask(&service, get(path, &[("if-none-match", "*")])).await;
        assert_eq!((response.status().as_u16(), response.body().is_end_stream()), (304, true));
    }
    // Without a tag nothing else is the same.
    assert_eq!(ask(&service, get("/", &[("if-none-match", "\"a\"")])).await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_time_may_be_as_long_as_it_likes() {
    let layer = CacheLayer::new().ttl(Duration::MAX).unwrap();
    let control = &[("cache-control", "stale-while-revalidate=99999999999, stale-if-error=99999999999")];
    let service = saying(&layer, control);
    assert_eq!((read(&service, "/", &[]).await, read(&service, "/", &[]).await), ("1".into(), "1".into()));
    let expires = &[("expires", "Fri, 31 Dec 9999 23:59:59 GMT")];
    let service = saying(&CacheLayer::new(), expires);
    read(&service, "/", &[]).await;
    assert_eq!(header(&ask(&service, get("/", &[])).await, "cache-status"), "ziggurat; hit; ttl=2147483648");
}

#[tokio::test(start_paused = true)]
async fn where_there_is_no_answer_no_status_is_told() {
    let inner = service_fn(|request: ziggurat::Request| async move {
        match request.headers().contains_key("x-fails") {
            true => Err(BoxError::from("broken")),
            false => {
                let answer = http::Response::builder().header("cache-control", "max-age=10, stale-if-error=20");
                Ok(answer.body(Body::from("1")).unwrap())
            }
        }
    });
    let service = CacheLayer::new().layer(inner).map_response(IntoOurs::into_ours);
    let ask = async |headers: &[(&str, &str)]| -> Result<Response, BoxError> {
        service.clone().oneshot(get("/", headers)).await
    };
    ask(&[]).await.unwrap();
    // Who asks for a fresh one, and cannot have it.
    let instead = ask(&[("x-fails", "1"), ("cache-control", "no-cache")]).await.unwrap();
    assert_eq!(header(&instead, "cache-status"), "ziggurat; fwd=request; ttl=10; detail=stale-if-error");
    tokio::time::advance(Duration::from_secs(15)).await;
    let instead = ask(&[("x-fails", "1")]).await.unwrap();
    assert_eq!(header(&instead, "cache-status"), "ziggurat; fwd=stale; ttl=-5; detail=stale-if-error");
    tokio::time::advance(Duration::from_secs(15)).await;
    assert_eq!(ask(&[("x-fails", "1")]).await.unwrap_err().to_string(), "broken");
}

#[tokio::test(start_paused = true)]
async fn what_is_told_is_of_the_moment() {
    let inside = &[("cache-control", "max-age=60"), ("cache-status", "inner; fwd=miss")];
    let service = saying(&CacheLayer::new(), inside);
    read(&service, "/", &[]).await;
    for (seconds, age, status) in [(0, "0", "hit; ttl=60"), (7, "7", "hit; ttl=53"), (3, "10", "hit; ttl=50")] {
        tokio::time::advance(Duration::from_secs(seconds)).await;
        for _ in 0..2 {
            let kept = ask(&service, get("/", &[])).await;
            let told: Vec<_> = kept.headers().get_all("cache-status").iter().collect();
            assert_eq!(told, ["inner; fwd=miss", &format!("ziggurat; {status}")]);
            assert_eq!(header(&kept, "age"), age);
        }
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_the_same() {
    for (status, control) in [(404, "max-age=60"), (404, "no-store"), (204, "max-age=60")] {
        let service = around(&CacheLayer::new(), move |number, _| {
            let mut answer = numbered(number, &[("cache-control", control), ("etag", "\"a\"")]);
            *answer.status_mut() = http::StatusCode::from_u16(status).unwrap();
            if status == 204 {
                *answer.body_mut() = Body::empty();
            }
            answer
        });
        for _ in 0..2 {
            let answer = ask(&service, get("/", &[("if-none-match", "\"a\"")])).await;
            assert_eq!(answer.status(), status, "a condition is for what would be a 200 (RFC 9110, 13.2.1)");
            assert!(status != 204 || !answer.headers().contains_key("content-length"));
        }
    }
}

#[tokio::test]
async fn a_proxy_knows_its_clients_by_a_header_of_their_own() {
    let service = saying(&by_default(), MINUTE);
    for (user, wanted) in [("ann", "1"), ("bob", "2"), ("ann", "3")] {
        assert_eq!(read(&service, "/", &[("proxy-authorization", user)]).await, wanted);
    }
    assert_eq!(read(&service, "/", &[]).await, "4");
}

#[tokio::test]
async fn what_is_fetched_again_takes_the_place_of_what_was_kept() {
    let layer = CacheLayer::new();
    let service = saying(&layer, MINUTE);
    read(&service, "/", &[]).await;
    let bytes = layer.bytes();
    for _ in 0..5 {
        read(&service, "/", &[("cache-control", "no-cache")]).await;
    }
    assert_eq!(layer.bytes(), bytes);
}

/// Nothing of it comes.
struct Endless;

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(1 << 40)
    }
}

#[tokio::test]
async fn what_is_known_to_be_too_long_is_sent_at_once() {
    let service = around(&CacheLayer::new(), |number, _| {
        let mut answer = numbered(number, MINUTE);
        *answer.body_mut() = Body::new(Endless);
        answer
    });
    assert!(ask(&service, get("/", &[])).now_or_never().is_some());
}

#[tokio::test]
async fn trailers_are_handed_on() {
    let service = around(&CacheLayer::new(), |number, _| {
        let trailers: http::HeaderMap = [(http::header::ETAG, "\"a\"".parse().unwrap())].into_iter().collect();
        let frames = [Frame::data(Bytes::from("1")), Frame::trailers(trailers)].map(Ok::<_, Infallible>);
        let mut answer = numbered(number, MINUTE);
        *answer.body_mut() = Body::new(http_body_util::StreamBody::new(futures_util::stream::iter(frames)));
        answer
    });
    for _ in 0..2 {
        let answer = ask(&service, get("/", &[])).await;
        assert_eq!(header(&answer, "cache-status"), "ziggurat; fwd=uri-miss");
        let body = http_body_util::BodyExt::collect(answer.into_body()).await.unwrap();
        assert_eq!(body.trailers().unwrap()["etag"], "\"a\"");
        assert_eq!(body.to_bytes(), "1");
    }
}
