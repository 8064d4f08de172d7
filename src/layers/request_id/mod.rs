//! Gives each request an id that the log, the inner services and the client can all name.
//!
//! The id is a UUIDv7: unique, and sorted by time. It is set as a header of the request and of the answer, and as the
//! extension [`RequestId`] of both. Whatever the client sent under that header name is replaced.
//!
//! # Limits
//! - [`trust_incoming`](RequestIdLayer::trust_incoming) takes over an id that the client sent. Use it only behind a proxy
//!   that sets the header; anyone else could forge ids. Even then an id must be 1 to 128 characters out of
//!   `A-Z a-z 0-9 - _ . : / + = @`, and sent once, else a fresh one is made.
//! - The random part of an id is not meant to be a secret.
//!
//! It differs from `tower_http::request_id` in that an incoming header is not trusted by default, and one layer sets and
//! answers the id.
//!
//! # Example
//! ```
//! # use std::convert::Infallible;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use ziggurat::{Body, Request, Response, layers::RequestIdLayer};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let service = ServiceBuilder::new()
//!     .layer(RequestIdLayer::new())
//!     .service(service_fn(|_: Request| async { Ok::<_, Infallible>(Response::new(Body::empty())) }));
//! let response = service.oneshot(Request::new(Body::empty())).await.unwrap();
//! assert_eq!(response.headers()["x-request-id"].len(), 36);
//! # }
//! ```
//!
//! # Customized
//! ```
//! # use std::convert::Infallible;
//! use http::HeaderName;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use ziggurat::{Body, Request, Response, layers::{RequestId, RequestIdLayer}};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let echo = |request: Request| async move {
//!     let id = request.extensions().get::<RequestId>().unwrap().as_str().to_owned();
//!     Ok::<_, Infallible>(Response::new(Body::from(id)))
//! };
//! let service = ServiceBuilder::new()
//!     .layer(RequestIdLayer::new().header(HeaderName::from_static("x-correlation-id")).trust_incoming(true))
//!     .service(service_fn(echo));
//! let request = http::Request::get("/").header("x-correlation-id", "from-proxy-1").body(Body::empty()).unwrap();
//! let response = service.oneshot(request).await.unwrap();
//! assert_eq!(response.body().as_bytes().unwrap(), "from-proxy-1");
//! # }
//! ```

mod future;
mod id;
mod layer;
mod service;

pub use future::ResponseFuture;
pub use id::RequestId;
pub use layer::RequestIdLayer;
pub use service::SetRequestId;
