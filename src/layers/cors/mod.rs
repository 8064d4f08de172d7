//! Lets pages from other origins call this service (CORS), with the settings of Starlette's `CORSMiddleware`.
//!
//! It answers every preflight (an OPTIONS request with `Access-Control-Request-Method`) itself, and adds the CORS headers
//! to all other answers, through `tower_http::cors`.
//!
//! # Limits
//! - CORS tells browsers what a page may read. It does not keep anyone else from calling the service.
//! - All origins together with credentials would hand every user's data to every page, and is refused when it is set.
//!   `*` for headers is then answered with the names that the preflight asked for, and `*` for exposed headers is refused.
//! - A preflight from an origin that is not allowed is answered 200 without `Access-Control-Allow-Origin`: the browser
//!   then refuses. Starlette answers 400; to a page both look the same.
//! - Layers that refuse requests (such as `Jwt`) belong inside of this one, or pages cannot read the refusals.
//!
//! # Example
//! Nothing is allowed by default:
//! ```
//! # use std::convert::Infallible;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use ziggurat::{Body, Request, Response, layers::CorsLayer};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let service = ServiceBuilder::new()
//!     .layer(CorsLayer::new().build().unwrap())
//!     .service(service_fn(|_: Request| async { Ok::<Response, Infallible>(Response::default()) }));
//! let request = http::Request::get("/").header("origin", "https://other.example").body(Body::empty()).unwrap();
//! assert!(!service.oneshot(request).await.unwrap().headers().contains_key("access-control-allow-origin"));
//! # }
//! ```
//!
//! # Customized
//! ```
//! # use std::convert::Infallible;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use ziggurat::{Body, Request, Response, layers::CorsLayer};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let cors = CorsLayer::new()
//!     .allow_origins(["https://app.example"])
//!     .allow_methods(["GET", "PATCH"])
//!     .allow_headers(["Authorization"])
//!     .allow_credentials(true)
//!     .build()
//!     .unwrap();
//! let service = ServiceBuilder::new()
//!     .layer(cors)
//!     .service(service_fn(|_: Request| async { Ok::<Response, Infallible>(Response::default()) }));
//! let request = http::Request::get("/").header("origin", "https://app.example").body(Body::empty()).unwrap();
//! let response = service.oneshot(request).await.unwrap();
//! assert_eq!(response.headers()["access-control-allow-origin"], "https://app.example");
//! assert!(CorsLayer::new().allow_origins(["*"]).allow_credentials(true).build().is_err());
//! # }
//! ```

mod builder;
mod layer;
mod service;

pub use builder::CorsBuilder;
pub use layer::CorsLayer;
pub use service::Cors;
