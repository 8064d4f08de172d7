//! Answers 504 when the inner service takes too long, and drops its work; ends bodies that stand still.
//!
//! - [`TimeoutLayer::new`] limits the time until the *head* of the answer is there. Dropping the inner future is the
//!   cancellation: a Python coroutine behind it is cancelled, a query is given up.
//! - [`body_idle`](TimeoutLayer::body_idle) limits how long nothing comes of a body. That of the request then fails with
//!   [`ReadError::TooSlow`](crate::body::ReadError), and the client gets a 408 problem document (RFC 9110, 15.5.9) while the head of its
//!   answer is not there. That of the answer fails with [`BodyTimeout`], so that the server closes the connection or resets the
//!   stream, and nothing that was cut off poses as whole.
//! - [`total`](TimeoutLayer::total) limits the time from the request's head to the end of the answer: 504 as long as there is no
//!   head, a body that fails then.
//!
//! The last two are off unless given: an event stream is silent as long as nothing happens, and a large download lasts as long as its
//! client takes. Give them around the routes for which they are right. A body that is cut off is logged as one warning, with the path of
//! its route, since its head had told of a success.
//!
//! # Limits
//! - Idle time is that of who makes a body: it counts from when somebody has asked for more in vain, and begins anew with each
//!   part. A client that is slow to read what is there already, or a handler that is slow to read what was sent, never makes a
//!   body idle; limits on writing are for the server.
//! - `total` includes the time that a client takes to read. It is looked at when the server asks for more of the body: what the
//!   server has taken already is still sent, and a client that reads nothing at all is for its limit on writing.
//! - What follows a switch of protocols (101, `CONNECT`) is no body, and is left alone.
//! - Work that blocks a thread cannot be dropped; it runs on, unobserved.
//!
//! It differs from `tower_http::timeout` in four ways: the answer is a problem document; a timer is only started when
//! something is not ready at its first poll, which spares fast answers the timer wheel; the time in which a client does not read
//! does not count as idle; and bodies keep their types unless they are limited.
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
//! use http_body_util::BodyExt;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use ziggurat::{Body, BoxError, Response, layers::{TimeoutLayer, timeout::TimedBody}};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! let slow = |_: http::Request<TimedBody<Body>>| async {
//!     tokio::time::sleep(Duration::from_secs(90)).await;
//!     let chunks = futures_util::stream::pending::<Result<_, BoxError>>();
//!     Ok::<_, Infallible>(Response::new(Body::from_stream(chunks)))
//! };
//! let limits = TimeoutLayer::new(Duration::from_secs(120))
//!     .body_idle(Duration::from_secs(30))
//!     .total(Duration::from_secs(600));
//! let service = ServiceBuilder::new().layer(limits).service(service_fn(slow));
//! let response = service.oneshot(http::Request::new(Body::empty())).await.unwrap();
//! assert_eq!(response.status(), 200);
//! let error = response.into_body().collect().await.unwrap_err();
//! assert_eq!(error.to_string(), "nothing came of the body for 30 s");
//! # }
//! ```

mod body;
mod future;
mod layer;
mod service;
mod watch;
mod whole;

pub use body::{BodyTimeout, TimedBody};
pub use future::ResponseFuture;
pub use layer::{Bodies, HeadOnly, TimeoutLayer};
pub use service::Timeout;
pub use whole::WholeFuture;
