//! Rows that are marked as deleted instead of being removed.

use std::sync::Arc;

use http::Method;
use serde_json::{Value as Json, json};
use ziggurat::crud::{Expr, Op, Operand, Path, Policy, Resource, ResourceOptions, Schema, openapi};

use crate::changes::Feed;
use crate::support::{Answer, App, JSON};

const NOTE: &str = r#"{"name":"Note","id":"id","fields":[
  {"name":"id","type":{"type":"str"}},
  {"name":"name","type":{"type":"optional","of":{"type":"str"}},"default":{"value":null},"index":{"unique":true}},
  {"name":"code","type":{"type":"int"},"default":{"value":0}},
  {"name":"owner","type":{"type":"str"},"default":{"value":"ann"}},
  {"name":"written","type":{"type":"datetime"},"default":{"factory":"now"},"access":"read_only","renew":true},
  {"name":"deleted_at","type":{"type":"optional","of":{"type":"datetime"}},"default":{"value":null},
     "access":"read_only","deletion":true}]}"#;

fn options() -> ResourceOptions {
    ResourceOptions::new().ops(Op::ALL).client_id(true)
}

async fn three(options: ResourceOptions) -> App {
    let app = App::new(NOTE, options).await;
    for (id, code) in [("a", 1), ("b", 2), ("c", 3)] {
        let made = app.post("/note", &format!(r#"{{"id":"{id}","name":"N{id}","code":{code}}}"#)).await;
        assert_eq!(made.status, 201, "{}", made.text());
    }
    app
}

impl App {
    async fn remove(&self, target: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(Method::DELETE, target, headers, "").await
    }

    async fn restore(&self, id: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(Method::POST, &format!("/note/{id}/_restore"), headers, "").await
    }
}

#[tokio::test]
async fn a_deleted_row_is_not_there_until_it_is_restored() {
    let app = three(options()).await;
    let before = app.get("/note/b").await;
    assert_eq!(before.json()["deleted_at"], Json::Null);
    assert_eq!(app.remove("/note/b", &[]).await.status, 204);
    for target in ["/note/b", "/note/b?fields=code"] {
        assert_eq!(app.get(target).await.problem(), "404");
    }
    assert_eq!(app.get("/note").await.column("id"), ["a", "c"]);
    assert_eq!(app.get("/note?code=2").await.column("id"), [""; 0]);
    assert_eq!(app.get("/note?deleted_at=is.notnull").await.column("id"), [""; 0], "a filter narrows and never widens");
    assert_eq!(app.get("/note/_count").await.json(), json!({"count": 2}));
    assert_eq!(app.get("/note/_export").await.text().lines().count(), 2);
    let asked = app.send(Method::QUERY, "/note", &[JSON], r#"{"filter":["code","gte",1]}"#).await;
    assert_eq!(asked.column("id"), ["a", "c"]);
    assert_eq!(app.patch("/note/b", r#"{"code":9}"#).await.problem(), "404");
    assert_eq!(app.put("/note/b", r#"{"code":9}"#).await.problem(), "404");
    assert_eq!(app.remove("/note/b", &[]).await.problem(), "404");
    assert_eq!(app.patch("/note?code=gte.1", r#"{"owner":"bob"}"#).await.json()["matched"], 2);
    assert_eq!(app.post("/note", r#"{"id":"b"}"#).await.problem(), "409 /id unique", "the id stays taken");

    let deleted = app.get("/note/_deleted?sort=-code&limit=1").await;
    assert_eq!(deleted.column("id"), ["b"]);
    assert!(deleted.json()["items"][0]["deleted_at"].is_string() && deleted.json()["next"].is_null());
    assert_eq!(app.get("/note/_deleted?code=1").await.column("id"), [""; 0]);

    assert_eq!(app.restore("a", &[]).await.problem(), "404", "it is not deleted");
    assert_eq!(app.restore("zz", &[]).await.problem(), "404");
    assert_eq!(app.restore("b", &[("if-match", before.header("etag"))]).await.problem(), "412");
    let restored = app.restore("b", &[]).await;
    assert_eq!((restored.status.as_u16(), &restored.json()["deleted_at"]), (200, &Json::Null));
    assert_eq!(restored.json()["owner"], "ann", "what it held it holds again");
    assert_ne!(restored.header("etag"), before.header("etag"));
    assert_eq!(app.get("/note/b").await.header("etag"), restored.header("etag"));
    let minimal = async |id: &str| app.restore(id, &[("prefer", "return=minimal")]).await;
    app.remove("/note/b", &[("if-match", restored.header("etag"))]).await;
    assert_eq!(minimal("b").await.status, 204);
}

#[tokio::test]
async fn deleted_rows_do_not_count_where_a_value_is_unique() {
    let app = three(options()).await;
    app.remove("/note/a", &[]).await;
    assert_eq!(app.post("/note", r#"{"id":"d","name":"Na"}"#).await.status, 201);
    assert_eq!(app.post("/note", r#"{"id":"e","name":"Nb"}"#).await.problem(), "409 /name unique");
    assert_eq!(app.restore("a", &[]).await.problem(), "409 /name unique");
    app.remove("/note/d", &[]).await;
    assert_eq!(app.restore("a", &[]).await.status, 200);
}

#[tokio::test]
async fn many_rows_are_deleted_as_one_is() {
    let app = three(options()).await;
    assert_eq!(app.remove("/note?code=lte.2", &[]).await.json(), json!({"matched": 2, "modified": 2}));
    assert_eq!(app.remove("/note?code=lte.2", &[]).await.json(), json!({"matched": 0, "modified": 0}));
    assert_eq!(app.get("/note/_deleted").await.column("id"), ["a", "b"]);
    assert_eq!(
        app.remove("/note?code=gte.1", &[("prefer", "max-affected=0")]).await.problem(),
        "409 prefer max_affected"
    );
}

#[tokio::test]
async fn clients_do_not_set_when_a_row_was_deleted() {
    let app = three(options().upsert(true)).await;
    let time = r#"{"deleted_at":"2024-01-01T00:00:00Z"}"#;
    assert_eq!(app.patch("/note/a", time).await.problem(), "422 /deleted_at read_only");
    assert_eq!(app.put("/note/a", time).await.problem(), "422 /deleted_at read_only");
    assert_eq!(app.patch("/note?code=1", time).await.problem(), "422 /deleted_at read_only");
    assert_eq!(app.patch("/note/a", r#"{"deleted_at":null,"code":4}"#).await.status, 200, "as it was read");
    // Times are told in milliseconds.
    tokio::time::sleep(std::time::Duration::from_millis(3)).await;
    app.remove("/note/a", &[]).await;
    assert_eq!(app.put("/note/a", r#"{"code":9}"#).await.status, 409, "its id is taken");
    let written = app.get("/note/_deleted").await.column("written").remove(0);
    assert!(written.as_str() > app.get("/note/b").await.json()["written"].as_str(), "it was written");
}

#[tokio::test]
async fn policies_stand_before_what_was_deleted() {
    const ANN: &str = r#"{"sub":"ann"}"#;
    const BOB: &str = r#"{"sub":"bob"}"#;
    let schema = Schema::from_description(NOTE).unwrap();
    let path = |name| Path::of(&schema, name).unwrap();
    let own = || Expr::equal(path("owner"), Operand::claim("sub"));
    let known = Expr::Not(Box::new(Expr::IsNull { field: path("name") }));
    let app = App::new(NOTE, options().gone(true).policy(Policy::new().read(known).write(own()))).await;
    for (claims, id) in [(ANN, "a"), (BOB, "b")] {
        let body = format!(r#"{{"id":"{id}","name":"{id}"}}"#);
        assert_eq!(app.send_as(claims, Method::POST, "/note", &[JSON], body).await.status, 201);
        assert_eq!(app.send_as(claims, Method::DELETE, &format!("/note/{id}"), &[], "").await.status, 204);
    }
    let send = async |claims, method: Method, target: &str| app.send_as(claims, method, target, &[], "").await;
    assert_eq!(send(BOB, Method::GET, "/note/_deleted").await.column("id"), ["a", "b"]);
    assert_eq!(send(BOB, Method::POST, "/note/a/_restore").await.problem(), "404");
    assert_eq!(send("", Method::POST, "/note/a/_restore").await.problem(), "404");
    assert_eq!(send(ANN, Method::GET, "/note/a").await.problem(), "410");
    assert_eq!(send(ANN, Method::GET, "/note/c").await.problem(), "404");
    assert_eq!(send(ANN, Method::POST, "/note/a/_restore").await.status, 200);
}

#[tokio::test]
async fn hooks_are_asked_and_the_feed_tells() {
    let hook = |event: ziggurat::crud::Event| async move {
        let row: Json = serde_json::from_slice(&event.document).unwrap();
        if row["id"] == "b" {
            return Err(ziggurat::service::Problem::forbidden("b stays"));
        }
        Ok(event.document)
    };
    let ops = Op::ALL.into_iter().filter(|op| *op != Op::DeleteMany);
    let app = three(ResourceOptions::new().ops(ops).client_id(true).before(Op::Delete, "stay", hook)).await;
    let mut feed = Feed::open(&app, "", "/note/_changes", &[]).await;
    assert_eq!(app.remove("/note/b", &[]).await.problem(), "403");
    assert_eq!(app.remove("/note/a", &[]).await.status, 204);
    assert_eq!(app.restore("a", &[]).await.status, 200);
    for name in ["delete", "create"] {
        let event = feed.next().await.unwrap();
        assert_eq!((event.name.as_str(), &event.data["id"]), (name, &json!("a")));
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let removed = NOTE.replace(r#","deletion":true"#, "");
    let check = |description: &str, options: ResourceOptions| {
        Resource::new(Arc::new(Schema::from_description(description).unwrap()), options)
            .check()
            .unwrap_err()
            .to_string()
    };
    for op in [Op::Deleted, Op::Restore] {
        let text = check(&removed, options().ops([Op::List, op]));
        assert!(text.contains(&format!("rows that are deleted are removed, so {op} cannot be served")), "{text}");
    }
    assert!(check(&removed, options().ops(Op::CORE).gone(true)).contains("nothing tells that they were there"));
    for (wrong, right) in [
        (r#""access":"read_only","deletion":true"#, r#""deletion":true"#),
        (r#"{"name":"code","type":{"type":"int"}"#, r#"{"deletion":true,"name":"code","type":{"type":"int"}"#),
    ] {
        let text = Schema::from_description(&NOTE.replace(wrong, right)).map(|_| ()).unwrap_err().to_string();
        assert!(text.contains("cannot hold when a row was deleted"), "{text}");
    }
}

#[test]
fn it_is_documented() {
    let schema = Arc::new(Schema::from_description(NOTE).unwrap());
    let document = openapi(&Resource::new(schema, options().gone(true)));
    let paths = &document["paths"];
    assert_eq!(paths["/note/_deleted"]["get"]["operationId"], "note_deleted");
    assert_eq!(paths["/note/{id}/_restore"]["post"]["operationId"], "note_restore");
    assert!(paths["/note/{id}"]["get"]["responses"]["410"].is_object());
    assert!(paths["/note/{id}/_restore"]["post"]["requestBody"].is_null());
    assert_eq!(document["components"]["schemas"]["NoteCreate"]["properties"]["deleted_at"], Json::Null);
}
