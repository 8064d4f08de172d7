//! The example that composes a stack in Rust.

use http::{Request, StatusCode};
use http_body_util::BodyExt;
use tower::ServiceExt;
use ziggurat::Body;
use ziggurat::crud::store::sqlite::{SqliteOptions, SqliteStore};

#[path = "../../examples/compose.rs"]
mod example;

#[tokio::test]
async fn the_example_answers() {
    let store = SqliteStore::in_memory(SqliteOptions::default()).unwrap();
    let app = example::app(store, "a-secret-of-at-least-32-characters").await.unwrap();
    let send = |method: &str, path: &str, body: &'static str| {
        let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        app.clone().oneshot(request.body(Body::from(body)).unwrap())
    };
    let hello = send("GET", "/hello/Ada", "").await.unwrap();
    assert!(hello.headers().contains_key("x-request-id"));
    assert_eq!(hello.into_body().collect().await.unwrap().to_bytes(), "hello Ada\n");

    let created = send("POST", "/users", r#"{"name":"Ada","age":36}"#).await.unwrap();
    assert_eq!(created.status(), StatusCode::CREATED);
    let path = created.headers()["location"].to_str().unwrap().to_owned();
    let list = send("GET", "/users?age=gte.18", "").await.unwrap().into_body().collect().await.unwrap().to_bytes();
    assert!(list.starts_with(br#"{"items":[{"id":"#), "{list:?}");
    assert_eq!(send("DELETE", &path, "").await.unwrap().status(), StatusCode::UNAUTHORIZED);

    let passes = app.at("/users/1").into_iter().find(|(leaf, _)| leaf.name == "User.delete").unwrap().1;
    assert_eq!(passes, ["CatchPanic", "RequestId", "Trace", "Timeout", "Compression", "Jwt", "RequireAuth"]);
}
