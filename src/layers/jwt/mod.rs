//! Checks JSON Web Tokens, and hands their claims inward.
//!
//! [`JwtLayer`] verifies the token of `Authorization: Bearer` and puts [`Claims`] into the request's extensions.
//! [`RequireAuth`] guards single routes: it asks for claims, and for scopes among them. The checks are those of the crate
//! `jsonwebtoken`; this adds what RFC 8725 asks of who uses them, the choice of a key, and the answers.
//!
//! # When it applies
//! A token is checked on every request that has one. Without one, the request is refused, or passes without claims when
//! the layer is not [`required`](JwtLayer::required); then `RequireAuth` decides route by route. A *bad* token is
//! refused, unless it is in a [cookie](#tokens-in-cookies) and none is required.
//!
//! Every fault is answered alike, with a 401 problem and `WWW-Authenticate: Bearer error="invalid_token"` (just `Bearer`
//! when no token came). Which fault it was goes to the log at `DEBUG`, and as [`Fault`] into the response's extensions.
//!
//! # What is checked
//! - A token is there once, has at most [8 KiB](JwtLayer::max_token_bytes), a signature, and an `alg` that its key is used with.
//!   Each key has its own list of them, so a public key is never used as an HMAC secret.
//! - `exp` must be there and lie ahead; `nbf`, when there, must have passed; both with a [leeway](JwtLayer::leeway) of
//!   30 seconds. `iss` and `aud` must match when they were set. A token with an `aud` is refused when none was set.
//! - Tokens with `crit` are refused. `jwk`, `jku`, `x5u` and `x5c` are never looked at: a token does not bring its own key.
//! - What is [required](JwtLayer::require) of every token: scopes, roles, claims. It is a 403 where it is missing.
//!
//! # Which key
//! Of [several issuers](JwtLayer::issuers) the one that `iss` names counts, with its keys, algorithms and audiences. Of
//! several keys the one that `kid` names does; a token without `kid` is tried with the first four keys whose algorithm fits. A
//! `kid` is compared with those that are there, and nothing else is done with it. Keys from a secret or PEM have no name:
//! they check what names no other.
//!
//! With the feature `jwks` the keys of an issuer are [fetched](Issuer::jwks) from where it publishes them: at the first token,
//! again before they are too old, and when a token names one that is not there. They are rotated without a restart.
//!
//! # Who signs
//! An issuer, which is a program of its own or this one: [`Signer`] makes tokens of claims.
//!
//! # What it costs
//! Tokens that were found good are [remembered](JwtLayer::remember), and their signature is not checked again. `exp` and what is
//! [required](JwtLayer::require) are, and a key that was taken back takes them with it.
//!
//! # Where the token is
//! In [several places](JwtLayer::sources), if it is asked for: `Authorization`, another header, a cookie. The first that is
//! there counts, and when it is bad the request is refused.
//!
//! # Tokens in cookies
//! A [cookie](CredentialSource::cookie) needs protection against requests that other sites forge. And a browser sends it with every
//! request, the one that signs in included, until it is deleted. So where no token is [required](JwtLayer::required), one in a cookie
//! that does not verify counts as none: expired, by a key that is gone, malformed, or there twice. The next place is looked at, and
//! without a token there the request passes without claims. It carries the [`Fault`], by which a service may have the cookie deleted,
//! and where `RequireAuth` refuses it the challenge says `error="invalid_token"`.
//!
//! A token that cannot be checked, as the keys of its issuer cannot be had, is still a 503: nobody is taken for signed out who is not.
//! One that is good and lacks what is [required](JwtLayer::require) of every token is still a 403.
//!
//! # Limits
//! - HMAC secrets need as many bytes as the hash has (32, 48 or 64; RFC 7518, 3.2), RSA keys 2048 bits. There is no way
//!   around it.
//! - A token is not encrypted and cannot be revoked before `exp`. It is never looked for in query strings, which are logged too
//!   easily.
//!
//! # Example
//! ```
//! # use std::convert::Infallible;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use ziggurat::{Body, Request, Response, layers::jwt::JwtLayer};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let service = ServiceBuilder::new()
//!     .layer(JwtLayer::secret("use `openssl rand -base64 48` for yours").unwrap()) // HS256
//!     .service(service_fn(|_: Request| async { Ok::<_, Infallible>(Response::new(Body::from("secret"))) }));
//! let response = service.oneshot(Request::new(Body::empty())).await.unwrap();
//! assert_eq!(response.status(), 401);
//! assert_eq!(response.headers()["www-authenticate"], "Bearer");
//! # }
//! ```
//!
//! # Customized
//! Public and protected routes side by side:
//! ```
//! # use std::convert::Infallible;
//! # use jsonwebtoken::{EncodingKey, Header, encode};
//! use std::time::Duration;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use ziggurat::{Body, Request, Response, layers::jwt::{Claims, JwtLayer, RequireAuth}};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! # let secret = "use `openssl rand -base64 48` for yours";
//! let jwt = JwtLayer::secret(secret).unwrap()
//!     .issuer("https://id.example")
//!     .leeway(Duration::from_secs(5))
//!     .required(false);
//! let who = |request: Request| async move {
//!     let claims = request.extensions().get::<Claims>().unwrap();
//!     Ok::<_, Infallible>(Response::new(Body::from(claims.subject().unwrap_or("?").to_owned())))
//! };
//! let service = ServiceBuilder::new().layer(jwt).layer(RequireAuth::new().scope("users:read")).service(service_fn(who));
//! # let expiry = jsonwebtoken::get_current_timestamp() + 60;
//! # let claims = serde_json::json!({"sub": "ann", "exp": expiry, "iss": "https://id.example", "scope": "users:read"});
//! # let token = encode(&Header::default(), &claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap();
//! let request = http::Request::get("/").header("authorization", format!("Bearer {token}")).body(Body::empty()).unwrap();
//! let response = service.oneshot(request).await.unwrap();
//! assert_eq!(response.body().as_bytes().unwrap(), "ann");
//! # }
//! ```
//!
//! Two issuers, and tokens in a cookie as well:
//! ```
//! use ziggurat::layers::jwt::{Issuer, JwtLayer, Requirement, CredentialSource};
//!
//! # fn main() -> Result<(), ziggurat::ConfigError> {
//! # let pem = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAjzvudZqB02wTazzndod3w0Ze4JAYh0A0XRSWfT5ODdk=\n-----END PUBLIC KEY-----";
//! # let keys = r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "1", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
//! let jwt = JwtLayer::issuers([
//!     Issuer::new("https://id.example").jwk_set(keys)?.audience("api"),
//!     Issuer::new("https://machines.example").public_key_pem(pem)?.audience("api"),
//! ])?
//! .sources([CredentialSource::authorization(), CredentialSource::cookie("session")?])?
//! .require(Requirement::role("staff"));
//! # let _ = jwt;
//! # Ok(())
//! # }
//! ```
//!
//! Keys that are fetched, from an issuer that speaks OpenID Connect:
#![cfg_attr(feature = "jwks", doc = "```")]
#![cfg_attr(not(feature = "jwks"), doc = "```ignore")]
//! use ziggurat::layers::jwt::{Issuer, JwtLayer};
//!
//! # fn main() -> Result<(), ziggurat::ConfigError> {
//! let jwt = JwtLayer::issuers([Issuer::discover("https://accounts.google.com")?.audience("my-client-id")])?;
//! # let _ = jwt;
//! # Ok(())
//! # }
//! ```

mod algorithm;
mod fault;
mod future;
mod issuer;
#[cfg(feature = "jwks")]
mod jwks;
mod key;
mod key_set;
mod layer;
mod memo;
mod private_key;
mod ring;
mod service;
mod signer;
mod verifier;

pub use super::credential::CredentialSource;
pub use super::guard::{Guarded, RequireAuth};
pub use crate::service::{Claims, Requirement};
pub use algorithm::Algorithm;
pub use fault::Fault;
pub use future::ResponseFuture;
pub use issuer::Issuer;
#[cfg(feature = "jwks")]
pub use jwks::Jwks;
pub use layer::JwtLayer;
pub use service::Jwt;
pub use signer::{SignError, Signer};
