//! Refuses requests while too many are under way, with a 503 problem that has `Retry-After`.
//!
//! A service that takes on more than it can do answers everybody late, and clients that have given up cost as much as those
//! that wait. One that refuses early stays fast for those that it lets in (RFC 9110, 15.6.4).
//!
//! - A request is under way until the body of its answer has ended, failed or been dropped: a download counts as long as the
//!   client takes.
//! - There is no queue unless one is [asked for](LoadShedLayer::queue). It has a length, and a time after which a request
//!   that still waits is refused too. Requests wait in the order in which they came.
//! - All services that one layer, or a clone of it, was applied to count together, as the routes of an Axum router.
//!
//! # Limits
//! - Event streams and other answers without an end count as long as they last: put the layer around other routes, or
//!   leave room for them.
//! - Checks of whether the service is alive are refused, too, unless they are answered further out.
//! - Each process counts for itself.
//!
//! It differs from `tower::load_shed` with `tower::limit` in that a refusal is an answer and no error, a request counts until
//! the end of its answer's body, and some may wait.
//!
//! # Example
//! ```
//! # use std::convert::Infallible;
//! use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
//! use ziggurat::{Body, Request, Response, layers::LoadShedLayer};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let mut service = ServiceBuilder::new()
//!     .layer(LoadShedLayer::new(1).unwrap())
//!     .service(service_fn(|_: Request| async { Ok::<_, Infallible>(Response::new(Body::from("done"))) }));
//! let first = service.ready().await.unwrap().call(Request::new(Body::empty())).await.unwrap();
//! let second = service.ready().await.unwrap().call(Request::new(Body::empty())).await.unwrap();
//! assert_eq!((second.status().as_u16(), &second.headers()["retry-after"]), (503, &"1".parse().unwrap()));
//!
//! drop(first); // its body was not sent before
//! let third = service.ready().await.unwrap().call(Request::new(Body::empty())).await.unwrap();
//! assert_eq!(third.status(), 200);
//! # }
//! ```
//!
//! # Customized
//! ```
//! # use std::convert::Infallible;
//! use std::time::Duration;
//! use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
//! use ziggurat::{Body, Request, Response, layers::LoadShedLayer};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let layer = LoadShedLayer::new(1).unwrap().queue(10, Duration::from_millis(500)).unwrap();
//! let mut service = ServiceBuilder::new()
//!     .layer(layer)
//!     .service(service_fn(|_: Request| async { Ok::<_, Infallible>(Response::new(Body::from("done"))) }));
//! let first = service.ready().await.unwrap().call(Request::new(Body::empty())).await.unwrap();
//! let second = tokio::spawn(service.ready().await.unwrap().call(Request::new(Body::empty())));
//! drop(first);
//! assert_eq!(second.await.unwrap().unwrap().status(), 200);
//!
//! let error = LoadShedLayer::new(0).unwrap_err();
//! assert!(error.to_string().contains("every request would be refused"));
//! # }
//! ```

mod body;
mod capacity;
mod future;
mod layer;
mod service;

pub use body::CountedBody;
pub use future::ResponseFuture;
pub use layer::LoadShedLayer;
pub use service::LoadShed;
