//! A store that fails: the client learns what helps, and nothing else.

use std::sync::Arc;

use http::{Method, Request};
use http_body_util::BodyExt;
use serde_json::Value as Json;
use tower::ServiceExt;
use ziggurat::Body;
use ziggurat::crud::query::Grouping;
use ziggurat::crud::store::{Key, Once, Write, WriteError};
use ziggurat::crud::{
    Changes, ChangesError, Collection, Expect, Expr, Groups, Many, Op, OpenError, Outcome, Page, Query, Resource,
    ResourceOptions, Row, RowError, Schema, StoreError, Value,
};
use ziggurat::service::{Dispatcher, RouteTableBuilder};

use crate::support::USER;

/// A collection that fails as it is told, and has no transactions.
#[derive(Clone)]
struct Failing(fn() -> StoreError);

impl Collection for Failing {
    async fn get(&self, _: Value<'static>, _: Expr) -> Result<Option<Row>, StoreError> {
        Err(self.0())
    }
    async fn list(&self, _: Query) -> Result<Page, StoreError> {
        Err(self.0())
    }
    async fn count(&self, _: Expr) -> Result<u64, StoreError> {
        Err(self.0())
    }
    async fn group(&self, _: Grouping) -> Result<Groups, StoreError> {
        Err(self.0())
    }
    async fn insert_all(&self, _: Vec<Value<'static>>) -> Result<Vec<Row>, RowError> {
        Err(RowError { index: 2, error: self.0() })
    }
    async fn keep_keys(&self) -> Result<(), OpenError> {
        Err(self.0().into())
    }
    async fn recall(&self, _: Key) -> Result<Option<Once>, StoreError> {
        Err(self.0())
    }
    async fn once(&self, _: Vec<Write>, _: Key) -> Result<Once, WriteError> {
        Err(self.0().into())
    }
    async fn import(&self, _: Vec<(Value<'static>, i64)>) -> Result<(), RowError> {
        Err(self.0().into())
    }
    fn has_transactions(&self) -> bool {
        false
    }
    async fn estimate(&self) -> Result<u64, StoreError> {
        Err(self.0())
    }
    async fn insert(&self, _: Value<'static>) -> Result<Row, StoreError> {
        Err(self.0())
    }
    async fn replace(&self, _: Value<'static>, _: Expect) -> Result<Outcome<Row>, StoreError> {
        Err(self.0())
    }
    async fn update(
        &self,
        _: Value<'static>,
        _: Vec<(usize, Value<'static>)>,
        _: Expect,
    ) -> Result<Outcome<Row>, StoreError> {
        Err(self.0())
    }
    async fn delete(&self, _: Value<'static>, _: Expect) -> Result<Outcome<()>, StoreError> {
        Err(self.0())
    }
    async fn update_all(&self, _: Expr, _: Vec<(usize, Value<'static>)>, _: u64) -> Result<Many, StoreError> {
        Err(self.0())
    }
    async fn delete_all(&self, _: Expr, _: u64) -> Result<Many, StoreError> {
        Err(self.0())
    }
    async fn keep_changes(&self) -> Result<(), OpenError> {
        Err(self.0().into())
    }
    async fn changes(&self, _: Option<String>) -> Result<Changes, ChangesError> {
        Err(self.0().into())
    }
}

#[tokio::test]
async fn every_failure_has_its_status() {
    type Case = (fn() -> StoreError, u16, Option<&'static str>);
    let failures: [Case; 6] = [
        (|| StoreError::Unavailable { source: "root:hunter2@db".into(), retry_after: 7 }, 503, Some("7")),
        (|| StoreError::Full, 503, Some("60")),
        (|| StoreError::Timeout, 504, None),
        (|| StoreError::Internal("root:hunter2@db".into()), 500, None),
        (|| StoreError::TooLarge { limit: 16 }, 413, None),
        (|| StoreError::Duplicate { fields: vec!["email".into()] }, 409, None),
    ];
    for (failure, status, retry_after) in failures {
        let schema = Arc::new(Schema::from_description(USER).unwrap());
        let mut table = RouteTableBuilder::new();
        Resource::new(schema, ResourceOptions::new()).mount(Failing(failure), &mut table).unwrap();
        let dispatcher = Dispatcher::new(table.build().unwrap());
        let id = "/user/00000000-0000-7000-8000-000000000000";
        for (method, path, body) in [
            (Method::GET, "/user", ""),
            (Method::GET, id, ""),
            (Method::POST, "/user", r#"{"name":"x"}"#),
            (Method::PUT, id, r#"{"name":"x"}"#),
            (Method::PATCH, id, r#"{"name":"x"}"#),
            (Method::PATCH, id, r#"{"home":{"city":"x"}}"#),
            (Method::DELETE, id, ""),
        ] {
            let request = Request::builder().method(&method).uri(path).header("content-type", "application/json");
            let response = dispatcher.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
            assert_eq!(response.status(), status, "{method} {path}");
            assert_eq!(response.headers().get("retry-after").map(|value| value.to_str().unwrap()), retry_after);
            let body = response.into_body().collect().await.unwrap().to_bytes();
            let document: Json = serde_json::from_slice(&body).unwrap();
            assert_eq!(document["status"], status);
            assert!(!document.to_string().contains("hunter2"), "{document}");
        }
    }
}

#[test]
fn writes_to_several_rows_need_transactions() {
    let schema = Arc::new(Schema::from_description(USER).unwrap());
    let options = ResourceOptions::new();
    for options in [options.clone().bulk(true), options.clone().ops([Op::PatchMany]), options.ops([Op::DeleteMany])] {
        let resource = Resource::new(schema.clone(), options.at("app.py:7"));
        let refused = resource.mount(Failing(|| StoreError::Full), &mut RouteTableBuilder::new());
        let text = refused.unwrap_err().to_string();
        assert!(text.contains("User: this store has no transactions") && text.contains("replica set"), "{text}");
        assert!(text.contains("app.py:7"), "{text}");
    }
}
