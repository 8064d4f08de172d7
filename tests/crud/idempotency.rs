//! Requests that come again and are not done again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::Method;
use serde_json::json;
use tokio::sync::Semaphore;
use ziggurat::crud::store::AnyStore;
use ziggurat::crud::{Concurrency, Event, Expr, Op, Operand, Path, Policy, Resource, ResourceOptions, Schema, openapi};

use crate::support::{Answer, App, JSON, USER, every_op, on_each_store};

fn options() -> ResourceOptions {
    ResourceOptions::new().ops(every_op()).idempotency(true)
}

async fn users(store: AnyStore) -> App {
    App::over(store, USER, options().bulk(true)).await
}

impl App {
    async fn once(&self, claims: &str, key: &str, body: &str) -> Answer {
        self.send_as(claims, Method::POST, "/user", &[JSON, ("idempotency-key", key)], body.to_owned()).await
    }

    /// A `PATCH` with a key, and with further headers.
    async fn patch_once(&self, target: &str, key: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let headers = [&[JSON, ("idempotency-key", key)], headers].concat();
        self.send(Method::PATCH, target, &headers, body.to_owned()).await
    }
}

impl Answer {
    fn is_replayed(&self) -> bool {
        match self.header("idempotency-replayed") {
            "" => false,
            value => value == "true" || panic!("{value}"),
        }
    }

    /// What must be the same each time.
    fn told(&self) -> (u16, String, &str, &str) {
        (self.status.as_u16(), self.text(), self.header("etag"), self.header("location"))
    }
}

/// Counts the calls of hooks of `op`: one for each before it, a hundred for each after it.
fn counted(options: ResourceOptions, op: Op, calls: &Arc<AtomicUsize>) -> ResourceOptions {
    let (before, after) = (calls.clone(), calls.clone());
    let count = move |event: Event| {
        before.fetch_add(1, Ordering::SeqCst);
        async move { Ok(event.document) }
    };
    options.before(op, "count", count).after(op, "count", move |_| {
        after.fetch_add(100, Ordering::SeqCst);
    })
}

const ADA: &str = r#"{"name":"Ada","email":"a@x"}"#;

#[tokio::test]
async fn a_post_that_comes_again_is_answered_as_it_was() {
    on_each_store(async |store| {
        let calls = Arc::new(AtomicUsize::new(0));
        let app = App::over(store, USER, counted(options(), Op::Create, &calls)).await;
        let first = app.once("", "\"k1\"", ADA).await;
        assert_eq!((first.status.as_u16(), first.is_replayed()), (201, false));
        // Whatever has happened to the row meanwhile.
        assert_eq!(app.patch(first.header("location"), r#"{"age":5}"#).await.status, 200);
        for key in ["\"k1\"", "k1", " k1 "] {
            let again = app.once("", key, ADA).await;
            assert!(again.is_replayed());
            assert_eq!(again.told(), first.told());
        }
        assert_eq!(calls.load(Ordering::SeqCst), 101, "hooks are called once");
        assert_eq!(app.get("/user/_count").await.json(), json!({"count": 1}));
        app.send(Method::DELETE, first.header("location"), &[], "").await;
        assert!(app.once("", "k1", ADA).await.is_replayed());

        assert_eq!(app.once("", "k1", r#"{"name":"Eve"}"#).await.problem(), "422 idempotency-key key_reused");
        let other = app.once(r#"{"sub":"ann"}"#, "k1", ADA).await;
        assert_eq!(
            (other.status.as_u16(), other.is_replayed()),
            (201, false),
            "the key of another caller is another key"
        );
        let minimal = [JSON, ("idempotency-key", "k1"), ("prefer", "return=minimal")];
        let minimal = app.send(Method::POST, "/user", &minimal, ADA).await;
        assert_eq!(
            (minimal.status.as_u16(), minimal.body.len(), minimal.header("location")),
            (201, 0, first.header("location"))
        );
    })
    .await;
}

/// A patch of each kind: what one step of the store does, what is merged, and what changes nothing.
const PATCHES: [&str; 3] = [r#"{"age":7,"tags":["a"]}"#, r#"{"home":{"city":"Ur"}}"#, "{}"];

#[tokio::test]
async fn a_patch_that_comes_again_is_answered_as_it_was() {
    on_each_store(async |store| {
        let app = users(store).await;
        for (index, patch) in PATCHES.into_iter().enumerate() {
            let (path, tag) = app.user(&format!(r#"{{"name":"n{index}","home":{{"city":"Uruk"}}}}"#)).await;
            let first = app.patch_once(&path, "k", &[("if-match", &tag)], patch).await;
            assert_eq!((first.status.as_u16(), first.is_replayed()), (200, false), "{patch}: {}", first.text());
            assert_eq!(app.get(&path).await.text(), first.text());
            assert_eq!(first.header("etag") == tag, patch == "{}");

            // Others change the row, so that the condition does not hold any more and what was written is overwritten.
            assert_eq!(app.patch(&path, r#"{"age":50,"home":null}"#).await.status, 200);
            let changed = app.get(&path).await;
            let stale: [&[(&str, &str)]; 4] =
                [&[("if-match", &tag)], &[], &[("if-match", "\"zz\"")], &[("if-none-match", "*")]];
            for headers in stale {
                let again = app.patch_once(&path, "\"k\"", headers, patch).await;
                assert!(again.is_replayed(), "{patch}: {}", again.text());
                assert_eq!(again.told(), first.told(), "{patch}");
            }
            assert_eq!(app.get(&path).await.told(), changed.told(), "{patch} was not done again");
            let minimal = app.patch_once(&path, "k", &[("prefer", "return=minimal")], patch).await;
            assert_eq!((minimal.status.as_u16(), minimal.body.len(), minimal.is_replayed()), (204, 0, true));
            assert_eq!(minimal.header("etag"), first.header("etag"));

            let other = app.patch_once(&path, "k", &[], r#"{"age":8}"#).await;
            assert_eq!(other.problem(), "422 idempotency-key key_reused");
            let fresh = app.patch_once(&path, "k2", &[("if-match", &tag)], patch).await;
            assert_eq!(fresh.problem(), "412", "another key is another request");
            app.send(Method::DELETE, &path, &[], "").await;
            assert_eq!(app.patch_once(&path, "k", &[], patch).await.told(), first.told());
            assert_eq!(app.patch_once(&path, "k2", &[], patch).await.problem(), "404");
        }
        // A key belongs to the path: that of another row, or of the collection, is another one.
        let (path, _) = app.user(r#"{"name":"one"}"#).await;
        assert!(!app.patch_once(&path, "k", &[], PATCHES[0]).await.is_replayed());
        assert_eq!(app.once("", "k", r#"{"name":"two"}"#).await.status, 201);
    })
    .await;
}

#[tokio::test]
async fn hooks_of_a_patch_are_called_once() {
    on_each_store(async |store| {
        let calls = Arc::new(AtomicUsize::new(0));
        let app = App::over(store, USER, counted(options().ops(Op::CORE), Op::Patch, &calls)).await;
        let (path, _) = app.user(ADA).await;
        let first = app.patch_once(&path, "k", &[], r#"{"age":7}"#).await;
        for _ in 0..2 {
            assert_eq!(app.patch_once(&path, "k", &[], r#"{"age":7}"#).await.told(), first.told());
        }
        assert_eq!(calls.load(Ordering::SeqCst), 101);
    })
    .await;
}

#[tokio::test]
async fn what_failed_may_be_tried_again() {
    on_each_store(async |store| {
        let app = users(store).await;
        app.user(ADA).await;
        assert_eq!(app.once("", "k", r#"{"name":""}"#).await.status, 422);
        assert_eq!(app.once("", "k", r#"{"name":"Eve","email":"a@x"}"#).await.problem(), "409 /email unique");
        assert_eq!(
            app.once("", "k", r#"[{"name":"Eve"},{"name":"b","email":"a@x"}]"#).await.problem(),
            "409 /1/email unique"
        );
        assert_eq!(app.once("", "k", r#"{"name":"Eve"}"#).await.status, 201, "nothing was kept of it");
        let (path, tag) = app.user(r#"{"name":"Bob"}"#).await;
        for (expected, body, problem) in [
            ("*", r#"{"age":-1}"#, "422 /age greater_than_equal"),
            ("*", r#"{"email":"a@x"}"#, "409 /email unique"),
            ("*", r#"{"home":{"zip":"1"}}"#, "422 /home/city missing"),
            ("\"zz\"", r#"{"age":1}"#, "412"),
            ("\"zz\"", "{}", "412"),
        ] {
            let refused = app.patch_once(&path, "k", &[("if-match", expected)], body).await;
            assert_eq!(refused.problem(), problem, "{body}");
            assert_eq!(app.get(&path).await.header("etag"), tag);
        }
        assert_eq!(app.patch_once(&path, "k", &[("if-match", &tag)], r#"{"age":1}"#).await.status, 200);
        for key in ["", "\"\"", &"x".repeat(256), "é"] {
            assert_eq!(app.once("", key, ADA).await.problem(), "400 idempotency-key header", "{key}");
            let patch = app.patch_once(&path, key, &[], r#"{"age":1}"#).await;
            assert_eq!(patch.problem(), "400 idempotency-key header", "{key}");
        }
        let twice = [JSON, ("idempotency-key", "a"), ("idempotency-key", "b")];
        assert_eq!(app.send(Method::POST, "/user", &twice, ADA).await.problem(), "400 idempotency-key header");
    })
    .await;
    let without = App::users().await;
    for _ in 0..2 {
        assert_eq!(without.once("", "k", r#"{"name":"A"}"#).await.status, 201, "it is heeded where that was wanted");
    }
}

#[tokio::test]
async fn an_array_that_comes_again_is_answered_as_it_was() {
    let calls = Arc::new(AtomicUsize::new(0));
    on_each_store(async |store| {
        calls.store(0, Ordering::SeqCst);
        let app = App::over(store, USER, counted(options().bulk(true), Op::Create, &calls)).await;
        let three = r#"[{"name":"A\u0001,","email":"a"},{"name":"B"},{"name":"C","home":{"city":"Ur"}}]"#;
        for (key, array, rows) in [("three", three, 3), ("one", r#"[{"name":"D"}]"#, 4), ("none", " []", 4)] {
            let first = app.once("", key, array).await;
            assert_eq!((first.status.as_u16(), first.is_replayed()), (201, false), "{}", first.text());
            app.send(Method::PATCH, "/user?name=ne.x", &[JSON], r#"{"age":9}"#).await;
            let again = app.once("", key, array).await;
            assert!(again.is_replayed(), "{array}");
            assert_eq!(again.told(), first.told());
            assert_eq!(app.get("/user/_count").await.json(), json!({"count": rows}));
            let minimal = [JSON, ("idempotency-key", key), ("prefer", "return=minimal")];
            let minimal = app.send(Method::POST, "/user", &minimal, array).await;
            assert_eq!((minimal.status.as_u16(), minimal.body.len(), minimal.is_replayed()), (201, 0, true));
        }
        assert_eq!(calls.load(Ordering::SeqCst), 404, "hooks are called once for each row");
        assert_eq!(app.once("", "one", r#"{"name":"D"}"#).await.problem(), "422 idempotency-key key_reused");
        // A thousand of them are one transaction, too.
        let many: Vec<_> = (0..1000).map(|number| json!({"name": format!("many {number}")})).collect();
        let many = json!(many).to_string();
        let first = app.once("", "many", &many).await;
        assert_eq!(first.status, 201, "{}", first.text());
        assert_eq!(app.once("", "many", &many).await.told(), first.told());
        assert_eq!(app.get("/user/_count").await.json(), json!({"count": 1004}));

        let each = [JSON, ("idempotency-key", "each"), ("prefer", "handling=lenient")];
        let refused = app.send(Method::POST, "/user", &each, three).await;
        assert_eq!(refused.problem(), "400 idempotency-key not_allowed");
        assert!(refused.detail().contains("leave it out, or handling=lenient"), "{}", refused.detail());
        assert_eq!(app.get("/user/_count").await.json(), json!({"count": 1004}));
    })
    .await;
}

#[tokio::test]
async fn a_request_that_is_being_answered_is_not_begun_again() {
    on_each_store(async |store| {
        // Hooks tell that they were called, and wait until they are let go.
        let (called, go) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let mut options = options().ops(Op::CORE).bulk(true);
        for op in [Op::Create, Op::Patch] {
            let (called, go) = (called.clone(), go.clone());
            options = options.before(op, "wait", move |event: Event| {
                let (called, go) = (called.clone(), go.clone());
                async move {
                    called.add_permits(1);
                    go.acquire().await.unwrap().forget();
                    Ok(event.document)
                }
            });
        }
        let app = Arc::new(App::over(store, USER, options).await);
        go.add_permits(1);
        let (path, _) = app.user(ADA).await;
        called.acquire().await.unwrap().forget();
        let requests = [
            (Method::POST, "/user".to_owned(), r#"{"name":"A"}"#),
            (Method::POST, "/user".to_owned(), r#"[{"name":"B"}]"#),
            (Method::PATCH, path, r#"{"age":1}"#),
        ];
        for (number, (method, target, body)) in requests.into_iter().enumerate() {
            let key = number.to_string();
            let send = {
                let app = app.clone();
                async move |body: &'static str| {
                    app.send(method.clone(), &target, &[JSON, ("idempotency-key", &key)], body).await
                }
            };
            let send = Arc::new(send);
            let first = tokio::spawn({
                let send = send.clone();
                async move { send(body).await }
            });
            called.acquire().await.unwrap().forget();
            for other in [body, r#"{"name":"other"}"#] {
                let refused = send(other).await;
                assert_eq!(refused.problem(), "409 idempotency-key key_in_use");
                assert_eq!(refused.header("retry-after"), "1");
            }
            go.add_permits(1);
            let first = first.await.unwrap();
            assert!(first.status.is_success() && !first.is_replayed(), "{}", first.text());
            let again = send(body).await;
            assert!(again.is_replayed());
            assert_eq!(again.told(), first.told());

            // One whose client has gone away does not hold on to the key.
            let gone = {
                let app = app.clone();
                tokio::spawn(async move { app.once("", "gone", r#"{"name":"Z"}"#).await })
            };
            called.acquire().await.unwrap().forget();
            gone.abort();
            assert!(gone.await.is_err_and(|error| error.is_cancelled()));
        }
        go.add_permits(1);
        assert_eq!(app.once("", "gone", r#"{"name":"Z"}"#).await.status, 201);
        assert_eq!(called.available_permits(), 1, "no hook was called twice");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_at_once_one_is_done() {
    on_each_store(async |store| {
        let app = Arc::new(users(store).await);
        let (path, _) = app.user(ADA).await;
        for (method, target, body, rows) in [
            (Method::POST, "/user", r#"{"name":"A"}"#, 2),
            (Method::POST, "/user", r#"[{"name":"A"},{"name":"B"}]"#, 4),
            (Method::PATCH, &*path, r#"{"age":1}"#, 4),
            (Method::PATCH, &*path, r#"{"home":{"city":"Ur"}}"#, 4),
        ] {
            let key = body.len().to_string();
            let senders: Vec<_> = (0..16)
                .map(|_| {
                    let (app, method, target, key) = (app.clone(), method.clone(), target.to_owned(), key.clone());
                    tokio::spawn(async move {
                        loop {
                            let answer =
                                app.send(method.clone(), &target, &[JSON, ("idempotency-key", &key)], body).await;
                            if answer.status != 409 {
                                return answer;
                            }
                            assert_eq!(answer.problem(), "409 idempotency-key key_in_use");
                            assert_eq!(answer.header("retry-after"), "1");
                            tokio::task::yield_now().await;
                        }
                    })
                })
                .collect();
            let mut answers = Vec::new();
            for sender in senders {
                answers.push(sender.await.unwrap());
            }
            assert_eq!(answers.iter().filter(|answer| !answer.is_replayed()).count(), 1, "{method} {body}");
            assert!(answers.iter().all(|answer| answer.status.is_success() && answer.told() == answers[0].told()));
            assert_eq!(app.get("/user/_count").await.json(), json!({"count": rows}));
        }
    })
    .await;
}

#[tokio::test]
async fn a_key_belongs_to_what_the_policy_knows_of_the_caller() {
    on_each_store(async |store| {
        let field = |name: &str| Path::of(&Schema::from_description(USER).unwrap(), name).unwrap();
        let own = Expr::equal(field("email"), Operand::claim("tenant"));
        let app = App::over(store, USER, options().policy(Policy::new().read(own))).await;
        let (one, other) = (r#"{"tenant":"t1","iat":1}"#, r#"{"tenant":"t2"}"#);
        let made = app.once(one, "k", r#"{"name":"A"}"#).await;
        assert_eq!(made.json()["email"], "t1");
        let again = app.once(r#"{"tenant":"t1","iat":2}"#, "k", r#"{"name":"A"}"#).await;
        assert!(again.is_replayed() && again.text() == made.text());
        let others = app.once(other, "k", r#"{"name":"A"}"#).await;
        assert_eq!((others.status.as_u16(), others.is_replayed(), &others.json()["email"]), (201, false, &json!("t2")));

        let path = made.header("location").to_owned();
        let patch = async |claims: &str| {
            let headers = [JSON, ("idempotency-key", "k")];
            app.send_as(claims, Method::PATCH, &path, &headers, r#"{"age":3}"#).await
        };
        assert_eq!(patch(one).await.json()["age"], 3);
        assert!(patch(one).await.is_replayed());
        for claims in [other, r#"{"sub":"t1"}"#, ""] {
            assert_eq!(patch(claims).await.problem(), "404", "{claims}");
        }
    })
    .await;
}

const NOTE: &str = r#"{"name":"User","id":"id","fields":[
  {"name":"id","type":{"type":"str"}},
  {"name":"text","type":{"type":"str"},"default":{"value":""}},
  {"name":"secret","type":{"type":"str"},"default":{"value":"s"},"access":"hidden"},
  {"name":"written","type":{"type":"datetime"},"default":{"factory":"now"},"access":"read_only","renew":true},
  {"name":"deleted_at","type":{"type":"optional","of":{"type":"datetime"}},"default":{"value":null},
     "access":"read_only","deletion":true}]}"#;

#[tokio::test]
async fn rows_that_are_marked_as_deleted_are_patched_by_nobody() {
    on_each_store(async |store| {
        let options = ResourceOptions::new().ops(Op::ALL).client_id(true).idempotency(true);
        let app = App::over(store, NOTE, options.concurrency(Concurrency::Optional)).await;
        // Of a row that is not there nothing is kept.
        assert_eq!(app.patch_once("/user/a", "k", &[], r#"{"text":"t"}"#).await.problem(), "404");
        let (path, _) = app.user(r#"{"id":"a"}"#).await;
        app.send(Method::DELETE, &path, &[], "").await;
        for patch in [r#"{"text":"t"}"#, "{}"] {
            assert_eq!(app.patch_once(&path, "k", &[], patch).await.problem(), "404");
        }
        assert_eq!(app.send(Method::POST, "/user/a/_restore", &[], "").await.status, 200);
        let first = app.patch_once(&path, "k", &[], r#"{"text":"t"}"#).await;
        assert_eq!((first.status.as_u16(), first.is_replayed()), (200, false));
        assert!(!first.text().contains("secret"));
        app.send(Method::DELETE, &path, &[], "").await;
        let again = app.patch_once(&path, "k", &[], r#"{"text":"t"}"#).await;
        assert!(again.is_replayed());
        assert_eq!(again.told(), first.told());
    })
    .await;
}

#[tokio::test]
async fn a_key_that_would_not_help_is_refused() {
    let options = ResourceOptions::new().ops(Op::ALL).client_id(true).upsert(true);
    let app = App::new(NOTE, options.clone().idempotency(true)).await;
    let (path, _) = app.user(r#"{"id":"a"}"#).await;
    let tag = app.get(&path).await.header("etag").to_owned();
    let key = [JSON, ("idempotency-key", "k")];
    let restore = format!("{path}/_restore");
    for (method, target, body, cure) in [
        (Method::PUT, &*path, "{}", "send If-Match instead"),
        (Method::PUT, "/user/b", "{}", "send If-Match instead"),
        (Method::DELETE, &*path, "", "send If-Match instead"),
        (Method::POST, &*restore, "", "send If-Match instead"),
        (Method::PATCH, "/user?id=a", r#"{"text":"t"}"#, "leave it out"),
        (Method::DELETE, "/user?id=a", "", "leave it out"),
        (Method::POST, "/user/_import", "{}", "leave it out"),
    ] {
        let refused = app.send(method.clone(), target, &key, body).await;
        assert_eq!(refused.problem(), "400 idempotency-key not_allowed", "{method} {target}");
        assert!(refused.detail().contains(cure), "{method} {target}: {}", refused.detail());
    }
    assert_eq!(app.get("/user").await.column("id"), ["a"]);
    assert_eq!(app.send(Method::GET, &path, &key, "").await.header("etag"), tag, "nothing was written");
    let without = App::new(NOTE, options).await;
    assert_eq!(without.send(Method::PUT, "/user/b", &key, "{}").await.status, 201);
}

#[test]
fn it_is_told_where_keys_are_heeded() {
    let schema = Arc::new(Schema::from_description(USER).unwrap());
    let document = |kept| {
        let resource = Resource::new(schema.clone(), options().bulk(true).idempotency(kept));
        openapi(&resource)
    };
    let told = document(true);
    let mut heeded = Vec::new();
    for (path, methods) in told["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            if parameters.filter(|parameter| parameter["name"] == "Idempotency-Key").count() == 1 {
                let done = if method == "post" { "201" } else { "200" };
                assert!(operation["responses"][done]["headers"]["Idempotency-Replayed"].is_object());
                heeded.push(format!("{method} {path}"));
            }
        }
    }
    heeded.sort_unstable();
    assert_eq!(heeded, ["patch /user/{id}", "post /user"]);
    assert!(!document(false).to_string().contains("Idempotency"));

    let unused = options().ops([Op::List, Op::Replace]).at("app.py:7");
    assert_eq!(
        Resource::new(schema, unused).check().unwrap_err().to_string(),
        "User: idempotency is for create and patch, and neither is served; serve one of them, or leave idempotency out (at app.py:7)"
    );
}
