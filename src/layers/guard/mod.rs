//! Guards single routes: who may call them.
//!
//! [`RequireAuth`] asks for the [`Claims`] that a layer further out has put into the request's extensions ([`jwt`](super::jwt),
//! [`api_key`](super::api_key), [`basic`](super::basic)), whichever that was, and for what these must have.
//!
//! Without claims the answer is 401, with a challenge (`WWW-Authenticate`) of each layer that would have found some, or `Bearer` where
//! there is none. Without what is asked it is 403, and the challenge names the scopes (RFC 6750, 3.1).
//!
//! # Limits
//! Nothing passes where no layer finds out who the caller is.
//!
//! # Example
#![cfg_attr(feature = "jwt", doc = "```")]
#![cfg_attr(not(feature = "jwt"), doc = "```ignore")]
//! # use std::convert::Infallible;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use ziggurat::{Body, Request, Response, layers::{JwtLayer, RequireAuth}};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let service = ServiceBuilder::new()
//!     .layer(JwtLayer::secret("use `openssl rand -base64 48` for yours").unwrap().required(false))
//!     .layer(RequireAuth::new())
//!     .service(service_fn(|_: Request| async { Ok::<Response, Infallible>(Response::default()) }));
//! let response = service.oneshot(Request::new(Body::empty())).await.unwrap();
//! assert_eq!(response.status(), 401);
//! # }
//! ```
//!
//! # Customized
//! ```
//! use ziggurat::layers::guard::{RequireAuth, Requirement};
//!
//! let guard = RequireAuth::new()
//!     .scope("notes:write")
//!     .require(Requirement::role("editor"))
//!     .require(Requirement::claim("tenant", ["a", "b"]));
//! assert_eq!(guard.to_string(), "notes:write, role editor, claim tenant");
//! ```

mod layer;
mod refusal;
mod service;

pub use crate::service::{Claims, Requirement};
pub use layer::RequireAuth;
pub(super) use refusal::Challenges;
pub use refusal::Refusal;
#[cfg(feature = "jwt")]
pub(super) use refusal::insufficient_scope;
#[cfg(feature = "axum")]
pub(super) use refusal::unknown;
pub use service::Guarded;
