//! Answers by what was answered before, and asks once where many ask for the same.
//!
//! A shared cache in memory, as RFC 9111 defines it, with what RFC 5861 has of answers that are stale. Each answer tells what was
//! done with it in `Cache-Status` (RFC 9211), and how old it is in `Age`.
//!
//! - Kept are answers to GET that say so: by `s-maxage`, `max-age` or `Expires`, without `no-store`, `no-cache`, `private`,
//!   `Set-Cookie` and `Vary: *`. [`ttl`](CacheLayer::ttl) keeps good ones that say nothing. HEAD is answered by what GET got.
//! - To requests with `Cookie`, `Authorization` or a client that a layer further out has found out, only those are kept, and only
//!   such are sent, that say they are for all: by `public` or `s-maxage` (3.5).
//! - They are told apart by the target as it was sent, by `Host`, by what they `Vary` by (8 of each address), and by the headers that
//!   [`vary`](CacheLayer::vary) names. A request with a body, for a part, or with a condition for writes passes.
//! - Of requests for the same one goes in, and the others wait for its answer. Where its client leaves, or it panics, the next one goes
//!   in; so where it fails, and after three of these all do. Where it turns out to be for one client all go in at once, and for ten seconds nobody waits for the like. Those with
//!   credentials wait only where an answer for all has become stale.
//! - What is read of an answer is read to its end, up to 1 MiB ([`limits`](CacheLayer::limits)), before it is sent; so a slow client
//!   holds nobody up. A longer one is sent as it comes, and so are event streams and, with a `ttl` only, bodies of unknown length.
//! - Clients that have the answer get a 304, by `If-None-Match` or `If-Modified-Since`.
//! - POST, PUT, PATCH, DELETE and methods that are not known have what is kept for their path asked for again, with any query, and
//!   for the paths in `Location` and `Content-Location`; unless they are answered with a 4xx. What was asked for before and comes
//!   after a write is not kept.
//! - A request with `Cache-Control: no-cache`, `no-store`, `max-age`, `min-fresh` or `only-if-cached` gets what it asks for, unless
//!   [`client_control`](CacheLayer::client_control) says no.
//! - An answer is as old as its head. One that is shorter than its `Content-Length` says is not kept.
//! - `stale-while-revalidate` has one request fetch the new answer, and the others get the old one. `stale-if-error` sends the old
//!   one in the place of a failure. Both count beside `s-maxage` too, as other shared caches have it, though that alone forbids what is
//!   stale (RFC 9111, 5.2.2.10); `must-revalidate` and `proxy-revalidate` forbid both.
//!
//! # Limits
//! - What tells clients apart and is neither a cookie nor a credential, as their address or a header, has to be named in `Vary` by
//!   the answer, or in [`vary`](CacheLayer::vary): a service that makes links of `X-Forwarded-Host` otherwise sends those that one
//!   client asked for to all others. What is of an address says `private`.
//! - It has to stand inside of what refuses requests, or those who may not pass get what was kept; and inside of
//!   [`CompressionLayer`](crate::layers), or each client gets what another one asked for.
//! - A write to `/notes/7` does not have `/notes` asked for again. What is written by other ways than through the layer, or by another
//!   process, shows when an answer has become stale, or by [`CacheLayer::invalidate`] and [`CacheLayer::clear`].
//! - Answers that are stale are fetched anew, without asking whether they have changed.
//!
//! How it differs from moka, which it keeps answers in, and from crates that wrap that: these know values and not what HTTP says of
//! them, and tower-http has no cache.
//!
//! # Example
//! ```
//! # use std::convert::Infallible;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use ziggurat::{Body, Request, layers::CacheLayer};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let service = ServiceBuilder::new().layer(CacheLayer::new()).service(service_fn(|_: Request| async {
//!     Ok::<_, Infallible>(http::Response::builder().header("cache-control", "max-age=60").body(Body::from("slow to make")).unwrap())
//! }));
//! let request = || http::Request::get("/").body(Body::empty()).unwrap();
//! let first = service.clone().oneshot(request()).await.unwrap();
//! assert_eq!(first.headers()["cache-status"], "ziggurat; fwd=uri-miss; stored; ttl=60");
//! let second = service.oneshot(request()).await.unwrap();
//! assert_eq!((&second.headers()["age"], second.status().as_u16()), (&"0".parse().unwrap(), 200));
//! # }
//! ```
//!
//! # Customized
//! ```
//! # use std::convert::Infallible;
//! # use std::time::Duration;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use ziggurat::{Body, Request, Response, layers::CacheLayer};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let cache = CacheLayer::new()
//!     .limits(1 << 30, 1 << 16)
//!     .unwrap()
//!     .ttl(Duration::from_secs(5))
//!     .unwrap()
//!     .vary([http::HeaderName::from_static("x-forwarded-host")])
//!     .client_control(false);
//! let service = ServiceBuilder::new().layer(cache.clone()).service(service_fn(|request: Request| async move {
//!     Ok::<_, Infallible>(Response::new(Body::from(request.headers()["x-forwarded-host"].as_bytes().to_vec())))
//! }));
//! let ask = async |host: &str| {
//!     let request = http::Request::get("/").header("x-forwarded-host", host).body(Body::empty()).unwrap();
//!     service.clone().oneshot(request).await.unwrap().headers()["cache-status"].to_str().unwrap().to_owned()
//! };
//! assert!(ask("a.example").await.contains("stored"));
//! assert!(ask("b.example").await.contains("stored"));
//! assert!(ask("a.example").await.contains("hit"));
//! cache.invalidate("/");
//! assert!(ask("a.example").await.contains("stored"));
//! # }
//! ```

mod asked;
mod body;
mod control;
mod core;
mod flights;
mod future;
mod layer;
mod lifetime;
mod reading;
mod service;
mod shelf;
mod status;
mod stored;
mod writes;

pub use body::CacheBody;
pub use future::ResponseFuture;
pub use layer::CacheLayer;
pub use service::Cache;
