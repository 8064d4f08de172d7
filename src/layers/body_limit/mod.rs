//! Refuses request bodies that are too large, with a 413 problem.
//!
//! A request that announces too much in `Content-Length` is answered at once. A body of unknown length is counted while it
//! is read: the read that passes the limit fails with [`BodyTooLarge`](crate::BodyTooLarge), and
//! [`Problem::unreadable`](crate::Problem::unreadable) makes the 413 of it.
//!
//! [`BodyLimitLayer::at`] gives single paths limits of their own, as an upload needs.
//!
//! # Limits
//! - A service that never reads the body never notices. One that reads past the limit and answers 400 or a server error,
//!   because it does not know the failure, has its answer replaced by the 413.
//! - Of two body limits the smaller one counts.
//!
//! It differs from `tower_http::limit` in three ways: the answer is a problem document, the error carries the limit, and
//! bodies whose length is known to fit are handed on untouched.
//!
//! # Example
//! ```
//! # use std::convert::Infallible;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use ziggurat::{Body, Request, Response, layers::{BodyLimitLayer, body_limit::LimitedBody}};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let service = ServiceBuilder::new()
//!     .layer(BodyLimitLayer::default()) // 1 MiB
//!     .service(service_fn(|_: Request<LimitedBody<Body>>| async { Ok::<Response, Infallible>(Response::default()) }));
//! let upload = http::Request::post("/").header("content-length", 2 << 20).body(Body::from(vec![0; 2 << 20])).unwrap();
//! assert_eq!(service.oneshot(upload).await.unwrap().status(), 413);
//! # }
//! ```
//!
//! # Customized
//! A streamed body, found too large while it is read:
//! ```
//! # use std::convert::Infallible;
//! use bytes::Bytes;
//! use http_body_util::BodyExt;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use ziggurat::{Body, BoxError, Problem, Request, Response, layers::{BodyLimitLayer, body_limit::LimitedBody}};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let read = |request: Request<LimitedBody<Body>>| async {
//!     Ok::<Response, Infallible>(match request.into_body().collect().await {
//!         Ok(_) => Response::default(),
//!         Err(error) => Problem::unreadable(&*error).into_response(),
//!     })
//! };
//! let service = ServiceBuilder::new().layer(BodyLimitLayer::new(4)).service(service_fn(read));
//! let chunks = futures_util::stream::iter(["abc", "def"].map(|chunk| Ok::<_, BoxError>(Bytes::from(chunk))));
//! let response = service.oneshot(Request::new(Body::from_stream(chunks))).await.unwrap();
//! assert_eq!(response.status(), 413);
//! # }
//! ```

mod body;
mod future;
mod layer;
mod service;

pub use body::LimitedBody;
pub use future::ResponseFuture;
pub use layer::BodyLimitLayer;
pub use service::BodyLimit;
