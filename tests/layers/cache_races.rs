//! Answers that are under way while something is written, fails, or is asked for by those who want it fresh.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::sync::Semaphore;
use tower::{Layer, ServiceExt, service_fn};
use ziggurat::layers::CacheLayer;
use ziggurat::{Body, BoxError, Response};

use crate::cache::{MINUTE, ask, header, numbered};
use crate::cache_flights::{Inner, settle, spawn};
use crate::support::{IntoOurs, channel, get, text};

#[tokio::test]
async fn those_that_wait_get_nothing_of_before_a_write() {
    let layer = CacheLayer::new();
    let (inner, service) = Inner::around(&layer, |number, _| numbered(number, MINUTE));
    let leader = spawn(&service, get("/", &[]));
    settle().await;
    let mut waiting = Box::pin(ask(&service, get("/", &[])));
    assert!(waiting.as_mut().now_or_never().is_none());
    inner.answer(1);
    assert_eq!(text(leader.await.unwrap()).await, "1");
    // It was told already, and has not looked yet.
    layer.invalidate("/");
    inner.answer(1);
    assert_eq!(text(waiting.await).await, "2");
}

#[tokio::test]
async fn who_comes_after_a_write_waits_for_nobody_that_came_before() {
    let layer = CacheLayer::new();
    let (inner, service) = Inner::around(&layer, |number, _| numbered(number, MINUTE));
    let before = spawn(&service, get("/", &[]));
    settle().await;
    for (number, forget) in [CacheLayer::clear, |layer: &CacheLayer| layer.invalidate("/")].into_iter().enumerate() {
        forget(&layer);
        drop(spawn(&service, get("/", &[])));
        settle().await;
        assert_eq!(inner.calls(), number + 2);
    }
    let after = spawn(&service, get("/", &[]));
    inner.answer(3);
    let before = before.await.unwrap();
    assert_eq!(header(&before, "cache-status"), "ziggurat; fwd=uri-miss", "it is not stored");
    assert_eq!((text(before).await, text(after.await.unwrap()).await), ("1".into(), "3".into()));
    assert_eq!((text(ask(&service, get("/", &[])).await).await, inner.calls()), ("3".into(), 3));
}

#[tokio::test]
async fn those_that_wait_do_not_wait_for_one_failure_after_the_other() {
    for fault in ["fails", "breaks off", "is too short", "is overtaken by a write"] {
        let (layer, go, calls) = (CacheLayer::new(), Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
        let inner = service_fn({
            let (go, calls) = (go.clone(), calls.clone());
            move |_| {
                let go = go.clone();
                calls.fetch_add(1, Ordering::SeqCst);
                async move {
                    go.acquire().await.unwrap().forget();
                    let answer = |body| {
                        let answer = http::Response::builder().header("cache-control", "max-age=60");
                        answer.header("content-length", "2").body(body).unwrap()
                    };
                    match fault {
                        "fails" => Err(BoxError::from("broken")),
                        "breaks off" => {
                            let (sender, body) = channel();
                            sender.send(Err("broken".into())).unwrap();
                            Ok(answer(body))
                        }
                        "is too short" => Ok(answer(Body::from("1"))),
                        _ => Ok(answer(Body::from("12"))),
                    }
                }
            }
        });
        let service = layer.layer(inner).map_response(IntoOurs::into_ours);
        let all: Vec<_> = (0..10)
            .map(|_| {
                let service = service.clone();
                tokio::spawn(async move { drop(service.oneshot(get("/", &[])).await) })
            })
            .collect();
        let mut seen = Vec::new();
        for _ in 0..4 {
            settle().await;
            seen.push(calls.load(Ordering::SeqCst));
            layer.invalidate(if fault.ends_with("write") { "/" } else { "/other" });
            go.add_permits(1);
        }
        assert_eq!(seen, [1, 2, 3, 10], "{fault}");
        go.add_permits(10);
        join_all(all).await;
        assert_eq!(calls.load(Ordering::SeqCst), 10, "{fault}");
    }
}

#[tokio::test]
async fn who_asks_for_a_fresh_answer_gets_no_other() {
    let (inner, service) = Inner::around(&CacheLayer::new(), |number, _| numbered(number, MINUTE));
    let leader = spawn(&service, get("/", &[]));
    settle().await;
    let fresh = spawn(&service, get("/", &[("cache-control", "no-cache")]));
    settle().await;
    assert_eq!(inner.calls(), 2, "that one was asked for before");
    let waiting = ["max-age=0", "min-fresh=61", "max-age=9"].map(|control| {
        let request = get("/", &[("cache-control", control)]);
        spawn(&service, request)
    });
    settle().await;
    assert_eq!(inner.calls(), 2);
    inner.answer(10);
    assert_eq!((text(leader.await.unwrap()).await, text(fresh.await.unwrap()).await), ("1".into(), "2".into()));
    let answers: Vec<_> = join_all(waiting).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(inner.calls(), 4, "of those that waited two do not take it");
    assert_eq!(header(&answers[2], "cache-status"), "ziggurat; fwd=uri-miss; collapsed; ttl=60");
}

#[tokio::test(start_paused = true)]
async fn what_is_for_all_after_all_is_waited_for() {
    let (inner, service) = Inner::around(&CacheLayer::new(), |number, _| {
        let control = if number == 1 { "no-store" } else { "max-age=1" };
        numbered(number, &[("cache-control", control)])
    });
    inner.answer(2);
    ask(&service, get("/", &[])).await;
    ask(&service, get("/", &[])).await;
    tokio::time::advance(Duration::from_secs(2)).await;
    let all: Vec<_> = (0..10).map(|_| spawn(&service, get("/", &[]))).collect();
    settle().await;
    assert_eq!(inner.calls(), 3);
    inner.answer(1);
    join_all(all).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_as_old_as_its_head() {
    let (sender, body) = channel();
    let body = std::sync::Mutex::new(Some(body));
    let (inner, service) = Inner::around(&CacheLayer::new(), {
        let body = Arc::new(body);
        move |number, _| {
            let mut answer = numbered(number, MINUTE);
            *answer.body_mut() = body.lock().unwrap().take().unwrap_or_default();
            answer
        }
    });
    let reading = spawn(&service, get("/", &[]));
    settle().await;
    tokio::time::advance(Duration::from_secs(20)).await;
    inner.answer(1);
    settle().await;
    tokio::time::advance(Duration::from_secs(30)).await;
    sender.send(Ok("slow".into())).unwrap();
    drop(sender);
    let told = |response: &Response| (header(response, "cache-status").to_owned(), header(response, "age").to_owned());
    assert_eq!(told(&reading.await.unwrap()), ("ziggurat; fwd=uri-miss; stored; ttl=30".into(), String::new()));
    assert_eq!(told(&ask(&service, get("/", &[])).await), ("ziggurat; hit; ttl=30".into(), "30".into()));
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_what_is_not_as_old_waits_while_it_is_fetched() {
    let control = &[("cache-control", "max-age=10, stale-while-revalidate=20")];
    let (inner, service) = Inner::around(&CacheLayer::new(), move |number, _| numbered(number, control));
    inner.answer(1);
    ask(&service, get("/", &[])).await;
    tokio::time::advance(Duration::from_secs(15)).await;
    let fetching = spawn(&service, get("/", &[]));
    settle().await;
    let picky = spawn(&service, get("/", &[("cache-control", "max-age=5")]));
    settle().await;
    assert!(!picky.is_finished() && inner.calls() == 2);
    inner.answer(1);
    assert_eq!((text(fetching.await.unwrap()).await, text(picky.await.unwrap()).await), ("2".into(), "2".into()));
}

#[tokio::test]
async fn nobody_waits_for_a_head() {
    let (inner, service) = Inner::around(&CacheLayer::new(), |number, _| numbered(number, MINUTE));
    let mut head = get("/", &[]);
    *head.method_mut() = http::Method::HEAD;
    let head = spawn(&service, head);
    settle().await;
    let all = [(); 3].map(|()| spawn(&service, get("/", &[])));
    settle().await;
    assert_eq!(inner.calls(), 2, "that has no body to give");
    inner.answer(10);
    head.await.unwrap();
    join_all(all).await;
    assert_eq!(inner.calls(), 2);
}

#[tokio::test]
async fn each_that_asks_for_a_fresh_one_asks() {
    let (inner, service) = Inner::around(&CacheLayer::new(), |number, _| numbered(number, MINUTE));
    inner.answer(1);
    ask(&service, get("/", &[])).await;
    let all = [(); 3].map(|()| spawn(&service, get("/", &[("cache-control", "max-age=0")])));
    settle().await;
    assert_eq!(inner.calls(), 4);
    inner.answer(3);
    join_all(all).await;
}

#[tokio::test(start_paused = true)]
async fn those_with_credentials_do_not_wait_for_those_without() {
    let (inner, service) =
        Inner::around(&CacheLayer::new(), |number, _| numbered(number, &[("cache-control", "s-maxage=10")]));
    inner.answer(1);
    ask(&service, get("/", &[])).await;
    tokio::time::advance(Duration::from_secs(15)).await;
    let all = [spawn(&service, get("/", &[])), spawn(&service, get("/", &[("cookie", "ann")]))];
    settle().await;
    assert_eq!(inner.calls(), 3, "the answer to nobody may be for nobody else");
    inner.answer(2);
    join_all(all).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_written_to_is_not_sent_instead_of_a_failure() {
    let layer = CacheLayer::new();
    let (inner, service) = Inner::around(&layer, |number, _| {
        let mut answer = numbered(number, &[("cache-control", "max-age=10, stale-if-error=60")]);
        if number > 1 {
            *answer.status_mut() = http::StatusCode::BAD_GATEWAY;
        }
        answer
    });
    inner.answer(1);
    ask(&service, get("/", &[])).await;
    tokio::time::advance(Duration::from_secs(15)).await;
    let asking = spawn(&service, get("/", &[]));
    settle().await;
    layer.invalidate("/");
    inner.answer(1);
    assert_eq!(asking.await.unwrap().status(), 502);
}

#[tokio::test]
async fn what_is_cleared_is_not_remembered_as_for_one_either() {
    let layer = CacheLayer::new();
    let (inner, service) = Inner::around(&layer, |number, _| numbered(number, if number > 1 { MINUTE } else { &[] }));
    inner.answer(1);
    ask(&service, get("/", &[])).await;
    layer.clear();
    let all = [(); 3].map(|()| spawn(&service, get("/", &[])));
    settle().await;
    assert_eq!(inner.calls(), 2);
    inner.answer(1);
    join_all(all).await;
}
