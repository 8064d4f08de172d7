//! Keys of programs that call.
//!
//! [`ApiKeyLayer`] looks for a key in `X-API-Key`, or [elsewhere](ApiKeyLayer::sources), and puts the [`Claims`] of whom it was given to
//! into the request's extensions, as a token's: guards and policies ask the same of both.
//!
//! - Keys are known by their SHA-256 alone, so that who reads the configuration cannot use them. A hash this fast is enough for keys that
//!   were made by chance, such as those of `ziggurat api-key`, and for nothing that people make up: those belong in
//!   [`basic`](super::basic).
//! - A key that is not known, one that is there twice, and an empty one are answered alike: 401 with `WWW-Authenticate: ApiKey`. Hashes
//!   are compared in constant time.
//! - Without a key a request is refused, or passes without claims when the layer is not [`required`](ApiKeyLayer::required). One that a
//!   layer further out has authenticated already passes in any case: so either of two credentials will do. Where none is needed so, a bad
//!   key in a [cookie](CredentialSource::cookie) counts as none, since a browser sends it until it is deleted.
//!
//! # Limits
//! - A key is a bearer's: whoever sees it has it. Send it over TLS, and rather not in query strings.
//! - The subject is the `sub` of the claims: where tokens are taken too, choose one that no token has.
//! - What [`ApiKeys`] changes is in the memory of one process: others that serve the same have to be told as well.
//!
//! # Example
//! ```
//! # use std::convert::Infallible;
//! use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
//! use ziggurat::{Body, Request, Response, layers::api_key::{ApiKeyLayer, KnownKey}};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let hash = KnownKey::hash_of("the key, as it was given to the caller");
//! let mut service = ServiceBuilder::new()
//!     .layer(ApiKeyLayer::new([KnownKey::new(&hash, "reports").unwrap()]).unwrap())
//!     .service(service_fn(|_: Request| async { Ok::<Response, Infallible>(Response::default()) }));
//! let with = |key: &str| http::Request::get("/").header("x-api-key", key).body(Body::empty()).unwrap();
//! let good = with("the key, as it was given to the caller");
//! assert_eq!(service.ready().await.unwrap().call(good).await.unwrap().status(), 200);
//! assert_eq!(service.ready().await.unwrap().call(with("another")).await.unwrap().status(), 401);
//! # }
//! ```
//!
//! # Customized
//! ```
//! # use std::convert::Infallible;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use ziggurat::{Body, Request, Response};
//! use ziggurat::layers::api_key::{ApiKeyLayer, Claims, CredentialSource, KnownKey};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let key = KnownKey::new(&KnownKey::hash_of("key"), "reports").unwrap().scope("reports:read").claim("tenant", "a").unwrap();
//! let sources = [CredentialSource::authorization(), CredentialSource::query("key").unwrap()];
//! let service = ServiceBuilder::new()
//!     .layer(ApiKeyLayer::new([key]).unwrap().sources(sources).unwrap().required(false))
//!     .service(service_fn(|request: Request| async move {
//!         let claims = request.extensions().get::<Claims>().unwrap();
//!         assert!(claims.has_scope("reports:read") && claims.get("tenant").unwrap() == "a");
//!         Ok::<Response, Infallible>(Response::default())
//!     }));
//! let request = http::Request::get("/?key=key").body(Body::empty()).unwrap();
//! assert_eq!(service.oneshot(request).await.unwrap().status(), 200);
//! # }
//! ```
//!
//! # Changed while it serves
//! ```
//! # use std::convert::Infallible;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use ziggurat::{Body, Request, Response, layers::api_key::{ApiKeyLayer, KnownKey}};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let known = |key: &str| KnownKey::new(&KnownKey::hash_of(key), "reports").unwrap();
//! let layer = ApiKeyLayer::new([known("old")]).unwrap();
//! let keys = layer.keys();
//! let service = ServiceBuilder::new()
//!     .layer(layer)
//!     .service(service_fn(|_: Request| async { Ok::<Response, Infallible>(Response::default()) }));
//! let get = |key: &str| service.clone().oneshot(http::Request::get("/").header("x-api-key", key).body(Body::empty()).unwrap());
//! keys.add(known("new")).unwrap(); // from any thread
//! assert!(get("old").await.unwrap().status() == 200 && get("new").await.unwrap().status() == 200);
//! keys.revoke("reports", Some(&KnownKey::hash_of("old"))).unwrap();
//! assert!(get("old").await.unwrap().status() == 401 && get("new").await.unwrap().status() == 200);
//! keys.replace([known("newest")]).unwrap();
//! assert!(get("new").await.unwrap().status() == 401 && get("newest").await.unwrap().status() == 200);
//! # }
//! ```

mod key;
mod keys;
mod layer;
mod service;

pub use super::credential::CredentialSource;
pub use crate::service::Claims;
pub use key::KnownKey;
pub use keys::ApiKeys;
pub use layer::ApiKeyLayer;
pub use service::{ApiKey, Fault};
