//! Marks header values as sensitive, so that `Debug` output and HPACK tables leave them out.
//!
//! It applies to the headers of requests on their way in and of responses on their way out, through
//! `tower_http::sensitive_headers`.
//!
//! # Limits
//! - Marked values are still there for services to read, and are sent as they are. Only `Debug` prints `Sensitive`, and
//!   HTTP/2 does not index them.
//! - Layers outside of this one see requests before they are marked, so put it near the outside.
//!
//! # Example
//! ```
//! # use std::convert::Infallible;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use ziggurat::{Body, Request, Response, layers::SensitiveHeadersLayer};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let show = |request: Request| async move { Ok::<_, Infallible>(Response::new(Body::from(format!("{:?}", request.headers())))) };
//! let service = ServiceBuilder::new()
//!     .layer(SensitiveHeadersLayer::default()) // Authorization, Proxy-Authorization, Cookie, Set-Cookie
//!     .service(service_fn(show));
//! let request = http::Request::get("/").header("authorization", "Bearer secret").body(Body::empty()).unwrap();
//! let response = service.oneshot(request).await.unwrap();
//! assert_eq!(response.body().as_bytes().unwrap(), r#"{"authorization": Sensitive}"#);
//! # }
//! ```
//!
//! # Customized
//! ```
//! # use std::convert::Infallible;
//! use http::HeaderName;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use ziggurat::{Body, Request, Response, layers::SensitiveHeadersLayer};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let service = ServiceBuilder::new()
//!     .layer(SensitiveHeadersLayer::new([HeaderName::from_static("x-api-key")]))
//!     .service(service_fn(|request: Request| async move {
//!         assert!(request.headers()["x-api-key"].is_sensitive());
//!         Ok::<Response, Infallible>(Response::default())
//!     }));
//! let request = http::Request::get("/").header("x-api-key", "k").body(Body::empty()).unwrap();
//! service.oneshot(request).await.unwrap();
//! # }
//! ```

mod layer;
mod service;

pub use layer::SensitiveHeadersLayer;
pub use service::SensitiveHeaders;
