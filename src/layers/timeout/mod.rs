//! Answers 504 when the inner service takes too long, and drops its work.
//!
//! It applies to the time until the *head* of the answer is there. Dropping the inner future is the cancellation: a
//! Python coroutine behind it is cancelled, a query is given up.
//!
//! # Limits
//! - The body is not timed, so event streams and downloads may last.
//! - Work that blocks a thread cannot be dropped; it runs on, unobserved.
//!
//! It differs from `tower_http::timeout` in two ways: the answer is a problem document, and the timer is only started
//! when the inner service is not ready at the first poll, which spares fast answers the timer wheel.
//!
//! # Example
//! ```
//! # use std::convert::Infallible;
//! use std::time::Duration;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use ziggurat::{Body, Request, Response, layers::TimeoutLayer};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! let service = ServiceBuilder::new()
//!     .layer(TimeoutLayer::default()) // 60 seconds
//!     .service(service_fn(|_: Request| std::future::pending::<Result<Response, Infallible>>()));
//! let response = service.oneshot(Request::new(Body::empty())).await.unwrap();
//! assert_eq!(response.status(), 504);
//! # }
//! ```
//!
//! # Customized
//! ```
//! # use std::convert::Infallible;
//! use std::time::Duration;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use ziggurat::{Body, Request, Response, layers::TimeoutLayer};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! let slow = |_: Request| async {
//!     tokio::time::sleep(Duration::from_secs(90)).await;
//!     Ok::<_, Infallible>(Response::new(Body::from("late")))
//! };
//! let service = ServiceBuilder::new().layer(TimeoutLayer::new(Duration::from_secs(120))).service(service_fn(slow));
//! assert_eq!(service.oneshot(Request::new(Body::empty())).await.unwrap().status(), 200);
//! # }
//! ```

mod future;
mod layer;
mod service;

pub use future::ResponseFuture;
pub use layer::TimeoutLayer;
pub use service::Timeout;
