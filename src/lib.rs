//! HTTP services as Tower stacks.
//!
//! Every request path is a [`tower_service::Service`] stack: layers wrap a [`service::Dispatcher`], whose leaves are
//! native CRUD services, any other Tower service, or Python coroutines. Layers, CRUD and the dispatcher also work alone in
//! Axum and hyper programs, since each is a plain Tower layer or service.
//!
//! ```text
//! service::server ── hyper (HTTP/1.1, HTTP/2) ── deadlines and limits of connections
//!   service::Stack ── layers, outermost first: CatchPanic, RequestId, Trace, Timeout, Compression, Jwt, …
//!     └ service::Dispatcher ── path first, then method: exact 404, 405 with Allow, HEAD, OPTIONS
//!         ├ crud::Resource      JSON bytes → checked row → SQLite or MongoDB → JSON bytes
//!         ├ any Tower service   from request to response, never failing
//!         └ Python handlers     over a bounded inbox to PyLoop, an asyncio event loop (feature `python`)
//! ```
//!
//! # Example
#![cfg_attr(feature = "layers", doc = "```")]
#![cfg_attr(not(feature = "layers"), doc = "```ignore")]
//! use std::convert::Infallible;
//! use std::time::Duration;
//! use http::Method;
//! use tower::{ServiceExt, service_fn};
//! use ziggurat::layers::{CatchPanicLayer, TimeoutLayer};
//! use ziggurat::service::{Dispatcher, Leaf, LeafKind, PathParams, RouteTableBuilder, Stack};
//! use ziggurat::{Body, Request, Response, Route};
//!
//! async fn hello(request: Request) -> Result<Response, Infallible> {
//!     let name = request.extensions().get::<PathParams>().and_then(|params| params.get("name")).unwrap_or("nobody");
//!     Ok(Response::new(Body::from(format!("hello {name}"))))
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut table = RouteTableBuilder::new();
//! let leaf = Leaf::new("hello", LeafKind::Native, Route::new(service_fn(hello)));
//! table.add(Some(Method::GET), "/hello/{name}", leaf)?;
//! let stack = Stack::builder()
//!     .layer("CatchPanic", CatchPanicLayer::new())
//!     .layer("Timeout", TimeoutLayer::new(Duration::from_secs(30)))
//!     .build(Dispatcher::new(table.build()?))?;
//! assert_eq!(stack.layers(), ["CatchPanic", "Timeout"]);
//!
//! // `service::server::Server` serves it; so does anything else that takes a Tower service.
//! let response = stack.oneshot(http::Request::get("/hello/Ada").body(Body::empty())?).await?;
//! assert_eq!(response.body().as_bytes().unwrap(), "hello Ada");
//! # Ok(())
//! # }
//! ```
//!
//! Leaves are any services: an `axum::Router` is one, with all of its extractors, once its bodies are mapped by [`Body::new`].
//!
//! # Foreign types
//!
//! Signatures speak of the types of `http`, `http-body`, `bytes`, `tower-layer` and `tower-service`, and, where features bring them in, of
//! `tokio` (listeners, streams), `serde` (what settings are read from), `serde_json` (claims, documents), `axum-core` (extractors) and `pyo3` (Python). Others
//! may change in any version.
//!
//! The examples of the repository are whole programs: `compose` (with CRUD and tokens), `reuse_in_axum`, `reuse_in_hyper`
//! and `embed_python_app`.
//!
//! # Features
//!
//! | feature | default | brings |
//! |---|---|---|
//! | `full` | yes | everything below except `python` |
//! | `server` | yes | the server: hyper, deadlines, limits, graceful stop |
//! | `layers` | yes | every layer; each is also a feature of its own, named in [`layers`] |
//! | `axum` | yes | what layers leave in a request as extractors of Axum: [`layers::extract`] |
//! | `crud` | yes | CRUD services over a store; brought by the stores |
//! | `sqlite` | yes | the embedded store |
//! | `mongodb` | yes | the store on MongoDB |
//! | `redis` | yes | quotas of requests that processes share in a Redis server; in a file they do with `sqlite` |
//! | `python` | no | Python handlers, middleware and PyLoop; links libpython |

pub mod body;
#[cfg(feature = "crud")]
pub mod crud;
pub mod error;
pub mod layers;
#[cfg(feature = "python")]
pub mod python;
pub mod service;

pub use body::Body;
pub use error::{BodyTooLarge, BoxError, ConfigError, DecodeError};
pub use service::{Problem, Request, Response, Route};
