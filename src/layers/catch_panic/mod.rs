//! Turns a panic into one 500 problem instead of a broken connection.
//!
//! It applies to panics while the inner service makes its answer: in `call` and in every poll of the response future.
//! The message goes to the log at `ERROR`; the client learns nothing of it.
//!
//! # Limits
//! - A panic while the *body* is streamed comes after the head was sent. It still aborts that connection, and only that.
//! - With `panic = "abort"` there is nothing to catch.
//! - State that the panicking code shared with other requests may be half-changed; this layer cannot know.
//!
//! It differs from `tower_http::catch_panic` in that the body type stays the same: nothing is boxed on the way that does
//! not panic.
//!
//! # Example
//! ```
//! # use std::convert::Infallible;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use ziggurat::{Body, Request, Response, layers::CatchPanicLayer};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let service = ServiceBuilder::new()
//!     .layer(CatchPanicLayer::new())
//!     .service(service_fn(|_: Request| async { panic!("boom"); #[allow(unreachable_code)] Ok::<Response, Infallible>(Response::default()) }));
//! let response = service.oneshot(Request::new(Body::empty())).await.unwrap();
//! assert_eq!(response.status(), 500);
//! # }
//! ```
//!
//! # Customized
//! The answer is an ordinary response, so a layer outside may rewrite it:
//! ```
//! # use std::convert::Infallible;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use ziggurat::{Body, Request, Response, layers::CatchPanicLayer};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let service = ServiceBuilder::new()
//!     .map_response(|response: Response| if response.status() == 500 { response.map(|_| Body::from("sorry")) } else { response })
//!     .layer(CatchPanicLayer::new())
//!     .service(service_fn(|_: Request| async { panic!("boom"); #[allow(unreachable_code)] Ok::<Response, Infallible>(Response::default()) }));
//! let response = service.oneshot(Request::new(Body::empty())).await.unwrap();
//! assert_eq!(response.body().as_bytes().unwrap(), "sorry");
//! # }
//! ```

mod future;
mod layer;
mod service;

pub use future::ResponseFuture;
pub use layer::CatchPanicLayer;
pub use service::CatchPanic;
