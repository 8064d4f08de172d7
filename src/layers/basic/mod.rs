//! Names and passwords (RFC 7617).
//!
//! [`BasicLayer`] checks `Authorization: Basic` and puts the [`Claims`] of the user into the request's extensions, as a token's: guards
//! and policies ask the same of both. For pages of administration and for machines that speak nothing else; the rest is better served
//! by [`jwt`](super::jwt) or [`api_key`](super::api_key).
//!
//! - Passwords are known by their argon2id hash (RFC 9106), as a PHC string: `$argon2id$v=19$m=19456,t=2,p=1$...`. [`hash_password`]
//!   makes one, and [`verify_password`] is for apps that keep their users elsewhere and have them sign in.
//! - That is slow and takes memory on purpose. It is done on threads for such work, [a few](BasicLayer::parallel) at a time; 64 more
//!   wait, and who comes then is answered 503 with `Retry-After`. A password that was found good [counts](BasicLayer::remember) for a
//!   minute without being checked again.
//! - A name that is not known costs as much time as one that is, and has the same answer: 401 with `WWW-Authenticate: Basic`. Where
//!   hashes were made with several parameters, a password that is not good is checked once with each of them, so all names cost the sum:
//!   hash anew those of old parameters.
//! - Without a password a request is refused, or passes without claims when the layer is not [`required`](BasicLayer::required). One
//!   that a layer further out has authenticated already passes in any case.
//!
//! # Limits
//! - The password comes with each request, only base64 around it: serve it over TLS.
//! - Nobody is locked out. Limit the rate of requests outside of this layer, so that passwords cannot be tried in numbers.
//! - The name is the subject (`sub`): where tokens are taken too, choose one that no token has.
//! - Browsers send it along with what other sites have them ask for.
//!
//! # Example
//! ```
//! # use std::convert::Infallible;
//! use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
//! use ziggurat::{Body, Request, Response, layers::basic::{BasicLayer, KnownUser}};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! // Of "open sesame".
//! let hash = "$argon2id$v=19$m=64,t=1,p=1$c29tZSBzYWx0IGhlcmU$vPQGMfVAsSfwD1fZxAtbczTXuZaGoKkxHDNYBzi7TYc";
//! let mut service = ServiceBuilder::new()
//!     .layer(BasicLayer::new([KnownUser::new("ann", hash).unwrap()]).unwrap())
//!     .service(service_fn(|_: Request| async { Ok::<Response, Infallible>(Response::default()) }));
//! let with = |credentials: &str| http::Request::get("/").header("authorization", credentials).body(Body::empty()).unwrap();
//! let good = with("Basic YW5uOm9wZW4gc2VzYW1l");
//! assert_eq!(service.ready().await.unwrap().call(good).await.unwrap().status(), 200);
//! let bad = service.ready().await.unwrap().call(with("Basic YW5uOnNlc2FtZQ==")).await.unwrap();
//! assert_eq!(bad.status(), 401);
//! assert_eq!(bad.headers()["www-authenticate"], "Basic realm=\"restricted\", charset=\"UTF-8\"");
//! # }
//! ```
//!
//! # Customized
//! ```
//! use std::time::Duration;
//! use ziggurat::layers::basic::{BasicLayer, KnownUser};
//!
//! # fn main() -> Result<(), ziggurat::ConfigError> {
//! # let hash = "$argon2id$v=19$m=64,t=1,p=1$c29tZSBzYWx0IGhlcmU$vPQGMfVAsSfwD1fZxAtbczTXuZaGoKkxHDNYBzi7TYc";
//! let basic = BasicLayer::new([KnownUser::new("ann", hash)?.scope("admin").claim("tenant", "a")?])?
//!     .realm("administration")?
//!     .parallel(2)
//!     .remember(Duration::ZERO)
//!     .required(false);
//! # let _ = basic;
//! # Ok(())
//! # }
//! ```

mod fault;
mod future;
mod layer;
mod password;
mod service;
mod user;
mod users;

pub use crate::service::Claims;
pub use fault::Fault;
pub use future::ResponseFuture;
pub use layer::BasicLayer;
pub use password::{PasswordError, hash_password, needs_rehash, verify_password};
pub use service::Basic;
pub use user::KnownUser;
