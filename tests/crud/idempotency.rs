//! Requests that come again and are not done again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::Method;
use serde_json::json;
use ziggurat::crud::{Op, ResourceOptions};

use crate::support::{Answer, App, JSON, USER, every_op};

fn options() -> ResourceOptions {
    ResourceOptions::new().ops(every_op()).idempotency(true)
}

impl App {
    async fn once(&self, claims: &str, key: &str, body: &str) -> Answer {
        self.send_as(claims, Method::POST, "/user", &[JSON, ("idempotency-key", key)], body.to_owned()).await
    }
}

const ADA: &str = r#"{"name":"Ada","email":"a@x"}"#;

#[tokio::test]
async fn a_request_that_comes_again_is_answered_as_it_was() {
    let calls = Arc::new(AtomicUsize::new(0));
    let (before, after) = (calls.clone(), calls.clone());
    let options = options()
        .before(Op::Create, "count", move |event| {
            before.fetch_add(1, Ordering::SeqCst);
            async move { Ok(event.document) }
        })
        .after(Op::Create, "count", move |_| {
            after.fetch_add(100, Ordering::SeqCst);
        });
    let app = App::new(USER, options).await;
    let first = app.once("", "\"k1\"", ADA).await;
    assert_eq!((first.status.as_u16(), first.header("idempotency-replayed")), (201, ""));
    // Whatever has happened to the row meanwhile.
    assert_eq!(app.patch(first.header("location"), r#"{"age":5}"#).await.status, 200);
    for key in ["\"k1\"", "k1", " k1 "] {
        let again = app.once("", key, ADA).await;
        assert_eq!((again.status.as_u16(), again.header("idempotency-replayed")), (201, "true"));
        assert_eq!(again.text(), first.text());
        for name in ["location", "etag"] {
            assert_eq!(again.header(name), first.header(name));
        }
    }
    assert_eq!(calls.load(Ordering::SeqCst), 101, "hooks are called once");
    assert_eq!(app.get("/user/_count").await.json(), json!({"count": 1}));
    app.send(Method::DELETE, first.header("location"), &[], "").await;
    assert_eq!(app.once("", "k1", ADA).await.header("idempotency-replayed"), "true");

    assert_eq!(app.once("", "k1", r#"{"name":"Eve"}"#).await.problem(), "422 idempotency-key key_reused");
    assert_eq!(app.once(r#"{"sub":"ann"}"#, "k1", ADA).await.status, 201, "the key of another caller is another key");
    let minimal = [JSON, ("idempotency-key", "k1"), ("prefer", "return=minimal")];
    let minimal = app.send(Method::POST, "/user", &minimal, ADA).await;
    assert_eq!(
        (minimal.status.as_u16(), minimal.body.len(), minimal.header("location")),
        (201, 0, first.header("location"))
    );
}

#[tokio::test]
async fn what_failed_may_be_tried_again() {
    let app = App::new(USER, options()).await;
    app.user(ADA).await;
    assert_eq!(app.once("", "k", r#"{"name":""}"#).await.status, 422);
    assert_eq!(app.once("", "k", r#"{"name":"Eve","email":"a@x"}"#).await.problem(), "409 /email unique");
    assert_eq!(app.once("", "k", r#"{"name":"Eve"}"#).await.status, 201, "nothing was kept of it");
    for key in ["", "\"\"", &"x".repeat(256), "é"] {
        assert_eq!(app.once("", key, ADA).await.problem(), "400 idempotency-key header", "{key}");
    }
    let twice = [JSON, ("idempotency-key", "a"), ("idempotency-key", "b")];
    assert_eq!(app.send(Method::POST, "/user", &twice, ADA).await.problem(), "400 idempotency-key header");

    let bulk = App::new(USER, options().bulk(true)).await;
    assert_eq!(bulk.once("", "k", r#"[{"name":"A"}]"#).await.problem(), "400 idempotency-key not_allowed");
    let without = App::users().await;
    for _ in 0..2 {
        assert_eq!(without.once("", "k", r#"{"name":"A"}"#).await.status, 201, "it is heeded where that was wanted");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_at_once_one_is_done() {
    let app = Arc::new(App::new(USER, options()).await);
    let senders: Vec<_> = (0..16)
        .map(|_| {
            let app = app.clone();
            tokio::spawn(async move { app.once("", "k", r#"{"name":"A"}"#).await })
        })
        .collect();
    let mut first = None;
    let mut replayed = 0;
    for sender in senders {
        let answer = sender.await.unwrap();
        assert_eq!(answer.status, 201);
        replayed += usize::from(!answer.header("idempotency-replayed").is_empty());
        assert_eq!(first.get_or_insert_with(|| answer.text()), &answer.text());
    }
    assert_eq!((replayed, app.get("/user/_count").await.json()), (15, json!({"count": 1})));
}
