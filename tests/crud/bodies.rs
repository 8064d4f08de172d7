//! Bodies that cannot be taken.

use bytes::Bytes;
use http::Method;
use http_body_util::Limited;
use ziggurat::Body;
use ziggurat::crud::ResourceOptions;

use crate::support::{App, JSON, USER};

#[tokio::test]
async fn violations_come_all_at_once() {
    let app = App::users().await;
    let answer = app
        .post("/user", r#"{"nmae":"Ada","age":-1,"email":5,"home":{"zip":1},"at":"2024-01-01T00:00:00","age":3}"#)
        .await;
    assert_eq!(
        answer.problem(),
        "422 /nmae extra_forbidden /age greater_than_equal /email string_type /home/zip string_type /home/city missing \
         /at timezone_aware /age duplicate_key /name missing"
    );
    assert!(answer.text().contains("did you mean name?"));
    assert!(answer.text().contains(r#""limit":0"#));
    assert_eq!(app.get("/user").await.text(), r#"{"items":[],"next":null}"#, "nothing was written");
}

#[tokio::test]
async fn malformed_json_says_where() {
    let app = App::users().await;
    let answer = app.post("/user", "{\"name\":\n \"Ada\",}").await;
    assert_eq!(answer.problem(), "400");
    assert_eq!(answer.detail(), "the body is not JSON: trailing comma at line 2 column 8");
    let deep = format!("{{\"name\":{}", "[".repeat(200_000));
    assert!(app.post("/user", &deep).await.detail().contains("nested too deeply"));
    assert_eq!(app.post("/user", r#"{"name":"\ud800"}"#).await.problem(), "422 /name string_unicode");
    assert_eq!(app.post("/user", "[]").await.problem(), "422  model_type");
    assert_eq!(
        app.send(Method::POST, "/user", &[JSON], Bytes::from_static(b"{\"name\":\"\xff\"}")).await.problem(),
        "400"
    );
}

#[tokio::test]
async fn an_empty_body_gets_help() {
    let app = App::users().await;
    for body in ["", " \n"] {
        let answer = app.post("/user", body).await;
        assert_eq!(answer.problem(), "400");
        assert_eq!(answer.detail(), "the body is empty; send a JSON object");
    }
}

#[tokio::test]
async fn other_media_types_are_415() {
    let app = App::users().await;
    let (path, _) = app.user(r#"{"name":"Ada"}"#).await;
    for headers in
        [&[][..], &[("content-type", "text/plain")], &[("content-type", "application/x-www-form-urlencoded")]]
    {
        let created = app.send(Method::POST, "/user", headers, r#"{"name":"x"}"#).await;
        assert_eq!(created.problem(), "415 content-type media_type");
        assert_eq!(created.header("accept"), "application/json");
        let patched = app.send(Method::PATCH, &path, headers, r#"{"name":"x"}"#).await;
        assert_eq!(patched.problem(), "415 content-type media_type");
        assert_eq!(patched.header("accept-patch"), "application/merge-patch+json, application/json");
    }
    let json_patch = [("content-type", "application/json-patch+json")];
    assert_eq!(app.send(Method::PATCH, &path, &json_patch, "[]").await.status, 415);
    let coded = [JSON, ("content-encoding", "gzip")];
    assert_eq!(app.send(Method::POST, "/user", &coded, "x").await.problem(), "415 content-encoding media_type");
}

#[tokio::test]
async fn long_bodies_are_413() {
    let app = App::new(USER, ResourceOptions::new().body_limit(100)).await;
    let long = format!(r#"{{"name":"{}"}}"#, "a".repeat(100));
    assert_eq!(app.post("/user", &long).await.problem(), "413");
    let chunks = (0..20).map(|_| Ok::<_, std::io::Error>(Bytes::from_static(b"0123456789")));
    let stream = Body::from_stream(futures_util::stream::iter(chunks));
    assert_eq!(app.send(Method::POST, "/user", &[JSON], stream).await.problem(), "413");
    let outside = Body::new(Limited::new(Body::from(r#"{"name":"Ada"}"#), 5));
    assert_eq!(app.send(Method::POST, "/user", &[JSON], outside).await.problem(), "413");
}

#[tokio::test]
async fn a_torn_body_is_400() {
    let app = App::users().await;
    let torn = Body::from_stream(futures_util::stream::iter([
        Ok(Bytes::from_static(b"{\"name\":")),
        Err(std::io::Error::other("connection reset")),
    ]));
    let answer = app.send(Method::POST, "/user", &[JSON], torn).await;
    assert_eq!(answer.problem(), "400");
    assert!(!answer.text().contains("reset"));
}
