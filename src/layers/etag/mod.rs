//! Gives answers an entity tag, and answers 304 without a body to clients that have them already.
//!
//! A client that asks again sends the tag of what it has in `If-None-Match`, and gets back a head of a few bytes where nothing
//! has changed (RFC 9110, 13.1.2). What is saved is what would be sent: the inner service answers as before.
//!
//! - A tag is made of 200 answers to GET and HEAD whose body is in memory, of known length and at most
//!   [1 MiB](EtagLayer::max_bytes), from a SHA-256 of its bytes. It is strong, unless [weak](EtagLayer::weak) ones are asked
//!   for. Answers with `Cache-Control: no-store` get none.
//! - Where the inner service has set a tag it stays, and is compared as well, if the service did not answer 304 itself.
//! - `If-None-Match` is a list or `*`, and is compared weakly, as it says.
//! - A 304 keeps all headers of the answer but those that describe its content (15.4.5).
//!
//! # Limits
//! - It has to stand further in than [`CompressionLayer`](crate::layers), which gives each coding a tag of its own and takes
//!   that off again. Outside of it bodies are streams, or differ by the client.
//! - Answers to HEAD whose body was cut off further in, as the dispatcher does, have no tag of its bytes.
//! - Conditions of writes (`If-Match`) are for the inner service, which knows what it has before it changes it.
//! - Bodies have to be `Unpin`, as all boxed ones are.
//!
//! # Example
//! ```
//! # use std::convert::Infallible;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use ziggurat::{Body, Request, Response, layers::EtagLayer};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let service = ServiceBuilder::new()
//!     .layer(EtagLayer::new())
//!     .service(service_fn(|_: Request| async { Ok::<_, Infallible>(Response::new(Body::from("the same"))) }));
//! let first = service.clone().oneshot(Request::new(Body::empty())).await.unwrap();
//! let again = http::Request::get("/").header("if-none-match", &first.headers()["etag"]).body(Body::empty()).unwrap();
//! let second = service.oneshot(again).await.unwrap();
//! assert_eq!((first.status().as_u16(), second.status().as_u16()), (200, 304));
//! assert_eq!(second.headers()["etag"], first.headers()["etag"]);
//! # }
//! ```
//!
//! # Customized
//! ```
//! # use std::convert::Infallible;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use ziggurat::{Body, Request, Response, layers::EtagLayer};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let layer = EtagLayer::new().weak(true).max_bytes(8);
//! let answer = |text: &'static str| {
//!     let leaf = service_fn(move |_: Request| async move { Ok::<_, Infallible>(Response::new(Body::from(text))) });
//!     ServiceBuilder::new().layer(layer.clone()).service(leaf).oneshot(Request::new(Body::empty()))
//! };
//! assert_eq!(answer("short").await.unwrap().headers()["etag"], "W/\"f9b0078b5df596d2ea19010c001bbd00\"");
//! assert!(!answer("rather long").await.unwrap().headers().contains_key("etag"));
//! # }
//! ```

mod body;
mod future;
mod layer;
mod service;
mod tag;

pub use body::EtagBody;
pub use future::ResponseFuture;
pub use layer::EtagLayer;
pub use service::Etag;
