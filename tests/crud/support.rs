//! A mounted resource and a small client for it.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value as Json;
use tempfile::TempDir;
use tower::ServiceExt;
use ziggurat::crud::store::AnyStore;
use ziggurat::crud::store::sqlite::{SqliteOptions, SqliteStore};
use ziggurat::crud::{Op, Resource, ResourceOptions, Schema, Store};
use ziggurat::service::{Claims, Dispatcher, RouteTableBuilder};
use ziggurat::{Body, Response};

pub const USER: &str = r#"{"name":"User","id":"id","fields":[
  {"name":"id","type":{"type":"uuid"}},
  {"name":"name","type":{"type":"str","min_length":1,"max_length":100}},
  {"name":"email","type":{"type":"optional","of":{"type":"str"}},"default":{"value":null},"index":{"unique":true}},
  {"name":"age","type":{"type":"optional","of":{"type":"int","ge":0}},"default":{"value":null},"index":{}},
  {"name":"tags","type":{"type":"list","items":{"type":"str"}},"default":{"value":[]}},
  {"name":"home","type":{"type":"optional","of":{"type":"model","schema":{"name":"Home","fields":[
     {"name":"city","type":{"type":"str"}},{"name":"zip","type":{"type":"str"},"default":{"value":"0"}}]}}},"default":{"value":null}},
  {"name":"at","type":{"type":"datetime"},"default":{"value":"2024-05-01T12:00:00+02:00"}},
  {"name":"score","type":{"type":"float"},"default":{"value":1}}]}"#;

pub const JSON: (&str, &str) = ("content-type", "application/json");

/// Every operation that a model has whose rows are removed when they are deleted.
pub fn every_op() -> impl Iterator<Item = Op> {
    Op::ALL.into_iter().filter(|op| !matches!(op, Op::Deleted | Op::Restore))
}

/// Runs `test` over an empty store of each kind.
pub async fn on_each_store(test: impl AsyncFn(AnyStore)) {
    let folder = TempDir::new().unwrap();
    let store = SqliteStore::open(folder.path().join("rows.db"), SqliteOptions::default()).unwrap();
    test(AnyStore::Sqlite(store)).await;
    #[cfg(all(feature = "mongodb", feature = "server"))]
    if !crate::mongo::is_off() {
        let mongo = crate::mongo::Mongo::shared();
        test(AnyStore::open_url(&mongo.database()).await.unwrap()).await;
    }
}

/// A resource that answers, and the folder of its store if that has one of its own.
pub struct App {
    pub dispatcher: Dispatcher,
    store: AnyStore,
    _folder: Option<TempDir>,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl App {
    pub async fn users() -> Self {
        Self::new(USER, ResourceOptions::new()).await
    }

    pub async fn new(description: &str, options: ResourceOptions) -> Self {
        let folder = TempDir::new().unwrap();
        let store = SqliteStore::open(folder.path().join("rows.db"), SqliteOptions::default()).unwrap();
        Self { _folder: Some(folder), ..Self::over(AnyStore::Sqlite(store), description, options).await }
    }

    /// Over a store that is open already.
    pub async fn over(store: AnyStore, description: &str, options: ResourceOptions) -> Self {
        let schema = Arc::new(Schema::from_description(description).unwrap());
        let resource = Resource::new(schema, options);
        let collection = resource.open(&store).await.unwrap();
        let mut table = RouteTableBuilder::new();
        resource.mount(collection, &mut table).unwrap();
        Self { dispatcher: Dispatcher::new(table.build().unwrap()), store, _folder: None }
    }

    /// Closes the store under the service.
    pub async fn close(&self) {
        self.store.close().await;
    }

    pub async fn send(&self, method: Method, target: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        self.send_as("", method, target, headers, body).await
    }

    /// As a caller with these claims, or with none.
    pub async fn send_as(
        &self,
        claims: &str,
        method: Method,
        target: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let response = self.begin(claims, method, target, headers, body).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// The answer whose body is yet to come.
    pub async fn begin(
        &self,
        claims: &str,
        method: Method,
        target: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Response {
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !claims.is_empty() {
            let claims = serde_json::value::RawValue::from_string(claims.to_owned()).unwrap();
            request = request.extension(Claims::parse(claims).unwrap());
        }
        self.dispatcher.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap()
    }

    pub async fn get(&self, target: &str) -> Answer {
        self.send(Method::GET, target, &[], "").await
    }

    pub async fn post(&self, target: &str, body: &str) -> Answer {
        self.send(Method::POST, target, &[JSON], body.to_owned()).await
    }

    pub async fn put(&self, target: &str, body: &str) -> Answer {
        self.send(Method::PUT, target, &[JSON], body.to_owned()).await
    }

    pub async fn patch(&self, target: &str, body: &str) -> Answer {
        self.send(Method::PATCH, target, &[JSON], body.to_owned()).await
    }

    /// A new user: its path and its entity tag.
    pub async fn user(&self, body: &str) -> (String, String) {
        let answer = self.post("/user", body).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        (answer.header("location").to_owned(), answer.header("etag").to_owned())
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).unwrap()
    }

    pub fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The status and, for each violation, where it was and its code: `422 /age int_type`.
    pub fn problem(&self) -> String {
        let document = self.json();
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(document["status"], self.status.as_u16());
        let mut text = self.status.as_u16().to_string();
        for error in document["errors"].as_array().into_iter().flatten() {
            let at = ["pointer", "parameter", "header", "path"].iter().find_map(|key| error[*key].as_str());
            text += &format!(" {} {}", at.unwrap(), error["code"].as_str().unwrap());
        }
        text
    }

    pub fn detail(&self) -> String {
        self.json()["detail"].as_str().unwrap_or_default().to_owned()
    }

    /// One member of each item of a list.
    pub fn column(&self, name: &str) -> Vec<Json> {
        self.json()["items"].as_array().unwrap().iter().map(|item| item[name].clone()).collect()
    }
}
