//! Answers load balancers and orchestrators that ask whether the service is alive, and whether it is ready.
//!
//! GET and HEAD of `/healthz` are a 200 as long as there are answers at all. [`HealthCheckLayer::ready`] adds a path that
//! follows a [`Readiness`], which any part of the program can set: a 200, or a 503 problem while no requests should come, as
//! before a cache is filled and before the program stops. Kubernetes calls the two liveness and readiness.
//!
//! - Nothing further in sees these requests: neither limits, logs and tokens, nor the check of hosts, as such requests often
//!   name an address. So put it near the outside.
//! - Answers are never stored (`Cache-Control: no-store`), and tell nothing about the service but
//!   [why it is not ready](Readiness::set_not_ready), where you say that.
//!
//! # Limits
//! - A path is compared as it was sent. Other methods are handed inward.
//! - It does not look at what the service depends on: an answer that does is a route, or sets the readiness now and then.
//! - A service that is restarted when it is not ready would never become so: ask the live path for that.
//!
//! # Example
//! ```
//! # use std::convert::Infallible;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use ziggurat::{Body, Request, Response, layers::HealthCheckLayer};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let service = ServiceBuilder::new()
//!     .layer(HealthCheckLayer::new())
//!     .service(service_fn(|_: Request| async { Ok::<_, Infallible>(Response::new(Body::from("a page"))) }));
//! let get = |path: &str| service.clone().oneshot(http::Request::get(path).body(Body::empty()).unwrap());
//! assert_eq!(get("/healthz").await.unwrap().body().as_bytes().unwrap(), "ok\n");
//! assert_eq!(get("/").await.unwrap().body().as_bytes().unwrap(), "a page");
//! # }
//! ```
//!
//! # Customized
//! ```
//! # use std::convert::Infallible;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use ziggurat::{Body, Request, Response, layers::health_check::{HealthCheckLayer, Readiness}};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let readiness = Readiness::new(false);
//! readiness.set_not_ready("the cache is filled"); // or `set(false)`, which tells no reason
//! let layer = HealthCheckLayer::at(["/livez"]).unwrap().ready("/readyz", &readiness).unwrap();
//! let service = ServiceBuilder::new()
//!     .layer(layer)
//!     .service(service_fn(|_: Request| async { Ok::<Response, Infallible>(Response::default()) }));
//! let get = |path: &str| service.clone().oneshot(http::Request::get(path).body(Body::empty()).unwrap());
//! assert_eq!(get("/livez").await.unwrap().status(), 200);
//! assert_eq!(get("/readyz").await.unwrap().status(), 503);
//! readiness.set(true); // from any thread
//! assert_eq!(get("/readyz").await.unwrap().status(), 200);
//! # }
//! ```

mod checks;
mod layer;
mod readiness;
mod service;

pub use layer::HealthCheckLayer;
pub use readiness::Readiness;
pub use service::HealthCheck;
