//! Refuses what pages of other origins have their readers send: cross-site request forgery.
//!
//! A browser adds its user's cookies to every request, also to one that a page of somebody else makes. Modern ones tell
//! where a request comes from, so there is no need of tokens in forms. The rules are those of Go's
//! `net/http.CrossOriginProtection`, whose reasons are told in <https://words.filippo.io/csrf/>, through
//! `tower_http::csrf`:
//!
//! 1. GET, HEAD and OPTIONS pass, as they must not change anything.
//! 2. What comes from a [trusted origin](CsrfLayer::trusted_origin), or goes to an [exempt path](CsrfLayer::exempt), passes.
//! 3. `Sec-Fetch-Site` passes as `same-origin` and `none` (the user's own doing), and is refused as anything else.
//! 4. Without it, as older browsers send, `Origin` passes where its host is that which is asked.
//! 5. With neither of them it is no browser, or an old one on the same origin, and passes.
//!
//! A refusal is a 403 problem.
//!
//! # Limits
//! - It protects what goes by cookies, or by the client's address. Bearer tokens are sent by no browser on its own.
//! - It is no use where GET changes something.
//! - A proxy has to hand on `Host` as it came, and `Origin` and `Sec-Fetch-Site` at all. Schemes are not compared in (4), so
//!   send [`Hsts`](crate::layers) as well.
//! - Origins that [`CorsLayer`](crate::layers) allows are not trusted by that: name them here, too.
//! - Exempt paths are for what others call without cookies, such as hooks that are signed.
//!
//! # Example
//! ```
//! # use std::convert::Infallible;
//! use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
//! use ziggurat::{Body, Request, Response, layers::CsrfLayer};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let mut service = ServiceBuilder::new()
//!     .layer(CsrfLayer::new())
//!     .service(service_fn(|_: Request| async { Ok::<Response, Infallible>(Response::default()) }));
//! let from = |site: &str| http::Request::post("/transfer").header("sec-fetch-site", site).body(Body::empty()).unwrap();
//! assert_eq!(service.ready().await.unwrap().call(from("same-origin")).await.unwrap().status(), 200);
//! assert_eq!(service.ready().await.unwrap().call(from("cross-site")).await.unwrap().status(), 403);
//! # }
//! ```
//!
//! # Customized
//! ```
//! # use std::convert::Infallible;
//! use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
//! use ziggurat::{Body, Request, Response, layers::CsrfLayer};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let layer = CsrfLayer::new().trusted_origin("https://app.example.org").unwrap().exempt("/hooks/{name}").unwrap();
//! let mut service = ServiceBuilder::new()
//!     .layer(layer)
//!     .service(service_fn(|_: Request| async { Ok::<Response, Infallible>(Response::default()) }));
//! let from = |path: &str, origin: &str| {
//!     let request = http::Request::post(path).header("sec-fetch-site", "cross-site").header("origin", origin);
//!     request.body(Body::empty()).unwrap()
//! };
//! assert_eq!(service.ready().await.unwrap().call(from("/", "https://app.example.org")).await.unwrap().status(), 200);
//! assert_eq!(service.ready().await.unwrap().call(from("/hooks/paid", "https://pay.example")).await.unwrap().status(), 200);
//! assert_eq!(service.ready().await.unwrap().call(from("/", "https://evil.example")).await.unwrap().status(), 403);
//!
//! let error = CsrfLayer::new().trusted_origin("https://Example.org/").unwrap_err();
//! assert!(error.to_string().contains("is not an origin as browsers send it"));
//! # }
//! ```

mod layer;
mod origin;
mod refusal;
mod service;

pub use layer::CsrfLayer;
use refusal::Refusal;
pub use service::Csrf;
