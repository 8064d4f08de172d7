//! The axum peer of the HTTP benchmark: the workloads of `../README.md`, written by hand.
//!
//! `BENCH_PORT` names the port, `BENCH_STORE` (`sqlite:///file` or `mongodb://…/database`) adds the CRUD routes, and
//! `BENCH_LAYERS=1` adds the layers that Ziggurat has by default.

mod model;
mod mongo;
mod people;
mod sqlite;

use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Path, Query};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::timeout::TimeoutLayer;

type Error = Box<dyn std::error::Error + Send + Sync>;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Serialize)]
struct Message {
    message: &'static str,
    numbers: [i64; 5],
    nested: Nested,
}

#[derive(Serialize)]
struct Nested {
    ok: bool,
    ratio: f64,
    nothing: Option<i64>,
}

async fn json() -> Json<Message> {
    Json(Message {
        message: "Hello, World!",
        numbers: [1, 2, 3, 4, 5],
        nested: Nested { ok: true, ratio: 0.5, nothing: None },
    })
}

#[derive(Deserialize)]
struct ItemQuery {
    q: Option<String>,
}

#[derive(Serialize)]
struct Item {
    id: i64,
    q: Option<String>,
}

async fn item(Path(id): Path<i64>, Query(query): Query<ItemQuery>) -> Json<Item> {
    Json(Item { id, q: query.q })
}

#[derive(Deserialize)]
struct Line {
    sku: String,
    quantity: i64,
    price: f64,
}

#[derive(Deserialize)]
struct Order {
    customer: String,
    lines: Vec<Line>,
    #[serde(default)]
    note: Option<String>,
}

impl Order {
    fn is_valid(&self) -> bool {
        let lines = |line: &Line| !line.sku.is_empty() && line.quantity >= 1 && line.price > 0.0;
        !self.customer.is_empty() && !self.lines.is_empty() && self.lines.iter().all(lines)
    }
}

#[derive(Serialize)]
struct Receipt {
    customer: String,
    total: f64,
    note: Option<String>,
}

async fn order(Json(order): Json<Order>) -> Response {
    if !order.is_valid() {
        return StatusCode::UNPROCESSABLE_ENTITY.into_response();
    }
    let total = order.lines.iter().map(|line| line.price * line.quantity as f64).sum();
    Json(Receipt { customer: order.customer, total, note: order.note }).into_response()
}

async fn yielding() -> Json<serde_json::Value> {
    tokio::task::yield_now().await;
    Json(serde_json::json!({"slept": true}))
}

async fn native() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], r#"{"status":"ok"}"#).into_response()
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let mut router = Router::new()
        .route("/plaintext", get(|| async { "Hello, World!" }))
        .route("/json", get(json))
        .route("/items/{id}", get(item))
        .route("/orders", post(order))
        .route("/sleep", get(yielding))
        .route("/native", get(native));
    if let Ok(store) = std::env::var("BENCH_STORE") {
        let crud = match store.strip_prefix("sqlite:///") {
            Some(file) => sqlite::router(file)?,
            None => mongo::router(&store).await?,
        };
        router = router.merge(crud);
    }
    if std::env::var("BENCH_LAYERS").is_ok_and(|v| v == "1") {
        let id = HeaderName::from_static("x-request-id");
        router = router
            .layer(DefaultBodyLimit::disable())
            .layer(RequestBodyLimitLayer::new(1 << 20))
            .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, Duration::from_secs(60)))
            .layer(PropagateRequestIdLayer::new(id.clone()))
            .layer(SetRequestIdLayer::new(id, MakeRequestUuid))
            .layer(CatchPanicLayer::new());
    }
    let port: u16 = std::env::var("BENCH_PORT")?.parse()?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    let listener = listener.tap_io(|stream| {
        // Small answers leave at once, as in Ziggurat.
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, router).await?;
    Ok(())
}
