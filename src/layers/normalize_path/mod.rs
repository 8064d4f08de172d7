//! Takes the slashes at the end of paths off, or sends clients to the path without them.
//!
//! Routes have one spelling, so `/users/` is a 404 where `/users` is a route. [`NormalizePathLayer::trim`] hands it inward as
//! `/users`; [`NormalizePathLayer::redirect`] answers 308, so that clients, caches and search engines know one address only. A
//! 308 keeps the method and the body (RFC 9110, 15.4.9).
//!
//! - It has to stand around what routes: a [`Stack`](crate::service::Stack) does so with all of its layers. In Axum wrap the
//!   whole router, as below, since `Router::layer` stands around what was routed already.
//! - Whatever goes by the path has to stand further in, so that it sees what the routes see: limits of
//!   [`BodyLimitLayer::at`](crate::layers::BodyLimitLayer), and guards of paths.
//! - `Location` is a path of this host and nothing else. A target that begins with two slashes, or with `/\`, which browsers
//!   read alike, would name another host there. It is left as it is.
//!
//! # Limits
//! - A route whose own path ends with a slash is not reached any more.
//! - A redirect is answered whether or not there is a route. It is kept by clients, and preflights must not be redirected, so
//!   put [`CorsLayer`](crate::layers::CorsLayer) further out.
//! - Slashes within a path, `%2F` and dots stay.
//!
//! It differs from `tower_http::normalize_path` in that it redirects, and leaves slashes that a path begins with alone.
//!
//! # Example
//! ```
//! # use std::convert::Infallible;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use ziggurat::{Body, Request, Response, layers::NormalizePathLayer};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let show = |request: Request| async move { Ok::<_, Infallible>(Response::new(Body::from(request.uri().to_string()))) };
//! let service = ServiceBuilder::new().layer(NormalizePathLayer::trim()).service(service_fn(show));
//! let request = http::Request::get("/users/?page=2").body(Body::empty()).unwrap();
//! assert_eq!(service.oneshot(request).await.unwrap().body().as_bytes().unwrap(), "/users?page=2");
//! # }
//! ```
//!
//! # Customized
//! Around an Axum router, with a redirect:
//! ```
//! use tower::{Layer, ServiceExt};
//! use ziggurat::layers::NormalizePathLayer;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let router: axum::Router = axum::Router::new().route("/users", axum::routing::get(|| async { "ann" }));
//! let app = NormalizePathLayer::redirect().layer(router);
//! let request = http::Request::get("/users/?page=2").body(axum::body::Body::empty()).unwrap();
//! let response = app.oneshot(request).await.unwrap();
//! assert_eq!((response.status().as_u16(), &response.headers()["location"]), (308, &"/users?page=2".parse().unwrap()));
//! # }
//! ```

mod layer;
mod service;
mod target;

pub use layer::NormalizePathLayer;
pub use service::NormalizePath;

/// The path that what stands inside of [`NormalizePath`] sees.
#[cfg(feature = "python")]
pub(crate) fn path_inside(path: &str) -> &str {
    target::trimmed_path(path).unwrap_or(path)
}
