//! Refuses requests of those who ask too often.
//!
//! Each key, which is the address of a client unless [told](RateLimitLayer::key), has a [`Quota`]: so many requests in a period,
//! all at once if they come so. It is measured by the generic cell rate algorithm (ITU-T I.371), which spends one number on a key
//! and gives requests back one by one, so that there is no moment at which all clients may begin anew.
//!
//! - Who has used up a quota is answered with a 429 problem document (RFC 6585) and `Retry-After` in whole seconds.
//! - All answers tell what is left in `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-09), unless
//!   [told otherwise](RateLimitLayer::headers). The three fields of its versions up to 06 (`RateLimit-Limit`, `-Remaining` and
//!   `-Reset`) are not sent: the draft has given them up, and programs that wait go by `Retry-After`.
//! - In `RateLimit`, `r` is how many requests would be answered at once, and `t` in how many seconds all of the quota will be back,
//!   or with `r=0` one request. In `RateLimit-Policy`, `q` is the burst and `w` how many seconds that takes to come back.
//!
//! # Keys
//! [`By`] counts by the client's address, the value of a header or a claim, each alone or for each route; any function of a
//! request's parts is a [`Key`] too. Requests without one share a quota, or are [not counted](WithoutKey). IPv6 addresses count by
//! their first 64 bits: who has one has the others of its network.
//!
//! # Limits
//! - Behind a proxy all clients have one address: put a [`ClientIpLayer`](crate::layers::ClientIpLayer) outside.
//! - Counted by a header, a client that can write what it likes there has as many quotas as it likes. Count by what was checked
//!   further out, as a claim is; then this layer stands inside of the one that checks, and does not hold back those who guess.
//! - Any time of one period may see the burst and another period's requests: twice the limit, unless a smaller
//!   [burst](Quota::burst) is set.
//! - What was taken is kept in memory, about [100 000 keys](InMemory::MAX_KEYS) of it, and lost when the process ends. When all
//!   those are in use, a key that would soonest have all of its quota back makes way for a new one. Several processes have a
//!   quota each, unless they share them.
//! - A clone of the layer shares the quotas. For a quota of its own give a route a layer of its own.
//!
//! # Shared quotas
//! Processes share quotas exactly in a store: `SqliteQuotas` in a file for those of one machine (feature `sqlite`), `RedisQuotas` in a server
//! that speaks the protocol of Redis for any number of machines (feature `redis`), and a store of yours behind `QuotaStore`, all by way of
//! `Shared`. A request then waits for the store.
//!
//! A store that fails, or takes longer than a [limit](Shared::limit) of a quarter of a second, is left alone for a second and warned of
//! in the log. Meanwhile requests are answered and not counted, as Envoy and Kong do it unless told: a service that is down whenever the
//! store of its quotas is has two reasons to be down, and a limit is most often there for the service's sake. Where it is there to hold back
//! guesses or costs, [refuse](OnFailure::Refuse) them with 503. A store that is out of reach at the start is no other case.
//! ```
//! # #[cfg(feature = "sqlite")] fn main() {
//! use std::time::Duration;
//! use ziggurat::layers::RateLimitLayer;
//! use ziggurat::layers::rate_limit::{OnFailure, Quota, Shared, SqliteQuotas};
//!
//! # let folder = tempfile::tempdir().unwrap();
//! # let file = folder.path().join("quotas.db");
//! let quotas = Shared::new(SqliteQuotas::open(file, 100_000).unwrap())
//!     .namespace("shop:sign-in").unwrap()
//!     .on_failure(OnFailure::Refuse);
//! let layer = RateLimitLayer::new(Quota::new(5, Duration::from_secs(60)).unwrap()).quotas(quotas);
//! # drop(layer); }
//! # #[cfg(not(feature = "sqlite"))] fn main() {}
//! ```
//!
//! It differs from `governor`, whose keyed limiters measure the same way, in that its memory has a bound: those grow with every
//! key, until somebody calls for all of them to be looked through.
//!
//! # Example
//! ```
//! # use std::{convert::Infallible, net::SocketAddr, time::Duration};
//! use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
//! use ziggurat::{Body, Request, Response, layers::{RateLimitLayer, rate_limit::Quota}};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let mut service = ServiceBuilder::new()
//!     .layer(RateLimitLayer::new(Quota::new(2, Duration::from_secs(60)).unwrap()))
//!     .service(service_fn(|_: Request| async { Ok::<Response, Infallible>(Response::default()) }));
//! let from = |peer: [u8; 4]| {
//!     http::Request::get("/").extension(SocketAddr::from((peer, 4711))).body(Body::empty()).unwrap() // The server does this.
//! };
//! let answer = service.ready().await.unwrap().call(from([192, 0, 2, 1])).await.unwrap();
//! assert_eq!(answer.headers()["ratelimit-policy"], r#""default";q=2;w=60"#);
//! assert_eq!(answer.headers()["ratelimit"], r#""default";r=1;t=30"#);
//! assert_eq!(service.ready().await.unwrap().call(from([192, 0, 2, 1])).await.unwrap().status(), 200);
//! let refused = service.ready().await.unwrap().call(from([192, 0, 2, 1])).await.unwrap();
//! assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (429, &"30".parse().unwrap()));
//! assert_eq!(service.ready().await.unwrap().call(from([192, 0, 2, 2])).await.unwrap().status(), 200);
//! # }
//! ```
//!
//! # Customized
//! In an Axum router: ten a second for each route and key of a customer, three at once.
//! ```
//! use std::time::Duration;
//! use axum::{Router, body::Body, extract::MatchedPath, routing::get};
//! use http::{Request, request::Parts};
//! use tower::ServiceExt;
//! use ziggurat::layers::{RateLimitLayer, rate_limit::{InMemory, Quota, WithoutKey}};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let customer_and_route = |parts: &Parts| {
//!     let route = parts.extensions.get::<MatchedPath>()?.as_str().to_owned();
//!     Some((parts.headers.get("x-customer")?.clone(), route)) // Set by a proxy.
//! };
//! let limit = RateLimitLayer::new(Quota::new(10, Duration::from_secs(1)).unwrap().burst(3).unwrap())
//!     .key(customer_and_route)
//!     .without_key(WithoutKey::Allow)
//!     .quotas(InMemory::new(1_000_000).unwrap())
//!     .policy("customer").unwrap();
//! let app: Router = Router::new().route("/users/{id}", get(|| async { "ann" })).layer(limit);
//! let ask = |path: &str| app.clone().oneshot(Request::get(path).header("x-customer", "a").body(Body::empty()).unwrap());
//! assert_eq!(ask("/users/1").await.unwrap().headers()["ratelimit"], r#""customer";r=2;t=1"#);
//! ask("/users/2").await.unwrap();
//! ask("/users/3").await.unwrap();
//! assert_eq!(ask("/users/4").await.unwrap().status(), 429);
//! # }
//! ```

mod future;
mod key;
mod layer;
mod memory;
mod quota;
#[cfg(feature = "redis")]
mod redis;
mod service;
#[cfg(any(feature = "sqlite", feature = "redis"))]
mod shared;
#[cfg(feature = "sqlite")]
mod sqlite;
mod told;

use std::future::Future;
use std::hash::Hasher;

use futures_util::future::Either;
use serde::Deserialize;

pub use future::ResponseFuture;
pub use key::{By, Key};
pub use layer::RateLimitLayer;
pub use memory::InMemory;
pub use quota::{Quota, Verdict};
#[cfg(feature = "redis")]
pub use redis::RedisQuotas;
pub use service::RateLimit;
#[cfg(any(feature = "sqlite", feature = "redis"))]
pub use shared::{KeyHasher, QuotaStore, Shared};
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteQuotas;

/// What becomes of requests that have no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum WithoutKey {
    /// They have one quota together.
    #[default]
    Share,
    /// They are not counted.
    Allow,
}

/// What becomes of requests while what they have taken cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum OnFailure {
    /// They are answered, and not counted.
    #[default]
    Allow,
    /// They are answered with 503.
    Refuse,
}

/// Keeps what each key has taken.
///
/// [`InMemory`] does so for one process, at once. `Shared` does so for several, in a store that is to be waited for.
pub trait Quotas {
    /// Makes a key of what tells clients apart. Keys that are alike share a quota: it should be one for which no client finds a value
    /// that has the key of another.
    type Hasher: Hasher;
    /// A verdict that has to be waited for.
    type Later: Future<Output = Verdict>;

    /// A fresh hasher.
    fn hasher(&self) -> Self::Hasher;

    /// Takes one request out of the quota of `key`.
    fn take(&self, key: Self::Hasher, quota: &Quota) -> Either<Verdict, Self::Later>;
}
