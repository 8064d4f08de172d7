//! Refuses requests that are meant for another host.
//!
//! Applications build links, keys of caches and decisions from the host that a request names, and anybody may name any: a
//! password reset that was asked for with `Host: evil.example` leads there, and a page whose name was rebound to this address
//! reads what it answers. RFC 9110, 7.2 and 15.5.20.
//!
//! - The host is that of the request's target (HTTP/2's `:authority`) and that of `Host`; where both are there, both must be
//!   known. Ports, the case of letters and one dot at the end do not count.
//! - `*.example.org` is every name below `example.org`, and not that itself.
//! - A host that is not known is a 421. One that is missing, is there twice or is none is a 400.
//!
//! # Limits
//! - Behind a proxy that changes `Host` it sees what the proxy sends. `X-Forwarded-Host` is not looked at.
//! - Health checks of load balancers often name an address: add it.
//!
//! # Example
//! ```
//! # use std::convert::Infallible;
//! use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
//! use ziggurat::{Body, Request, Response, layers::HostsLayer};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let mut service = ServiceBuilder::new()
//!     .layer(HostsLayer::new(["example.org"]).unwrap())
//!     .service(service_fn(|_: Request| async { Ok::<Response, Infallible>(Response::default()) }));
//! let to = |host: &str| http::Request::get("/").header("host", host).body(Body::empty()).unwrap();
//! assert_eq!(service.ready().await.unwrap().call(to("Example.org:8000")).await.unwrap().status(), 200);
//! assert_eq!(service.ready().await.unwrap().call(to("evil.example")).await.unwrap().status(), 421);
//! # }
//! ```
//!
//! # Customized
//! ```
//! # use std::convert::Infallible;
//! use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
//! use ziggurat::{Body, Request, Response, layers::HostsLayer};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let mut service = ServiceBuilder::new()
//!     .layer(HostsLayer::new(["*.example.org", "10.0.0.7", "[::1]"]).unwrap())
//!     .service(service_fn(|_: Request| async { Ok::<Response, Infallible>(Response::default()) }));
//! let to = |host: &str| http::Request::get("/").header("host", host).body(Body::empty()).unwrap();
//! assert_eq!(service.ready().await.unwrap().call(to("api.eu.example.org")).await.unwrap().status(), 200);
//! assert_eq!(service.ready().await.unwrap().call(to("[::1]:80")).await.unwrap().status(), 200);
//! assert_eq!(service.ready().await.unwrap().call(to("example.org")).await.unwrap().status(), 421);
//!
//! let error = HostsLayer::new(["https://example.org"]).unwrap_err();
//! assert!(error.to_string().contains("is no host"));
//! # }
//! ```

mod layer;
mod names;
mod service;

pub use layer::HostsLayer;
pub use service::Hosts;
