//! Ziggurat from Rust, with leaves written by hand and no layers; `BENCH_PORT` names the port.

use std::convert::Infallible;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use serde::Serialize;
use tower::service_fn;
use ziggurat::service::server::{Server, runtime};
use ziggurat::service::{Dispatcher, Leaf, LeafKind, Route, RouteTableBuilder, Stack};
use ziggurat::{Body, ConfigError, Request, Response};

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

fn answer(content_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn plaintext() -> Response {
    answer("text/plain; charset=utf-8", "Hello, World!")
}

fn json() -> Response {
    let message = Message {
        message: "Hello, World!",
        numbers: [1, 2, 3, 4, 5],
        nested: Nested { ok: true, ratio: 0.5, nothing: None },
    };
    match serde_json::to_vec(&message) {
        Ok(bytes) => answer("application/json", Bytes::from(bytes)),
        Err(_) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            response
        }
    }
}

fn native() -> Response {
    answer("application/json", r#"{"status":"ok"}"#)
}

fn add(table: &mut RouteTableBuilder, path: &str, leaf: fn() -> Response) -> Result<(), ConfigError> {
    let service = service_fn(move |_: Request| std::future::ready(Ok::<_, Infallible>(leaf())));
    table.add(Some(Method::GET), path, Leaf::new(path, LeafKind::Native, Route::new(service)))?;
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut table = RouteTableBuilder::new();
    add(&mut table, "/plaintext", plaintext)?;
    add(&mut table, "/json", json)?;
    add(&mut table, "/native", native)?;
    let stack = Stack::builder().build(Dispatcher::new(table.build()?))?;
    let port = std::env::var("BENCH_PORT")?.parse()?;
    let server = Server::builder().host("127.0.0.1").port(port).build()?.bind()?;
    runtime()?.block_on(server.serve_until_signal(stack))?;
    Ok(())
}
