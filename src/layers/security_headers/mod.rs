//! Sets the headers by which browsers protect their users, on every answer that does not have them.
//!
//! The values are those of the OWASP Secure Headers Project, where they ask nothing of the application:
//!
//! | header | by default | against |
//! |---|---|---|
//! | `X-Content-Type-Options` | `nosniff` | data that is run as a script, because it looks like one |
//! | `X-Frame-Options` | `DENY` | clicks that are stolen through a frame (RFC 7034) |
//! | `Referrer-Policy` | `no-referrer` | addresses, and what they hold, that are told to other sites |
//! | `Cross-Origin-Opener-Policy` | `same-origin` | windows of other sites that reach into a page |
//! | `Cross-Origin-Resource-Policy` | `same-origin` | pages of other sites that embed an answer, and measure it |
//! | `Strict-Transport-Security` | not sent | connections without TLS (RFC 6797) |
//! | `Content-Security-Policy` | not sent | scripts that were smuggled into a page |
//! | `Permissions-Policy` | not sent | the use of camera, place and so on |
//!
//! - Each can be changed and left out. What the inner service set itself stays, so single answers may differ.
//! - [`Hsts`] has to be asked for: it locks users out of a host that cannot be reached over TLS, and RFC 6797, 7.2, forbids
//!   it on answers that travel without. Whether they do is not known here, where a proxy ends TLS; browsers ignore it on
//!   those (8.1).
//! - A policy for content has to be written for the pages that are served. [`API_POLICY`] is for services that have none: it
//!   leaves pages without scripts, styles and images, such as those that show an API's documentation.
//!
//! # Limits
//! - Layers outside of this one answer without these headers, so put it outermost but for those that only watch.
//! - `Cross-Origin-Resource-Policy` does not hinder what [`CorsLayer`](crate::layers::CorsLayer) allows. Images and scripts
//!   for pages of other sites need `cross-origin`.
//! - `frame-ancestors` of a policy for content counts for more than `X-Frame-Options`: change both.
//!
//! It differs from `tower_http::set_header` in that it is one layer with names, values and defaults of its own.
//!
//! # Example
//! ```
//! # use std::convert::Infallible;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use ziggurat::{Body, Request, Response, layers::SecurityHeadersLayer};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let service = ServiceBuilder::new()
//!     .layer(SecurityHeadersLayer::new())
//!     .service(service_fn(|_: Request| async { Ok::<Response, Infallible>(Response::default()) }));
//! let response = service.oneshot(Request::new(Body::empty())).await.unwrap();
//! assert_eq!(response.headers()["x-content-type-options"], "nosniff");
//! assert_eq!(response.headers()["x-frame-options"], "DENY");
//! # }
//! ```
//!
//! # Customized
//! ```
//! # use std::convert::Infallible;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use ziggurat::{Body, Request, Response};
//! use ziggurat::layers::security_headers::{API_POLICY, Hsts, ResourcePolicy, SecurityHeadersLayer};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let layer = SecurityHeadersLayer::new()
//!     .hsts(Some(Hsts::new().include_subdomains(true))).unwrap()
//!     .content_security_policy(Some(API_POLICY)).unwrap()
//!     .cross_origin_resource_policy(Some(ResourcePolicy::CrossOrigin))
//!     .referrer_policy(None);
//! let service = ServiceBuilder::new()
//!     .layer(layer)
//!     .service(service_fn(|_: Request| async { Ok::<Response, Infallible>(Response::default()) }));
//! let response = service.oneshot(Request::new(Body::empty())).await.unwrap();
//! assert_eq!(response.headers()["strict-transport-security"], "max-age=63072000; includeSubDomains");
//! assert_eq!(response.headers()["cross-origin-resource-policy"], "cross-origin");
//! assert!(!response.headers().contains_key("referrer-policy"));
//!
//! let error = SecurityHeadersLayer::new().content_security_policy(Some("default-src 'none'\r\nx: y")).unwrap_err();
//! assert!(error.to_string().contains("cannot be sent as Content-Security-Policy"));
//! # }
//! ```

mod future;
mod layer;
mod service;
mod values;

pub use future::ResponseFuture;
pub use layer::SecurityHeadersLayer;
pub use service::SecurityHeaders;
pub use values::{FrameOptions, Hsts, OpenerPolicy, ReferrerPolicy, ResourcePolicy};

/// A `Content-Security-Policy` for services without pages: nothing is loaded, and nobody frames an answer.
pub const API_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";
