//! A stack in Rust: layers around native CRUD and a native handler, without Python.
//!
//! ```sh
//! SECRET=a-secret-of-at-least-32-characters cargo run --example compose
//! curl localhost:8000/hello/Ada
//! curl localhost:8000/users -H 'content-type: application/json' -d '{"name": "Ada", "age": 36}'
//! curl 'localhost:8000/users?age=gte.18&sort=-age'
//! ```

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use tower::service_fn;
use ziggurat::crud::schema::{Bounds, DefaultValue, Field, Index, Naive, Text, Type, Unknown};
use ziggurat::crud::store::sqlite::{SqliteOptions, SqliteStore};
use ziggurat::crud::{Op, Resource, ResourceOptions, Schema, Store, Value};
use ziggurat::layers::{
    CatchPanicLayer, CompressionLayer, JwtLayer, RequestIdLayer, RequireAuth, TimeoutLayer, TraceLayer,
};
use ziggurat::service::server::Server;
use ziggurat::service::{Dispatcher, Leaf, LeafKind, PathParams, RouteTableBuilder, Stack};
use ziggurat::{Body, BoxError, Request, Response, Route};

/// What the rows of `/users` hold.
fn user() -> Schema {
    let name = Text { min: Some(1), max: Some(100), ..Text::default() };
    let age = Bounds { ge: Some(0), ..Bounds::default() };
    let nothing = DefaultValue::Constant(Value::Null);
    Schema {
        name: "User".into(),
        id: Some(0),
        unknown: Unknown::Forbid,
        fields: vec![
            Field::new("id", Type::Uuid),
            Field::new("name", Type::Str(name)),
            Field::new("age", Type::Optional(Box::new(Type::Int(age)))).default(nothing).index(Index::default()),
            Field::new("created_at", Type::DateTime(Naive::default())).default(DefaultValue::Now),
        ],
    }
}

/// Any async function from request to response can be a leaf.
async fn hello(request: Request) -> Result<Response, Infallible> {
    let params = request.extensions().get::<PathParams>();
    let name = params.and_then(|params| params.get("name")).unwrap_or("nobody");
    Ok(Response::new(Body::from(format!("hello {name}\n"))))
}

/// The whole service, ready for a server, a test or another Tower program.
pub async fn app(store: SqliteStore, secret: &str) -> Result<Stack, BoxError> {
    let mut table = RouteTableBuilder::new();
    table.add(
        Some(Method::GET),
        "/hello/{name}",
        Leaf::new("hello", LeafKind::Native, Route::new(service_fn(hello))),
    )?;

    let schema = Arc::new(user());
    // Anyone may read and add users; deleting one needs a token with the scope `admin`.
    let options =
        ResourceOptions::new()
            .path("/users")
            .body_limit(64 * 1024)
            .guard(Op::Delete, "RequireAuth", |route| route.layer(RequireAuth::new().scope("admin")));
    Resource::new(schema.clone(), options).mount(store.open(schema).await?, &mut table)?;

    // Outermost first: what stands higher sees the request earlier and the answer later.
    let stack = Stack::builder()
        // A panic further in is one 500, not a closed connection.
        .layer("CatchPanic", CatchPanicLayer::new())
        // Gives the request its id, which the log below and the client see.
        .layer("RequestId", RequestIdLayer::new())
        // One line for each request, whatever becomes of it.
        .layer("Trace", TraceLayer::new())
        .layer("Timeout", TimeoutLayer::new(Duration::from_secs(30)))
        .layer("Compression", CompressionLayer::new())
        // Checks a token where there is one; the guards of single routes ask for it.
        .layer("Jwt", JwtLayer::secret(secret)?.required(false))
        .build(Dispatcher::new(table.build()?))?;
    Ok(stack)
}

#[allow(dead_code)] // The test calls `app` alone.
#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let secret = std::env::var("SECRET").map_err(|_| "set SECRET to the key that signs tokens")?;
    let store = SqliteStore::open("compose.db", SqliteOptions::default())?;
    let stack = app(store.clone(), &secret).await?;
    let server = Server::builder().port(8000).build()?.bind()?;
    println!("listening on http://{}", server.local_addr());
    server.serve_until_signal(stack).await?;
    store.close().await;
    Ok(())
}
