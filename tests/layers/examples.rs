//! The examples of reuse, driven as services.

use axum::body::Body as AxumBody;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use serde_json::json;
use tower::ServiceExt;

use crate::support::{SECRET, decode, token};

#[path = "../../examples/reuse_in_axum.rs"]
#[allow(dead_code)] // `main`
mod reuse_in_axum;
#[path = "../../examples/reuse_in_hyper.rs"]
#[allow(dead_code)] // `main`
mod reuse_in_hyper;

#[tokio::test]
async fn the_axum_program_answers() {
    let app = reuse_in_axum::app(SECRET).unwrap();
    let ask = |request: http::request::Builder| app.clone().oneshot(request.body(AxumBody::empty()).unwrap());
    let page = ask(Request::get("/").header("accept-encoding", "br")).await.unwrap();
    assert_eq!(page.headers()["content-encoding"], "br");
    let body = page.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(decode("br", &body), "the tower has many steps\n".repeat(100).as_bytes());
    assert_eq!(ask(Request::get("/me")).await.unwrap().status(), 401);
    let me = ask(Request::get("/me").header("authorization", format!("Bearer {}", token(json!({}))))).await.unwrap();
    assert_eq!(me.into_body().collect().await.unwrap().to_bytes(), "you are ann");
}

#[tokio::test]
async fn the_hyper_program_answers() {
    let app = reuse_in_hyper::app::<Full<Bytes>>(SECRET).unwrap();
    let request = || Request::get("/").header("accept-encoding", "gzip");
    let refused = app.clone().oneshot(request().body(Full::default()).unwrap()).await.unwrap();
    assert_eq!(refused.status(), 401);
    let request =
        request().header("authorization", format!("Bearer {}", token(json!({})))).body(Full::default()).unwrap();
    let response = app.oneshot(request).await.unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(decode("gzip", &body), "good day, ann\n".repeat(100).as_bytes());
}
