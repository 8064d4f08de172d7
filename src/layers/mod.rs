//! Wraps services.
//!
//! Each layer is a plain `tower::Layer`: generic over both bodies, keeps the inner error type, and answers on its own only
//! through `ResBody: From<Bytes>`. So it works around the routes of this crate, in an Axum router and in bare hyper alike.
//! Each has a cargo feature of its own; `layers` is all of them.
//!
//! | layer | feature | what it does |
//! |---|---|---|
//! | [`CatchPanicLayer`] | `catch-panic` | a panic becomes one 500 |
//! | [`RequestIdLayer`] | `request-id` | an id for each request |
//! | [`ClientIpLayer`] | `client-ip` | the address of the client, also behind proxies |
//! | [`HealthCheckLayer`] | `health-check` | answers whether the service is alive and ready |
//! | [`MetricsLayer`] | `metrics` | counts requests, and how long they take and where, for Prometheus |
//! | [`OtelLayer`] | `otel` | a span for each request, exported over OTLP |
//! | [`TraceLayer`] | `trace` | the access log |
//! | [`SecurityHeadersLayer`] | `security-headers` | headers by which browsers protect their users |
//! | [`HostsLayer`] | `hosts` | 421 for hosts that are not known |
//! | [`RedirectLayer`] | `redirect` | leads to `https`, one host, and the new places of paths |
//! | [`TimeoutLayer`] | `timeout` | 504 when there is no answer in time; ends bodies that stand still |
//! | [`LoadShedLayer`] | `load-shed` | 503 while too many requests are under way |
//! | [`SensitiveHeadersLayer`] | `sensitive-headers` | keeps header values out of `Debug` output |
//! | [`CorsLayer`] | `cors` | pages of other origins may call |
//! | [`CsrfLayer`] | `csrf` | 403 for what pages of other origins have their readers send |
//! | [`CompressionLayer`] | `compression` | br, zstd, gzip and deflate, also for event streams |
//! | [`EtagLayer`] | `etag` | 304 to clients that have the answer already |
//! | [`StaticLayer`] | `static` | files of a directory |
//! | [`NormalizePathLayer`] | `normalize-path` | one address: paths without slashes at their end |
//! | [`BodyLimitLayer`] | `limit` | 413 for too large bodies |
//! | [`DecompressionLayer`] | `decompression` | request bodies in br, zstd, gzip and deflate, and no bombs |
//! | [`RateLimitLayer`] | `rate-limit` | 429 for those who ask too often |
//! | of these [quotas that processes share](rate_limit#shared-quotas) | `sqlite`, `redis` | in a file, in a server |
//! | [`ApiKeyLayer`] | `api-key` | keys of programs that call |
//! | [`BasicLayer`] | `basic` | names and passwords |
//! | [`JwtLayer`] | `jwt` | bearer tokens and their claims |
//! | of these [`Jwks`](jwt::Jwks) | `jwks` | keys that are fetched from where an issuer publishes them |
//! | [`RequireAuth`] | with any of these three | who may call a route |
//! | [`CacheLayer`] | `cache` | answers that were given before |
//!
//! The table lists them in the order in which they are best applied, outermost first; a `RateLimitLayer` that counts by a claim
//! stands inside of `JwtLayer`. [`LayerSpec`] describes any of them
//! as data, and [`foundation`] completes a list of descriptions with the layers that every app should have.

#[cfg(feature = "api-key")]
pub mod api_key;
#[cfg(feature = "basic")]
pub mod basic;
#[cfg(feature = "limit")]
pub mod body_limit;
mod builder;
#[cfg(feature = "cache")]
pub mod cache;
#[cfg(any(feature = "api-key", feature = "basic"))]
mod caller;
#[cfg(feature = "catch-panic")]
pub mod catch_panic;
#[cfg(feature = "client-ip")]
pub mod client_ip;
#[cfg(feature = "compression")]
pub mod compression;
#[cfg(feature = "cors")]
pub mod cors;
#[cfg(any(feature = "api-key", feature = "basic", feature = "jwt"))]
mod credential;
#[cfg(feature = "csrf")]
pub mod csrf;
#[cfg(feature = "decompression")]
pub mod decompression;
#[cfg(feature = "etag")]
pub mod etag;
#[cfg(feature = "axum")]
pub mod extract;
#[cfg(any(feature = "api-key", feature = "basic", feature = "jwt"))]
pub mod guard;
#[cfg(feature = "health-check")]
pub mod health_check;
#[cfg(feature = "hosts")]
pub mod hosts;
#[cfg(feature = "jwt")]
pub mod jwt;
#[cfg(feature = "load-shed")]
pub mod load_shed;
mod macros;
#[cfg(any(feature = "metrics", feature = "otel", feature = "trace"))]
mod matched;
#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(any(feature = "normalize-path", feature = "redirect"))]
mod moved;
#[cfg(feature = "normalize-path")]
pub mod normalize_path;
#[cfg(feature = "otel")]
pub mod otel;
#[cfg(any(feature = "jwks", feature = "otel"))]
mod outbound;
#[cfg(feature = "rate-limit")]
pub mod rate_limit;
#[cfg(feature = "redirect")]
pub mod redirect;
#[cfg(feature = "request-id")]
pub mod request_id;
#[cfg(feature = "security-headers")]
pub mod security_headers;
#[cfg(feature = "sensitive-headers")]
pub mod sensitive_headers;
#[cfg(feature = "layers")]
pub mod spec;
#[cfg(feature = "static")]
pub mod static_files;
#[cfg(any(feature = "cache", feature = "etag", feature = "static"))]
pub(crate) mod tags;
#[cfg(feature = "timeout")]
pub mod timeout;
#[cfg(feature = "trace")]
pub mod trace;
#[cfg(any(feature = "metrics", feature = "otel", feature = "trace"))]
mod watched;
#[cfg(any(feature = "compression", feature = "static"))]
pub(crate) mod weights;

#[cfg(feature = "api-key")]
pub use api_key::ApiKeyLayer;
#[cfg(feature = "basic")]
pub use basic::BasicLayer;
#[cfg(feature = "limit")]
pub use body_limit::BodyLimitLayer;
pub use builder::ServiceBuilderExt;
#[cfg(feature = "cache")]
pub use cache::CacheLayer;
#[cfg(feature = "catch-panic")]
pub use catch_panic::CatchPanicLayer;
#[cfg(feature = "client-ip")]
pub use client_ip::{ClientIp, ClientIpLayer};
#[cfg(feature = "compression")]
pub use compression::CompressionLayer;
#[cfg(feature = "cors")]
pub use cors::CorsLayer;
#[cfg(feature = "csrf")]
pub use csrf::CsrfLayer;
#[cfg(feature = "decompression")]
pub use decompression::DecompressionLayer;
#[cfg(feature = "etag")]
pub use etag::EtagLayer;
#[cfg(any(feature = "api-key", feature = "basic", feature = "jwt"))]
pub use guard::{Claims, RequireAuth};
#[cfg(feature = "health-check")]
pub use health_check::HealthCheckLayer;
#[cfg(feature = "hosts")]
pub use hosts::HostsLayer;
#[cfg(feature = "jwt")]
pub use jwt::JwtLayer;
#[cfg(feature = "load-shed")]
pub use load_shed::LoadShedLayer;
#[cfg(feature = "metrics")]
pub use metrics::MetricsLayer;
#[cfg(feature = "normalize-path")]
pub use normalize_path::NormalizePathLayer;
#[cfg(feature = "otel")]
pub use otel::{OtelLayer, TraceContext};
#[cfg(feature = "rate-limit")]
pub use rate_limit::RateLimitLayer;
#[cfg(feature = "redirect")]
pub use redirect::RedirectLayer;
#[cfg(feature = "request-id")]
pub use request_id::{RequestId, RequestIdLayer};
#[cfg(feature = "security-headers")]
pub use security_headers::SecurityHeadersLayer;
#[cfg(feature = "sensitive-headers")]
pub use sensitive_headers::SensitiveHeadersLayer;
#[cfg(feature = "python")]
pub(crate) use spec::check_order_around;
#[cfg(feature = "layers")]
pub use spec::{BuiltLayer, LayerSpec, check_order, foundation};
#[cfg(feature = "static")]
pub use static_files::StaticLayer;
#[cfg(feature = "timeout")]
pub use timeout::TimeoutLayer;
#[cfg(feature = "trace")]
pub use trace::TraceLayer;

#[allow(unused_imports)]
use macros::{gate, inner_accessors};
