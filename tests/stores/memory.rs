//! A store of a type that the crate does not know.

#[path = "../support/memory.rs"]
mod kept;

use std::sync::Arc;

use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value as Json, json};
use tower::ServiceExt;
use ziggurat::Body;
use ziggurat::crud::store::{AnyStore, Store};
use ziggurat::crud::{Resource, ResourceOptions, Schema};
use ziggurat::service::{Dispatcher, RouteTableBuilder};

use self::kept::Memory;
use crate::promises;

fn store() -> AnyStore {
    AnyStore::new(Memory::default())
}

#[tokio::test]
async fn a_store_of_another_type_keeps_what_it_promises() {
    promises::crud(store()).await;
    promises::versions(store()).await;
    promises::reads(store()).await;
    promises::filters(store(), 50).await;
}

#[tokio::test]
async fn it_is_found_by_its_scheme_and_answers_requests() {
    AnyStore::register_scheme("memory", |_| async { Ok(store()) }).unwrap();
    let store = AnyStore::open_url("memory://anything").await.unwrap();
    assert_eq!((store.describe(), store.to_string()), ("memory".to_owned(), "memory".to_owned()));
    assert!(store == store.clone() && store != AnyStore::open_url("memory://anything").await.unwrap());
    let description = r#"{"name":"Cat","id":"id","fields":[{"name":"id","type":{"type":"uuid"}},
        {"name":"name","type":{"type":"str"},"index":{}},{"name":"age","type":{"type":"int"},"index":{}}]}"#;
    let resource = Resource::new(Arc::new(Schema::from_description(description).unwrap()), ResourceOptions::new());
    let mut table = RouteTableBuilder::new();
    resource.mount(resource.open(&store).await.unwrap(), &mut table).unwrap();
    let dispatcher = Dispatcher::new(table.build().unwrap());
    let send = async |method: Method, target: &str, body: Json| {
        let request = Request::builder().method(method).uri(target).header("content-type", "application/json");
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let (head, body) = dispatcher.clone().oneshot(request.body(body).unwrap()).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body: Json = if body.is_empty() { Json::Null } else { serde_json::from_slice(&body).unwrap() };
        (head, body)
    };
    let mut paths = Vec::new();
    for (name, age) in [("tom", 3), ("kit", 9), ("leo", 6)] {
        let (head, made) = send(Method::POST, "/cat", json!({"name": name, "age": age})).await;
        assert_eq!((head.status, &made["name"]), (StatusCode::CREATED, &name.into()));
        paths.push(head.headers["location"].to_str().unwrap().to_owned());
    }
    let names =
        |list: &Json| list["items"].as_array().unwrap().iter().map(|cat| cat["name"].clone()).collect::<Vec<_>>();
    let (_, first) = send(Method::GET, "/cat?sort=-age&limit=2", Json::Null).await;
    assert_eq!(names(&first), ["kit", "leo"]);
    let (_, rest) =
        send(Method::GET, &format!("/cat?sort=-age&limit=2&cursor={}", first["next"].as_str().unwrap()), Json::Null)
            .await;
    assert_eq!(names(&rest), ["tom"]);
    let (_, some) = send(Method::GET, "/cat?age=gte.6&name=leo", Json::Null).await;
    assert_eq!(names(&some), ["leo"]);
    let (_, changed) = send(Method::PATCH, &paths[0], json!({"age": 4})).await;
    assert_eq!((&changed["name"], &changed["age"]), (&"tom".into(), &4.into()));
    assert_eq!(send(Method::DELETE, &paths[0], Json::Null).await.0.status, StatusCode::NO_CONTENT);
    assert_eq!(send(Method::GET, &paths[0], Json::Null).await.0.status, StatusCode::NOT_FOUND);
}

/// Each method arrives at the store for which it is meant, also by way of a box.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_known_keeps_its_promises_when_its_type_is_forgotten() {
    use ziggurat::crud::store::sqlite::{SqliteOptions, SqliteStore};
    let boxed = || AnyStore::new(SqliteStore::in_memory(SqliteOptions::default()).unwrap());
    promises::crud(boxed()).await;
    promises::code(boxed()).await;
    promises::transacts(boxed()).await;
    promises::many(boxed(), 20).await;
    promises::changes(boxed()).await;
    promises::copied(boxed()).await;
    promises::once(boxed()).await;
    promises::walks(boxed(), 20).await;
    promises::reopened(boxed()).await;
    promises::closed(boxed()).await;
}
