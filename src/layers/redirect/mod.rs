//! Sends clients to where they should have asked: to `https`, to one name of a host, to the new place of a path.
//!
//! - [`https`](RedirectLayer::https): a request for this host that came without TLS leads to the same target over TLS. Where a
//!   proxy ends TLS, its `X-Forwarded-Proto` tells how the client came; without that header the target does (HTTP/2's
//!   `:scheme`), and a target without a scheme came without TLS.
//! - [`host`](RedirectLayer::host): a request for one host leads to another, with its target.
//! - [`path`](RedirectLayer::path): a request for this path leads to another, or to another address. The query goes along,
//!   where the place to go has none.
//!
//! All that holds for a request is done by one redirect, with 308 unless another [status](RedirectLayer::status) is asked for
//! (RFC 9110, 15.4).
//!
//! It is never an open redirect: hosts in `Location` are those that were written here, and never one that a request names. A
//! request for another host is handed inward; [`HostsLayer`](crate::layers) refuses it.
//!
//! # Limits
//! - A proxy has to set `X-Forwarded-Proto` itself, over what a client sent. Who lies about it leads only himself, but a cache
//!   in between might keep what he was answered.
//! - Ports are not told: places are on the ports of their schemes. Health checks without TLS are led, too, unless they are
//!   answered further out.
//! - A 308 and a 301 are kept by clients. Try with 307.
//! - What was sent without TLS was sent, before it was led elsewhere: send [`Hsts`](crate::layers) as well.
//! - Paths are compared as they were sent.
//!
//! # Example
//! ```
//! # use std::convert::Infallible;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use ziggurat::{Body, Request, Response, layers::RedirectLayer};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let service = ServiceBuilder::new()
//!     .layer(RedirectLayer::new().https("example.org").unwrap())
//!     .service(service_fn(|_: Request| async { Ok::<Response, Infallible>(Response::default()) }));
//! let by = |scheme: &str| {
//!     let request = http::Request::get("/users?page=2").header("host", "example.org").header("x-forwarded-proto", scheme);
//!     service.clone().oneshot(request.body(Body::empty()).unwrap())
//! };
//! assert_eq!(by("http").await.unwrap().headers()["location"], "https://example.org/users?page=2");
//! assert_eq!(by("https").await.unwrap().status(), 200);
//! # }
//! ```
//!
//! # Customized
//! ```
//! # use std::convert::Infallible;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use ziggurat::{Body, Request, Response, layers::RedirectLayer};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let layer = RedirectLayer::new()
//!     .https("example.org").unwrap()
//!     .host("www.example.org", "example.org").unwrap()
//!     .path("/old", "/new").unwrap()
//!     .status(http::StatusCode::MOVED_PERMANENTLY).unwrap();
//! let service = ServiceBuilder::new()
//!     .layer(layer)
//!     .service(service_fn(|_: Request| async { Ok::<Response, Infallible>(Response::default()) }));
//! let request = http::Request::get("/old?a=b").header("host", "www.example.org").body(Body::empty()).unwrap();
//! let response = service.oneshot(request).await.unwrap();
//! assert_eq!((response.status().as_u16(), &response.headers()["location"]), (301, &"https://example.org/new?a=b".parse().unwrap()));
//!
//! let error = RedirectLayer::new().path("/old", "//evil.example").unwrap_err();
//! assert!(error.to_string().contains("is no place to go"));
//! # }
//! ```

mod layer;
mod rules;
mod service;

pub use layer::RedirectLayer;
pub use service::Redirect;
