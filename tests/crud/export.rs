//! Exports: every row, one to a line.

use std::sync::Arc;

use http::Request;
use http_body_util::BodyExt;
use serde_json::Value as Json;
use tower::ServiceExt;
use ziggurat::Body;
use ziggurat::crud::store::sqlite::{SqliteOptions, SqliteStore};
use ziggurat::crud::{Collection, Op, Resource, ResourceOptions, Schema, Store, Value};
use ziggurat::service::{Dispatcher, RouteTableBuilder};

use crate::support::{App, every_op};

const ITEM: &str = r#"{"name":"Item","id":"id","fields":[{"name":"id","type":{"type":"int"}},
  {"name":"group","type":{"type":"int"}},{"name":"end","type":{"type":"str"},"default":{"value":"x\ny"}}]}"#;

fn options() -> ResourceOptions {
    ResourceOptions::new().client_id(true).ops(every_op())
}

async fn fill(app: &App, count: usize) {
    for id in 0..count {
        assert_eq!(app.post("/item", &format!(r#"{{"id":{id},"group":{}}}"#, id % 3)).await.status, 201);
    }
}

fn ids(lines: &str) -> Vec<i64> {
    lines.lines().map(|line| serde_json::from_str::<Json>(line).unwrap()["id"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn every_row_is_on_a_line() {
    let app = App::new(ITEM, options()).await;
    let empty = app.get("/item/_export").await;
    assert_eq!((empty.status.as_u16(), empty.text().as_str()), (200, ""));
    assert_eq!(app.get("/item/_export?_end=1").await.text(), "{\"$end\":{\"count\":0}}\n");

    // More than two pages, and exactly one.
    fill(&app, 600).await;
    let all = app.get("/item/_export").await;
    assert_eq!(all.header("content-type"), "application/x-ndjson");
    assert_eq!(all.header("cache-control"), "private, no-store");
    assert_eq!(ids(&all.text()), (0..600).collect::<Vec<_>>());
    assert_eq!(all.text().lines().next().unwrap(), r#"{"id":0,"group":0,"end":"x\ny"}"#);
    assert_eq!(ids(&app.get("/item/_export?limit=256").await.text()).len(), 256);
    assert_eq!(ids(&app.get("/item/_export?limit=599&sort=-id").await.text()), (1..600).rev().collect::<Vec<_>>());
    let some = app.get("/item/_export?group=1&sort=-group,id&fields=id&_end=1&limit=300").await.text();
    let (lines, end) = some.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(end, r#"{"$end":{"count":200}}"#);
    assert_eq!(ids(lines), (0..200).map(|n| n * 3 + 1).collect::<Vec<_>>());
    assert!(lines.starts_with("{\"id\":1}\n"));
}

#[tokio::test]
async fn what_an_export_does_not_have_is_told() {
    let app = App::new(ITEM, options()).await;
    assert_eq!(app.get("/item/_export?cursor=x").await.problem(), "400 cursor unknown_parameter");
    assert_eq!(app.get("/item/_export?limit=0").await.problem(), "422 limit greater_than_equal");
    assert_eq!(app.get("/item/_export?_end=yes").await.problem(), "422 _end bool_parsing");
    assert_eq!(app.get("/item/_export?end=yes").await.status, 200, "a field may be called so");
    let core = App::new(ITEM, options().ops(Op::CORE)).await;
    assert_eq!(core.get("/item/_export").await.problem(), "404");
}

#[tokio::test]
async fn an_export_that_breaks_off_has_no_end() {
    let store = SqliteStore::in_memory(SqliteOptions::default()).unwrap();
    let schema = Arc::new(Schema::from_description(ITEM).unwrap());
    let items = store.open(schema.clone()).await.unwrap();
    let row = |id| Value::Object(vec![Value::Int(id), Value::Int(0), Value::Str("".into())]);
    items.insert_all((0..300).map(row).collect()).await.unwrap();
    let mut table = RouteTableBuilder::new();
    Resource::new(schema, options()).mount(items, &mut table).unwrap();
    let dispatcher = Dispatcher::new(table.build().unwrap());
    let request = || Request::builder().uri("/item/_export?_end=1").body(Body::empty()).unwrap();

    let response = dispatcher.clone().oneshot(request()).await.unwrap();
    assert_eq!(response.status(), 200);
    let mut body = response.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(ids(std::str::from_utf8(&first).unwrap()).len(), 256);
    store.close().await;
    let broken = body.frame().await.unwrap().unwrap_err().to_string();
    assert_eq!(broken, "the export of Item broke off after 256 rows");

    assert_eq!(dispatcher.oneshot(request()).await.unwrap().status(), 503, "a store that is gone has a status");
}
