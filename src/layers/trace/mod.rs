//! The access log: one `tracing` event per request, when its answer has been sent.
//!
//! An event has the target `ziggurat::access` and these fields: `method`, `path` (the matched template, such as
//! `/users/{id}`), `status`, `latency_ms` until the last byte, `bytes` of the answer's body, `request_id`, `client` (the
//! address, where a [`ClientIpLayer`](super::ClientIpLayer) outside of this one has found it), `trace_id` (where an
//! [`OtelLayer`](crate::layers) is there, outside or inside), `leaf` (what answered:
//! `native`, `crud` or `python`). An answer that was not sent to its end has `aborted`: `client gone` when it was dropped,
//! `failed` or `panicked` when its service or body did; without `status`, the client left before there was an answer.
//!
//! Answers of 500 and more are logged at `ERROR`, others at `INFO` or the level that was [set](TraceLayer::level). Programs
//! without a subscriber get one from [`init`].
//!
//! # Limits
//! - Query strings and headers are never logged: they hold secrets. Where no route matched, the raw path is logged.
//! - The matched path comes from [`LeafInfo`](crate::service::LeafInfo), which the dispatcher of this crate gives. For
//!   another router say where to find it, as below.
//! - The lines of [`init`] are written to standard error by the thread that ends the answer.
//! - When the level is off, a request costs one check of it.
//!
//! It differs from `tower_http::trace` in that it writes one line per request, at its end, instead of a span with several
//! events.
//!
//! # Example
//! ```
//! # use std::convert::Infallible;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use ziggurat::{Body, Request, Response, layers::{TraceLayer, trace}};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! trace::init(trace::Format::Text, trace::LevelFilter::INFO).unwrap();
//! let service = ServiceBuilder::new()
//!     .layer(TraceLayer::new())
//!     .service(service_fn(|_: Request| async { Ok::<Response, Infallible>(Response::default()) }));
//! // Logs: INFO ziggurat::access: method="GET" path="/" status=200 latency_ms=0.02 bytes=0
//! assert_eq!(service.oneshot(Request::new(Body::empty())).await.unwrap().status(), 200);
//! assert!(trace::init(trace::Format::Json, trace::LevelFilter::INFO).is_err()); // only one per program
//! # }
//! ```
//!
//! # Customized
//! In an Axum router, with its matched path and health checks at a lower level:
//! ```
//! use axum::extract::MatchedPath;
//! use tower::ServiceExt;
//! use ziggurat::layers::{TraceLayer, trace::Level};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let trace = TraceLayer::new()
//!     .level(Level::DEBUG)
//!     .matched_path(|extensions: &http::Extensions| extensions.get::<MatchedPath>().map(|path| path.as_str().to_owned()));
//! let app: axum::Router = axum::Router::new().route("/users/{id}", axum::routing::get(|| async { "ann" })).layer(trace);
//! let request = http::Request::get("/users/1").body(axum::body::Body::empty()).unwrap();
//! assert_eq!(app.oneshot(request).await.unwrap().status(), 200);
//! # }
//! ```

mod init;
mod layer;
mod record;
mod service;

pub use init::{Format, SubscriberSet, init};
pub use layer::TraceLayer;
pub use record::Record;
pub use service::Trace;

pub use super::matched::{MatchedPath, NoMatchedPath};
/// A body that has its request logged when it ends, fails or is dropped.
pub type TraceBody<B> = super::watched::WatchedBody<B, Record>;
/// The answer of the inner service, whose body reports its end.
pub type ResponseFuture<F> = super::watched::WatchedFuture<F, Record>;
/// Levels of `tracing`.
pub use tracing::{Level, level_filters::LevelFilter};
