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
//! | [`TraceLayer`] | `trace` | the access log |
//! | [`HostsLayer`] | `hosts` | 421 for hosts that are not known |
//! | [`TimeoutLayer`] | `timeout` | 504 when there is no answer in time |
//! | [`SensitiveHeadersLayer`] | `sensitive-headers` | keeps header values out of `Debug` output |
//! | [`CorsLayer`] | `cors` | pages of other origins may call |
//! | [`CompressionLayer`] | `compression` | br, zstd, gzip and deflate, also for event streams |
//! | [`BodyLimitLayer`] | `limit` | 413 for too large bodies |
//! | [`ApiKeyLayer`] | `api-key` | keys of programs that call |
//! | [`BasicLayer`] | `basic` | names and passwords |
//! | [`JwtLayer`] | `jwt` | bearer tokens and their claims |
//! | of these [`Jwks`](jwt::Jwks) | `jwks` | keys that are fetched from where an issuer publishes them |
//! | [`RequireAuth`] | with any of these four | who may call a route |
//!
//! The table lists them in the order in which they are best applied, outermost first. [`LayerSpec`] describes any of them
//! as data, and [`foundation`] completes a list of descriptions with the layers that every app should have.

#[cfg(feature = "api-key")]
pub mod api_key;
#[cfg(feature = "basic")]
pub mod basic;
#[cfg(feature = "limit")]
pub mod body_limit;
#[cfg(any(feature = "api-key", feature = "basic"))]
mod caller;
#[cfg(feature = "catch-panic")]
pub mod catch_panic;
#[cfg(feature = "compression")]
pub mod compression;
#[cfg(feature = "cors")]
pub mod cors;
#[cfg(any(feature = "api-key", feature = "basic", feature = "jwt"))]
mod credential;
#[cfg(any(feature = "api-key", feature = "basic", feature = "jwt"))]
pub mod guard;
#[cfg(feature = "hosts")]
pub mod hosts;
#[cfg(feature = "jwt")]
pub mod jwt;
#[cfg(feature = "request-id")]
pub mod request_id;
#[cfg(feature = "sensitive-headers")]
pub mod sensitive_headers;
#[cfg(feature = "layers")]
pub mod spec;
#[cfg(feature = "timeout")]
pub mod timeout;
#[cfg(feature = "trace")]
pub mod trace;

#[cfg(feature = "api-key")]
pub use api_key::ApiKeyLayer;
#[cfg(feature = "basic")]
pub use basic::BasicLayer;
#[cfg(feature = "limit")]
pub use body_limit::BodyLimitLayer;
#[cfg(feature = "catch-panic")]
pub use catch_panic::CatchPanicLayer;
#[cfg(feature = "compression")]
pub use compression::CompressionLayer;
#[cfg(feature = "cors")]
pub use cors::CorsLayer;
#[cfg(any(feature = "api-key", feature = "basic", feature = "jwt"))]
pub use guard::{Claims, RequireAuth};
#[cfg(feature = "hosts")]
pub use hosts::HostsLayer;
#[cfg(feature = "jwt")]
pub use jwt::JwtLayer;
#[cfg(feature = "request-id")]
pub use request_id::{RequestId, RequestIdLayer};
#[cfg(feature = "sensitive-headers")]
pub use sensitive_headers::SensitiveHeadersLayer;
#[cfg(feature = "layers")]
pub use spec::{BuiltLayer, LayerSpec, foundation};
#[cfg(feature = "timeout")]
pub use timeout::TimeoutLayer;
#[cfg(feature = "trace")]
pub use trace::TraceLayer;

/// Accessors to the service that a layer wraps, the same for every layer.
#[cfg(any(
    feature = "api-key",
    feature = "basic",
    feature = "catch-panic",
    feature = "compression",
    feature = "hosts",
    feature = "jwt",
    feature = "limit",
    feature = "request-id",
    feature = "timeout",
    feature = "trace"
))]
macro_rules! inner_accessors {
    () => {
        /// The wrapped service.
        pub fn get_ref(&self) -> &S {
            &self.inner
        }

        /// The wrapped service, to change it.
        pub fn get_mut(&mut self) -> &mut S {
            &mut self.inner
        }

        /// Takes the wrapped service out.
        pub fn into_inner(self) -> S {
            self.inner
        }
    };
}
#[cfg(any(
    feature = "api-key",
    feature = "basic",
    feature = "catch-panic",
    feature = "compression",
    feature = "hosts",
    feature = "jwt",
    feature = "limit",
    feature = "request-id",
    feature = "timeout",
    feature = "trace"
))]
use inner_accessors;
