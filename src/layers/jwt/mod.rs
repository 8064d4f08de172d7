//! Checks JSON Web Tokens, and hands their claims inward.
//!
//! [`JwtLayer`] verifies the token of `Authorization: Bearer` and puts [`Claims`] into the request's extensions.
//! [`RequireAuth`] guards single routes: it asks for claims, and for scopes among them.
//!
//! # When it applies
//! A token is checked on every request that has one. Without one, the request is refused, or passes without claims when
//! the layer is not [`required`](JwtLayer::required); then `RequireAuth` decides route by route. A *bad* token is always
//! refused.
//!
//! Every fault is answered alike, with a 401 problem and `WWW-Authenticate: Bearer error="invalid_token"` (just `Bearer`
//! when no token came). Which fault it was goes to the log at `DEBUG`, and as [`Fault`] into the response's extensions.
//!
//! # What is checked
//! - One `Authorization` header, at most 8 KiB of token, the signature, and `alg` against the allowed list. The layer has
//!   one key of one family, so a public key is never used as an HMAC secret.
//! - `exp` must be there and lie ahead; `nbf`, when there, must have passed; both with a [leeway](JwtLayer::leeway) of
//!   30 seconds. `iss` and `aud` must match when they were set. A token with an `aud` is refused when none was set.
//! - Tokens with `crit` are refused. `kid`, `jwk`, `jku`, `x5u` and `x5c` are never looked at: a token does not choose its
//!   own key.
//!
//! # Limits
//! - HMAC secrets need as many bytes as the hash has (32, 48 or 64; RFC 7518, 3.2), RSA keys 2048 bits. There is no way
//!   around it.
//! - A token is not encrypted, cannot be revoked before `exp`, and is only looked for in the header: query strings are
//!   logged too easily.
//! - Key sets (JWKS) are not fetched.
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

mod algorithm;
mod fault;
mod future;
mod guard;
mod key;
mod layer;
mod service;
mod verifier;

pub use crate::service::Claims;
pub use algorithm::Algorithm;
pub use fault::Fault;
pub use future::ResponseFuture;
pub use guard::{Guarded, RequireAuth};
pub use layer::JwtLayer;
pub use service::Jwt;
