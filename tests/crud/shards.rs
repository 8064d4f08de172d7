//! A shard key: what clients see of it, which is nothing, and what MongoDB is told of it for each of their requests.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value as Json, json};
use tempfile::TempDir;
use ziggurat::crud::store::AnyStore;
use ziggurat::crud::{Event, Expr, Op, Operand, Path, Policy, Resource, ResourceOptions, Schema};
use ziggurat::service::Problem;

use crate::mongo::{Mongo, is_off};
use crate::support::{Answer, App, JSON};
use crate::wire::Wire;

const ANN: &str = r#"{"sub":"ann","tenant":"a"}"#;
const BOB: &str = r#"{"sub":"bob","tenant":"b"}"#;

fn note(key: &str, more: &str) -> String {
    format!(
        r#"{{"name":"Note","id":"id","shard_key":"{key}","fields":[
          {{"name":"id","type":{{"type":"uuid"}}}},
          {{"name":"tenant","type":{{"type":"str"}},"access":"immutable","index":{{}}}},
          {{"name":"text","type":{{"type":"str"}},"default":{{"value":""}}}},
          {{"name":"home","type":{{"type":"optional","of":{{"type":"model","schema":{{"name":"Home","fields":[
             {{"name":"city","type":{{"type":"str"}}}}]}}}}}},"default":{{"value":null}}}}{more}]}}"#
    )
}

const DELETION: &str = r#",{"name":"deleted_at","type":{"type":"optional","of":{"type":"datetime"}},"default":{"value":null},"access":"read_only","deletion":true}"#;

fn by_tenant() -> Policy {
    let schema = Schema::from_description(&note("tenant", "")).unwrap();
    Policy::new().read(Expr::equal(Path::of(&schema, "tenant").unwrap(), Operand::claim("tenant")))
}

fn unchanged(event: Event) -> std::future::Ready<Result<Bytes, Problem>> {
    std::future::ready(Ok(event.document))
}

/// The same app over both stores, and what the one on MongoDB sends.
struct Both {
    apps: [App; 2],
    wire: Wire,
    _folder: TempDir,
    _mongo: Mongo,
}

impl Both {
    async fn of(description: &str, options: ResourceOptions) -> Self {
        let (folder, mongo) = (TempDir::new().unwrap(), Mongo::shared());
        let wire = Wire::before(&mongo.database()).await;
        let sqlite = AnyStore::open_url(&format!("sqlite:///{}/rows.db", folder.path().display())).await.unwrap();
        let mongodb = AnyStore::open_url(wire.uri()).await.unwrap();
        let apps =
            [App::over(sqlite, description, options.clone()).await, App::over(mongodb, description, options).await];
        wire.heard("note");
        Self { apps, wire, _folder: folder, _mongo: mongo }
    }

    /// The path of a new row on each of them.
    async fn note(&self, claims: &str, body: &str) -> [String; 2] {
        let mut paths = [const { String::new() }; 2];
        for (app, path) in self.apps.iter().zip(&mut paths) {
            let made = app.send_as(claims, Method::POST, "/note", &[JSON], body.to_owned()).await;
            assert_eq!(made.status, 201, "{}", made.text());
            *path = made.header("location").to_owned();
        }
        self.wire.heard("note");
        paths
    }

    /// What both answer.
    async fn send(
        &self,
        claims: &str,
        method: Method,
        paths: &[String; 2],
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut answers = Vec::new();
        for (app, path) in self.apps.iter().zip(paths) {
            answers.push(app.send_as(claims, method.clone(), path, headers, body.to_owned()).await);
        }
        let seen = |answer: &Answer| {
            let mut body: Json = serde_json::from_slice(&answer.body).unwrap_or_default();
            for made in ["id", "deleted_at", "instance"] {
                body.as_object_mut().and_then(|body| body.remove(made));
            }
            (answer.status, body)
        };
        assert_eq!(seen(&answers[0]), seen(&answers[1]), "{method} {paths:?}");
        answers.pop().unwrap()
    }

    /// What was sent since the last call, after a check that each write to a row told its shard key.
    fn heard(&self, tenant: &str) -> Vec<String> {
        let heard = self.wire.heard("note");
        for (name, filter) in heard.iter().filter(|(name, _)| matches!(&**name, "findAndModify" | "update" | "delete"))
        {
            assert_eq!(filter.get("tenant"), Some(&bson::doc! { "$eq": tenant }.into()), "{name} {filter}");
        }
        heard.into_iter().map(|(name, _)| name).collect()
    }
}

/// Each request that writes one row, its body, and what is sent for it where the condition does not tell the key.
fn writes() -> [(Method, &'static str, &'static [&'static str]); 6] {
    [
        // It is read anyhow, for the fields that clients cannot change.
        (Method::PUT, r#"{"text":"1","tenant":"a"}"#, &["find", "findAndModify"]),
        (Method::PATCH, r#"{"text":"2"}"#, &["find", "findAndModify"]),
        (Method::PATCH, r#"{"home":{"city":"Ur"}}"#, &["find", "findAndModify"]),
        (Method::PATCH, r#"{"text":"3","tenant":"a"}"#, &["find", "findAndModify"]),
        (Method::PATCH, "{}", &["find"]),
        (Method::DELETE, "", &["find", "delete"]),
    ]
}

/// The same where a policy tells it.
fn fewer(method: &Method, body: &str, sent: &'static [&'static str]) -> &'static [&'static str] {
    match (method, body) {
        (&Method::PATCH, r#"{"text":"2"}"#) => &["findAndModify"],
        (&Method::DELETE, _) => &["delete"],
        _ => sent,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_without_a_policy_look_it_up_where_they_have_not_read_it() {
    if is_off() {
        return;
    }
    let both = Both::of(&note("tenant", ""), ResourceOptions::new()).await;
    let paths = both.note("", r#"{"tenant":"a"}"#).await;
    for (method, body, sent) in writes() {
        let answer = both.send("", method.clone(), &paths, &[JSON], body).await;
        assert!(answer.status.is_success(), "{method} {body}: {}", answer.text());
        assert_eq!(both.heard("a"), sent, "{method} {body}");
    }
    let gone = both.send("", Method::PATCH, &paths, &[JSON], r#"{"text":"2"}"#).await;
    assert_eq!((gone.problem().as_str(), both.heard("a")), ("404", vec!["find".to_owned()]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_tells_it() {
    if is_off() {
        return;
    }
    let both = Both::of(&note("tenant", ""), ResourceOptions::new().policy(by_tenant())).await;
    let paths = both.note(ANN, "{}").await;
    let found = both.send(ANN, Method::GET, &paths, &[], "").await;
    assert_eq!(found.json()["tenant"], "a");
    let [(name, filter)] = &both.wire.heard("note")[..] else { panic!("one read") };
    assert_eq!((&**name, filter.get("tenant")), ("find", Some(&bson::doc! { "$eq": "a" }.into())));
    for (method, body, sent) in writes() {
        let foreign = both.send(BOB, method.clone(), &paths, &[JSON], &body.replace('a', "b")).await;
        assert!(foreign.status.is_client_error(), "{method} {body}: {}", foreign.text());
        both.heard("b");
        let answer = both.send(ANN, method.clone(), &paths, &[JSON], body).await;
        assert!(answer.status.is_success(), "{method} {body}: {}", answer.text());
        assert_eq!(both.heard("a"), fewer(&method, body, sent), "{method} {body}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_under_conditions_tell_it() {
    if is_off() {
        return;
    }
    let both = Both::of(&note("tenant", ""), ResourceOptions::new()).await;
    let paths = both.note("", r#"{"tenant":"a"}"#).await;
    for (method, body) in [(Method::PATCH, r#"{"text":"1"}"#), (Method::DELETE, "")] {
        let stale = both.send("", method.clone(), &paths, &[JSON, ("if-match", "\"zz\"")], body).await;
        assert_eq!(stale.problem(), "412");
        both.heard("a");
        // The row is read for the condition, and tells it then.
        let other = both.send("", method.clone(), &paths, &[JSON, ("if-none-match", "\"zz\"")], body).await;
        assert!(other.status.is_success(), "{}", other.text());
        assert_eq!(both.heard("a").len(), 2, "{method}");
        let there = both.send("", method.clone(), &paths, &[JSON, ("if-none-match", "*")], body).await;
        assert!(there.status.is_client_error());
        both.heard("a");
    }
    let paths = both.note("", r#"{"tenant":"a"}"#).await;
    // Each store counts its own versions.
    for (app, path) in both.apps.iter().zip(&paths) {
        for (method, body) in
            [(Method::PUT, r#"{"tenant":"a"}"#), (Method::PATCH, r#"{"text":"1"}"#), (Method::DELETE, "")]
        {
            let tag = app.get(path).await.header("etag").to_owned();
            let done = app.send(method, path, &[JSON, ("if-match", &tag)], body).await;
            assert!(done.status.is_success(), "{}", done.text());
        }
    }
    assert_eq!(
        both.heard("a"),
        ["find", "find", "findAndModify", "find", "find", "findAndModify", "find", "find", "delete"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_come_back_and_those_that_hooks_see_tell_it() {
    if is_off() {
        return;
    }
    let ops = Op::CORE.into_iter().chain([Op::Deleted, Op::Restore]);
    for (policy, sent) in [(Policy::new(), 2), (by_tenant(), 1)] {
        let options = ResourceOptions::new().ops(ops.clone()).policy(policy);
        let both = Both::of(&note("tenant", DELETION), options).await;
        let paths = both.note(ANN, r#"{"tenant":"a"}"#).await;
        let restoring = paths.clone().map(|path| format!("{path}/_restore"));
        for (method, at, status) in
            [(Method::DELETE, &paths, 204), (Method::DELETE, &paths, 404), (Method::POST, &restoring, 200)]
        {
            let answer = both.send(ANN, method.clone(), at, &[], "").await;
            assert_eq!(answer.status, status, "{method}: {}", answer.text());
            let heard = both.heard("a");
            if status != 404 {
                assert_eq!(heard.len(), sent, "{method}: {heard:?}");
                assert_eq!(heard[sent - 1], "findAndModify");
            }
        }
    }
    let mut options = ResourceOptions::new();
    for op in [Op::Create, Op::Replace, Op::Patch, Op::Delete] {
        options = options.before(op, "look", unchanged);
    }
    for more in ["", DELETION] {
        let both = Both::of(&note("tenant", more), options.clone()).await;
        let paths = both.note("", r#"{"tenant":"a"}"#).await;
        for (method, body, sent) in writes() {
            // A patch of nothing passes no hook.
            let answer = both.send("", method.clone(), &paths, &[JSON], body).await;
            assert!(answer.status.is_success(), "{method} {body}: {}", answer.text());
            assert_eq!(both.heard("a").len(), sent.len(), "{method} {body}: the row that the hook saw tells it");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_made_and_sent_again_as_ever() {
    if is_off() {
        return;
    }
    let both = Both::of(&note("tenant", ""), ResourceOptions::new().idempotency(true).bulk(true)).await;
    let list = ["/note".to_owned(), "/note".to_owned()];
    let keyed = [JSON, ("idempotency-key", "k")];
    for replayed in ["", "true"] {
        let answer = both.send("", Method::POST, &list, &keyed, r#"{"tenant":"a"}"#).await;
        assert_eq!((answer.status, answer.header("idempotency-replayed")), (StatusCode::CREATED, replayed));
    }
    let many = both.apps[1].post("/note", r#"[{"tenant":"a"},{"tenant":"b"}]"#).await;
    assert_eq!(many.status, 201, "{}", many.text());
    assert!(both.heard("a").iter().all(|name| name == "insert"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_it_is_the_id_clients_may_choose_it() {
    if is_off() {
        return;
    }
    let options = ResourceOptions::new().client_id(true).upsert(true);
    let both = Both::of(&note("id", ""), options).await;
    let id = uuid::Uuid::now_v7().to_string();
    let paths = [format!("/note/{id}"), format!("/note/{id}")];
    for status in [201, 200] {
        let answer = both.send("", Method::PUT, &paths, &[JSON], r#"{"tenant":"a","text":"1"}"#).await;
        assert_eq!(answer.status, status, "{}", answer.text());
    }
    for (name, filter) in both.wire.heard("note") {
        assert!(
            name == "insert" || filter.get_document("_id").is_ok_and(|id| id.contains_key("$eq")),
            "{name} {filter}"
        );
        assert!(!filter.contains_key("tenant"));
    }
}

#[tokio::test]
async fn no_hook_moves_a_row_to_another_shard() {
    let moved = |event: Event| {
        let mut row: Json = serde_json::from_slice(&event.document).unwrap();
        row["tenant"] = json!("b");
        std::future::ready(Ok::<_, Problem>(Bytes::from(row.to_string())))
    };
    let options = ResourceOptions::new().before(Op::Patch, "move", moved).before(Op::Create, "give", moved);
    let app = App::new(&note("tenant", ""), options).await;
    let made = app.post("/note", r#"{"tenant":"a"}"#).await;
    assert_eq!(made.json()["tenant"], "b", "a new row may be anywhere");
    let path = made.header("location").to_owned();
    assert_eq!(app.patch(&path, r#"{"text":"x"}"#).await.status, 200, "it is there already");
    let options = ResourceOptions::new().before(Op::Patch, "move", moved);
    let app = App::new(&note("tenant", ""), options).await;
    let path = app.post("/note", r#"{"tenant":"a"}"#).await.header("location").to_owned();
    let answer = app.patch(&path, r#"{"text":"x"}"#).await;
    assert_eq!(answer.problem(), "500");
    assert_eq!(app.get(&path).await.json()["text"], "", "nothing was written");
}

#[test]
fn ids_that_clients_choose_are_unique_only_where_they_are_the_shard_key() {
    let checked = |key: &str, options: ResourceOptions| {
        let schema = Schema::from_description(&note(key, "")).unwrap();
        Resource::new(Arc::new(schema), options.at("app.py:3")).check()
    };
    checked("tenant", ResourceOptions::new()).unwrap();
    checked("id", ResourceOptions::new().client_id(true)).unwrap();
    let why = checked("tenant", ResourceOptions::new().client_id(true)).unwrap_err().to_string();
    assert!(why.contains("Note is sharded by tenant, so MongoDB would not see that an id"), "{why}");
    assert!(why.contains("leave client_id out, or shard by id") && why.contains("app.py:3"), "{why}");
}
