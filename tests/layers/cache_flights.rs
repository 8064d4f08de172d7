//! Many requests for the same: one goes in.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Semaphore;
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceExt, service_fn};
use ziggurat::layers::{CacheLayer, CatchPanicLayer};
use ziggurat::{Body, BoxError, Request, Response};

use crate::cache::{Answering, ask, header, numbered};
use crate::support::{IntoOurs, get, text};

/// An inner service whose answers wait for a word each.
pub struct Inner {
    calls: Arc<AtomicUsize>,
    go: Arc<Semaphore>,
}

impl Inner {
    pub fn around(
        layer: &CacheLayer,
        answer: impl Fn(usize, &Request) -> Response + Clone + Send + Sync + 'static,
    ) -> (Self, Answering) {
        let inner = Self { calls: Arc::default(), go: Arc::new(Semaphore::new(0)) };
        let (calls, go) = (inner.calls.clone(), inner.go.clone());
        let service = service_fn(move |request: Request| {
            let (answer, go) = (answer.clone(), go.clone());
            let number = calls.fetch_add(1, Ordering::SeqCst) + 1;
            async move {
                go.acquire().await.unwrap().forget();
                Ok::<_, Infallible>(answer(number, &request))
            }
        });
        (inner, BoxCloneSyncService::new(layer.layer(service).map_response(IntoOurs::into_ours)))
    }

    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    pub fn answer(&self, number: usize) {
        self.go.add_permits(number);
    }
}

/// Lets everything run as far as it goes.
pub async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

pub fn spawn(service: &Answering, request: Request) -> tokio::task::JoinHandle<Response> {
    let service = service.clone();
    tokio::spawn(async move { ask(&service, request).await })
}

const MINUTE: &[(&str, &str)] = &[("cache-control", "max-age=60")];

#[tokio::test]
async fn a_thousand_requests_are_one() {
    let (inner, service) = Inner::around(&CacheLayer::new(), |number, _| numbered(number, MINUTE));
    let all: Vec<_> = (0..1000).map(|_| spawn(&service, get("/", &[]))).collect();
    settle().await;
    assert_eq!(inner.calls(), 1);
    inner.answer(1);
    let mut collapsed = 0;
    for response in join_all(all).await {
        let response = response.unwrap();
        collapsed += usize::from(header(&response, "cache-status") == "ziggurat; fwd=uri-miss; collapsed; ttl=60");
        assert_eq!(text(response).await, "1");
    }
    assert_eq!((inner.calls(), collapsed), (1, 999));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_requests_are_one_on_several_threads() {
    for _ in 0..20 {
        let (inner, service) = Inner::around(&CacheLayer::new(), |number, _| numbered(number, MINUTE));
        inner.answer(1000);
        let all: Vec<_> = (0..1000).map(|_| spawn(&service, get("/", &[]))).collect();
        for response in join_all(all).await {
            assert_eq!(text(response.unwrap()).await, "1");
        }
        assert_eq!(inner.calls(), 1);
    }
}

#[tokio::test]
async fn where_one_is_dropped_the_next_one_goes_in() {
    let (inner, service) = Inner::around(&CacheLayer::new(), |number, _| numbered(number, MINUTE));
    let mut all: Vec<_> = (0..10).map(|_| spawn(&service, get("/", &[]))).collect();
    for calls in 1..=3 {
        settle().await;
        assert_eq!(inner.calls(), calls);
        let leader = all.remove(0);
        leader.abort();
        assert!(leader.await.unwrap_err().is_cancelled());
    }
    settle().await;
    assert_eq!(inner.calls(), 4);
    inner.answer(1);
    for response in join_all(all).await {
        assert_eq!(text(response.unwrap()).await, "4");
    }
    assert_eq!(inner.calls(), 4);
}

#[tokio::test]
async fn where_one_panics_the_next_one_goes_in() {
    let (inner, service) = Inner::around(&CacheLayer::new(), |number, _| {
        assert!(number > 2, "a fault of the inner service");
        numbered(number, MINUTE)
    });
    let service = BoxCloneSyncService::new(CatchPanicLayer::new().layer(service));
    let all: Vec<_> = (0..10).map(|_| spawn(&service, get("/", &[]))).collect();
    settle().await;
    inner.answer(3);
    let statuses: Vec<_> =
        join_all(all).await.into_iter().map(|response| response.unwrap().status().as_u16()).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 500).count(), 2, "{statuses:?}");
    assert_eq!(inner.calls(), 3);
}

#[tokio::test]
async fn where_one_fails_the_next_one_goes_in() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    let inner = service_fn(move |_: Request| {
        let number = count.fetch_add(1, Ordering::SeqCst) + 1;
        async move {
            tokio::task::yield_now().await;
            if number == 1 { Err(BoxError::from("broken")) } else { Ok(numbered(number, MINUTE)) }
        }
    });
    let service = CacheLayer::new().layer(inner);
    let all = join_all((0..10).map(|_| service.clone().oneshot(get("/", &[])))).await;
    assert_eq!(all.iter().filter(|answer| answer.is_err()).count(), 1);
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn answers_that_are_not_for_all_hold_nobody_up() {
    let (inner, service) = Inner::around(&CacheLayer::new(), |number, _| numbered(number, &[]));
    let all: Vec<_> = (0..100).map(|_| spawn(&service, get("/", &[]))).collect();
    settle().await;
    assert_eq!(inner.calls(), 1);
    inner.answer(1);
    settle().await;
    assert_eq!(inner.calls(), 100, "at once, and not one after the other");
    inner.answer(99);
    let mut texts: Vec<_> = Vec::new();
    for response in join_all(all).await {
        texts.push(text(response.unwrap()).await);
    }
    texts.sort_unstable();
    texts.dedup();
    assert_eq!(texts.len(), 100, "each has its own");
    // For a while nobody waits.
    let more: Vec<_> = (0..10).map(|_| spawn(&service, get("/", &[]))).collect();
    settle().await;
    assert_eq!(inner.calls(), 110);
    inner.answer(10);
    join_all(more).await;
    // Of what fails that is not remembered: what comes after it may be for all.
    let (inner, service) = Inner::around(&CacheLayer::new(), |number, _| {
        let mut response = numbered(number, MINUTE);
        if number == 1 {
            *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
        }
        response
    });
    inner.answer(1);
    ask(&service, get("/", &[])).await;
    let all: Vec<_> = (0..10).map(|_| spawn(&service, get("/", &[]))).collect();
    settle().await;
    assert_eq!(inner.calls(), 2);
    inner.answer(1);
    join_all(all).await;
}

#[tokio::test]
async fn those_that_want_something_else_do_not_wait_for_long() {
    let (inner, service) = Inner::around(&CacheLayer::new(), |number, _| {
        numbered(number, &[("cache-control", "max-age=60"), ("vary", "accept")])
    });
    let kinds = ["a", "b", "c", "d"];
    let all: Vec<_> = (0..40).map(|number| spawn(&service, get("/", &[("accept", kinds[number % 4])]))).collect();
    settle().await;
    assert_eq!(inner.calls(), 1, "nobody knows yet that they vary");
    inner.answer(1);
    settle().await;
    assert_eq!(inner.calls(), 4, "one of each kind");
    inner.answer(3);
    for response in join_all(all).await {
        text(response.unwrap()).await;
    }
    assert_eq!(inner.calls(), 4);
}

#[tokio::test]
async fn credentials_do_not_wait_for_those_without() {
    let (inner, service) = Inner::around(&CacheLayer::new(), |number, request| {
        let user = request.headers().get("cookie").map_or("nobody", |cookie| cookie.to_str().unwrap()).to_owned();
        let mut response = numbered(number, MINUTE);
        *response.body_mut() = Body::from(user);
        response
    });
    let users = ["", "ann", "bob", "ann"];
    let asked = |user: &&'static str| match *user {
        "" => get("/", &[]),
        user => get("/", &[("cookie", user)]),
    };
    let all: Vec<_> = users.iter().map(|user| spawn(&service, asked(user))).collect();
    settle().await;
    inner.answer(10);
    let mut texts = Vec::new();
    for response in join_all(all).await {
        texts.push(text(response.unwrap()).await);
    }
    assert_eq!(texts, ["nobody", "ann", "bob", "ann"]);
}

#[tokio::test]
async fn nobody_waits_for_what_another_user_asks() {
    let (inner, service) =
        Inner::around(&CacheLayer::new(), |number, _| numbered(number, &[("cache-control", "s-maxage=10")]));
    let users = ["ann", "bob", "eve"].map(|user| spawn(&service, get("/", &[("cookie", user)])));
    settle().await;
    assert_eq!(inner.calls(), 3, "one of them may take its time");
    inner.answer(3);
    join_all(users).await;
    assert!(header(&ask(&service, get("/", &[("cookie", "ann")])).await, "cache-status").contains("hit"));
}

#[tokio::test(start_paused = true)]
async fn of_what_is_for_all_one_fetches_the_next() {
    let (inner, service) =
        Inner::around(&CacheLayer::new(), |number, _| numbered(number, &[("cache-control", "s-maxage=10")]));
    inner.answer(1);
    ask(&service, get("/", &[("cookie", "ann")])).await;
    tokio::time::advance(Duration::from_secs(15)).await;
    let users = ["ann", "bob", "eve"].map(|user| spawn(&service, get("/", &[("cookie", user)])));
    settle().await;
    assert_eq!(inner.calls(), 2);
    inner.answer(1);
    for response in join_all(users).await {
        assert_eq!(text(response.unwrap()).await, "2");
    }
}

#[tokio::test]
async fn what_was_asked_for_before_a_write_is_not_kept() {
    let (inner, service) = Inner::around(&CacheLayer::new(), |number, _| numbered(number, MINUTE));
    let reading = spawn(&service, get("/notes", &[]));
    settle().await;
    let waiting = spawn(&service, get("/notes", &[]));
    let write = http::Request::post("/notes").body(Body::empty()).unwrap();
    let writing = spawn(&service, write);
    settle().await;
    assert_eq!(inner.calls(), 2);
    inner.answer(2);
    let (reading, _) = (reading.await.unwrap(), writing.await.unwrap());
    assert_eq!(text(reading).await, "1");
    inner.answer(10);
    waiting.await.unwrap();
    assert_ne!(text(ask(&service, get("/notes", &[])).await).await, "1", "it may tell of what was before");
    // A write whose client is gone may have been done.
    let (inner, service) = Inner::around(&CacheLayer::new(), |number, _| numbered(number, MINUTE));
    inner.answer(1);
    assert_eq!(text(ask(&service, get("/notes", &[])).await).await, "1");
    let gone = spawn(&service, http::Request::delete("/notes").body(Body::empty()).unwrap());
    settle().await;
    gone.abort();
    assert!(gone.await.is_err());
    inner.answer(1);
    assert_eq!(text(ask(&service, get("/notes", &[])).await).await, "3");
}

#[tokio::test(start_paused = true)]
async fn one_fetches_and_the_others_get_what_is_stale() {
    let (inner, service) = Inner::around(&CacheLayer::new(), |number, _| {
        numbered(number, &[("cache-control", "max-age=10, stale-while-revalidate=20")])
    });
    inner.answer(1);
    ask(&service, get("/", &[])).await;
    tokio::time::advance(Duration::from_secs(15)).await;
    let fetching = spawn(&service, get("/", &[]));
    settle().await;
    assert_eq!(inner.calls(), 2);
    let stale = ask(&service, get("/", &[])).await;
    assert_eq!((header(&stale, "cache-status"), header(&stale, "age")), ("ziggurat; hit; ttl=-5", "15"));
    assert_eq!(text(stale).await, "1");
    inner.answer(1);
    assert_eq!(text(fetching.await.unwrap()).await, "2");
    assert_eq!(text(ask(&service, get("/", &[])).await).await, "2");
    tokio::time::advance(Duration::from_secs(30)).await;
    let waiting = [spawn(&service, get("/", &[])), spawn(&service, get("/", &[]))];
    settle().await;
    assert_eq!(inner.calls(), 3);
    inner.answer(1);
    for response in join_all(waiting).await {
        assert_eq!(text(response.unwrap()).await, "3");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_stale_is_better_than_a_failure() {
    for (control, instead) in [("stale-if-error=20", true), ("stale-if-error=20, must-revalidate", false), ("x", false)]
    {
        let (inner, service) = Inner::around(&CacheLayer::new(), move |number, _| {
            let mut response = numbered(number, &[("cache-control", &format!("max-age=10, {control}"))]);
            if number > 1 {
                *response.status_mut() = http::StatusCode::BAD_GATEWAY;
            }
            response
        });
        inner.answer(1);
        ask(&service, get("/", &[])).await;
        tokio::time::advance(Duration::from_secs(15)).await;
        let all: Vec<_> = (0..10).map(|_| spawn(&service, get("/", &[]))).collect();
        settle().await;
        assert_eq!(inner.calls(), 2);
        inner.answer(1);
        settle().await;
        // One failure is enough for all, or tells nothing to the others.
        assert_eq!(inner.calls(), if instead { 2 } else { 11 }, "{control}");
        inner.answer(9);
        let mut answers = join_all(all).await.into_iter().map(Result::unwrap);
        let answer = answers.next().unwrap();
        assert!(answers.all(|other| other.status() == answer.status()));
        assert_eq!(answer.status(), if instead { 200 } else { 502 }, "{control}");
        if instead {
            let told = "ziggurat; fwd=stale; fwd-status=502; ttl=-5; detail=stale-if-error";
            assert_eq!((header(&answer, "cache-status"), header(&answer, "age")), (told, "15"));
        }
        tokio::time::advance(Duration::from_secs(15)).await;
        inner.answer(1);
        assert_eq!(ask(&service, get("/", &[])).await.status(), 502);
    }
}
