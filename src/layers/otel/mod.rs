//! Makes a span of each request and exports it, so that a request can be followed from service to service.
//!
//! Spans are sent to a collector over OTLP/HTTP, as [OpenTelemetry](https://opentelemetry.io) has it: Jaeger, Tempo, Honeycomb and others
//! read them. The trace of a request is that which its client names in `traceparent` and `tracestate`
//! ([W3C Trace Context](https://www.w3.org/TR/trace-context/)), or a new one where there is none or it is not as it has to be.
//!
//! - A span is called by method and route, as `GET /users/{id}`, and has the attributes of the
//!   [conventions for HTTP](https://opentelemetry.io/docs/specs/semconv/http/http-spans/) for a server. It ends when the body of the answer
//!   has ended, and is an error when that was a 500 or more, or broke off.
//! - A [`TraceContext`] is among the extensions of the request, to have requests that are sent on behalf of it be a part of the trace, and
//!   among those of the answer; [`TraceLayer`](crate::layers) writes the id of the trace into its lines.
//! - Exporting waits for nothing and nothing waits for it: a thread sends what has ended, 512 at once or every 5 seconds. Of more than
//!   2048 that wait the newest are dropped. A collector that is down is a warning in the log, once a minute. `OTEL_BSP_*` sets other numbers.
//! - Which traces that begin here are exported is said by [`Export::sample`]; those that others began are where these say so.
//!
//! # Limits
//! - Query strings and headers but `Host` and `User-Agent` are not exported: they hold secrets. Paths are, cut at 1 KiB.
//! - Clients say whether a trace is exported, and its id. Where anybody may call, [do not trust them](OtelLayer::trust_incoming).
//! - The matched path comes from [`LeafInfo`](crate::service::LeafInfo), which the dispatcher of this crate gives; requests that it did not
//!   answer have the method alone as their name.
//! - What ends shortly before the program does is exported by [`OtelHandle::flush`]. Dropping the layer exports it too, if the process
//!   lives on for so long.
//! - Each batch is sent over a connection of its own; a collector's certificate is by a public authority.
//! - gRPC, and compression of what is sent, are not spoken.
//! - A batch is sent up to three times more where there is no answer, or one of 429, 502, 503 and 504, all within the time that the collector
//!   has to answer; then it is dropped.
//!
//! Spans are made and exported by `opentelemetry_sdk` and `opentelemetry-otlp`. It differs from `axum-tracing-opentelemetry` and its like in
//! that no subscriber of `tracing` is needed, whose spans cost more and are the program's own.
//!
//! # Example
//! ```
//! # use std::convert::Infallible;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use ziggurat::{Body, Request, Response, layers::otel::{Export, OtelLayer, TraceContext}};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let export = Export::new().service_name("shop").unwrap();
//! # let export = export.sample(0.0).unwrap();
//! let service = ServiceBuilder::new()
//!     .layer(OtelLayer::to(export).unwrap()) // to http://localhost:4318
//!     .service(service_fn(|request: Request| async move {
//!         let mut onward = http::Request::get("http://stock.internal/").body(Body::empty()).unwrap();
//!         let context = request.extensions().get::<TraceContext>().unwrap();
//!         context.inject(onward.headers_mut());
//!         Ok::<_, Infallible>(Response::new(Body::from(onward.headers()["traceparent"].to_str().unwrap().to_owned())))
//!     }));
//! let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
//! let request = http::Request::get("/").header("traceparent", parent).body(Body::empty()).unwrap();
//! let response = service.oneshot(request).await.unwrap().map(Body::from);
//! assert_eq!(response.extensions().get::<TraceContext>().unwrap().trace_id(), "0af7651916cd43dd8448eb211c80319c");
//! assert_eq!(response.body().as_bytes().unwrap()[..35], parent.as_bytes()[..35]);
//! # }
//! ```
//!
//! # Customized
//! In an Axum router that anybody may call:
//! ```
//! use std::time::Duration;
//! use axum::{Router, extract::MatchedPath, routing::get};
//! use tower::ServiceExt;
//! use ziggurat::layers::otel::{Export, OtelLayer, TraceContext};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let export = Export::new()
//!     .endpoint("https://otlp.example")
//!     .unwrap()
//!     .header("x-api-key", "the key")
//!     .unwrap()
//!     .sample(0.1)
//!     .unwrap();
//! # let export = export.sample(0.0).unwrap();
//! let layer = OtelLayer::to(export)
//!     .unwrap()
//!     .trust_incoming(false)
//!     .matched_path(|request: &http::Extensions| request.get::<MatchedPath>().map(|path| path.as_str().to_owned()));
//! let handle = layer.handle();
//! let app: Router = Router::new().route("/users/{id}", get(|| async { "ann" })).layer(layer);
//!
//! let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
//! let request = http::Request::get("/users/1").header("traceparent", parent).body(axum::body::Body::empty()).unwrap();
//! let response = app.oneshot(request).await.unwrap();
//! assert_ne!(response.extensions().get::<TraceContext>().unwrap().trace_id(), "0af7651916cd43dd8448eb211c80319c");
//! // When the program ends.
//! assert!(handle.flush(Duration::from_secs(2)));
//! # }
//! ```

mod client;
mod context;
mod export;
mod layer;
mod record;
mod service;

pub use context::TraceContext;
pub use export::{Export, OtelHandle};
pub use layer::OtelLayer;
pub use record::Record;
pub use service::Otel;

pub use super::matched::{MatchedPath, NoMatchedPath};
/// A body that has the span of its request end when it ends, fails or is dropped.
pub type ResponseBody<B> = super::watched::WatchedBody<B, Record>;
/// The answer of the inner service, whose body reports its end.
pub type ResponseFuture<F> = super::watched::WatchedFuture<F, Record>;
