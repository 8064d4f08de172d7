//! Counts requests, and how long they take and where, for Prometheus.
//!
//! Rate, errors and duration of every route, by which services are watched; besides, where the time of a request went. GET of
//! `/metrics` is answered in the [text format](https://prometheus.io/docs/instrumenting/exposition_formats/) of Prometheus, or
//! as OpenMetrics where the client takes that. The names are those of OpenTelemetry's
//! [conventions](https://opentelemetry.io/docs/specs/semconv/http/http-metrics/).
//!
//! | metric | kind | what it is |
//! |---|---|---|
//! | `http_server_requests_total` | counter | answers |
//! | `http_server_request_duration_seconds` | histogram | until the head of the answer was there |
//! | `http_server_active_requests` | gauge | requests whose answer has not ended, by method |
//! | `http_server_request_body_size_bytes` | histogram | as far as it was read |
//! | `http_server_response_body_size_bytes` | histogram | as far as it was sent, when it has ended |
//! | `http_server_request_part_seconds_total` | counter | where the time went, see below |
//! | `ziggurat_python_entries_total` | counter | how often Python was entered, in a Python app |
//! | `process_cpu_seconds_total`, `process_resident_memory_bytes`, `process_open_fds`, `process_start_time_seconds` | | of the process, on Linux |
//!
//! Labels are `http_request_method`, one of the methods that are registered, or `_OTHER`; `http_route`, the template of the
//! route, or `unmatched`; `leaf`, what answers there: `native`, `crud`, `python`, or `none`; and on the first two
//! `http_response_status_code`. None of them is what a client chose, so that nobody can have series made.
//!
//! - A `part` is `waiting`, from when a request was handed to Python until it runs; `python`, from then to its result; `store`,
//!   while native CRUD waits for its store; and `layers`, all the rest. The parts of a request add up to its duration. What a Python
//!   handler waits for is in `python`.
//! - A panic or an error of the inner service counts as 500. A client that left before there was an answer counts as 499.
//! - Refusals count for the route that would have answered, if the layer [knows](MetricsLayer::routes_of) the dispatcher; without that
//!   they are `unmatched`.
//!
//! # Who may read them
//! Metrics tell of paths, of load and of faults. They are for clients on this machine and in private networks (RFC 1918, RFC 4193,
//! link-local), or those that are [allowed](MetricsLayer::allow). For others the path is as if the layer were not there. A request that
//! a proxy has forwarded, by its headers, is no neighbour's: it is nobody's, unless a [`ClientIpLayer`](crate::layers) outside has found
//! who sent it. To have them elsewhere, as behind a token or on another port, [leave the path out](MetricsLayer::without_path)
//! and answer with the [handle](MetricsLayer::handle).
//!
//! # Limits
//! - Each process counts for itself: where several share a port, a scrape reads one of them.
//! - Paths that [another router](MetricsLayer::matched_path) names are believed to be templates, up to [`MAX_ROUTES`]; more are `unmatched`.
//! - An answer whose body is in memory counts as sent when it is handed to the server.
//! - The body of a request is wrapped to count it, unless it is in memory: what is announced and refused is not read.
//!
//! The text is written by `prometheus-client`. Histograms are not its own, whose every observation takes a lock.
//!
//! # Example
//! ```
//! # use std::convert::Infallible;
//! use std::net::SocketAddr;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use ziggurat::{Body, Request, Response, layers::metrics::{MetricsLayer, RequestBody}};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let layer = MetricsLayer::new();
//! let handle = layer.handle();
//! let service = ServiceBuilder::new()
//!     .layer(layer)
//!     .service(service_fn(|_: Request<RequestBody<Body>>| async { Ok::<Response, Infallible>(Response::default()) }));
//! service.clone().oneshot(Request::new(Body::empty())).await.unwrap();
//! assert!(handle.render().contains(r#"http_server_requests_total{http_request_method="GET",http_route="unmatched""#));
//!
//! // Servers say who is at the other end of a connection.
//! let from = |peer: [u8; 4]| http::Request::get("/metrics").extension(SocketAddr::from((peer, 4711))).body(Body::empty()).unwrap();
//! let metrics = service.clone().oneshot(from([10, 0, 0, 7])).await.unwrap();
//! assert_eq!(metrics.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
//! let nothing = service.oneshot(from([203, 0, 113, 7])).await.unwrap();
//! assert!(!nothing.headers().contains_key("content-type"));
//! # }
//! ```
//!
//! # Customized
//! In an Axum router, on a port of its own:
//! ```
//! use axum::{Router, extract::MatchedPath, routing::get};
//! use tower::ServiceExt;
//! use ziggurat::layers::MetricsLayer;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let layer = MetricsLayer::with_buckets([0.001, 0.01, 0.1, 1.0])
//!     .unwrap()
//!     .matched_path(|request: &http::Extensions| request.get::<MatchedPath>().map(|path| path.as_str().to_owned()))
//!     .without_path();
//! let metrics = layer.handle();
//! let app: Router = Router::new().route("/users/{id}", get(|| async { "ann" })).layer(layer);
//! let inside: Router = Router::new().route("/metrics", get(move || async move { metrics.render() }));
//!
//! let get = |path: &str| http::Request::get(path).body(axum::body::Body::empty()).unwrap();
//! assert_eq!(app.oneshot(get("/users/1")).await.unwrap().status(), 200);
//! let text = axum::body::to_bytes(inside.oneshot(get("/metrics")).await.unwrap().into_body(), 1 << 20).await.unwrap();
//! assert!(String::from_utf8_lossy(&text).contains("http_route=\"/users/{id}\""));
//! # }
//! ```

mod body;
mod door;
#[cfg(feature = "python")]
mod figures;
mod handle;
mod histogram;
mod layer;
mod process;
mod record;
mod render;
mod series;
mod service;

#[cfg(feature = "python")]
pub(crate) use door::client;
#[cfg(feature = "python")]
pub(crate) use figures::Figures;

pub use body::RequestBody;
pub use handle::MetricsHandle;
pub use layer::MetricsLayer;
pub use record::Record;
pub use series::MAX_ROUTES;
pub use service::Metrics;

pub use super::client_ip::{ConnectionPeer, Peer};
pub use super::matched::{MatchedPath, NoMatchedPath};
/// A body that has its request counted when it ends, fails or is dropped.
pub type ResponseBody<B> = super::watched::WatchedBody<B, Record>;
/// The answer of the inner service, whose body reports its end.
pub type ResponseFuture<F> = super::watched::WatchedFuture<F, Record>;
