//! The layers as methods of `tower::ServiceBuilder`.

use tower::ServiceBuilder;
#[allow(unused_imports)] // Features whose layers have no method do not use it.
use tower::layer::util::Stack;

#[cfg(feature = "limit")]
use super::BodyLimitLayer;
#[cfg(feature = "cache")]
use super::CacheLayer;
#[cfg(feature = "catch-panic")]
use super::CatchPanicLayer;
#[cfg(feature = "client-ip")]
use super::ClientIpLayer;
#[cfg(feature = "compression")]
use super::CompressionLayer;
#[cfg(feature = "csrf")]
use super::CsrfLayer;
#[cfg(feature = "decompression")]
use super::DecompressionLayer;
#[cfg(feature = "etag")]
use super::EtagLayer;
#[cfg(feature = "health-check")]
use super::HealthCheckLayer;
#[cfg(feature = "metrics")]
use super::MetricsLayer;
#[cfg(feature = "normalize-path")]
use super::NormalizePathLayer;
#[cfg(feature = "request-id")]
use super::RequestIdLayer;
#[cfg(feature = "security-headers")]
use super::SecurityHeadersLayer;
#[cfg(feature = "sensitive-headers")]
use super::SensitiveHeadersLayer;
#[cfg(feature = "timeout")]
use super::TimeoutLayer;
#[cfg(feature = "trace")]
use super::TraceLayer;

/// Writes the method that adds a layer, and the feature that it needs.
macro_rules! methods {
    ($($(#[$doc:meta])* $feature:literal $name:ident($($argument:ident: $type:ty)?) -> $layer:ty = $made:expr;)*) => {
        /// Adds the layers that need no settings, or one, to a `tower::ServiceBuilder`, outermost first; the others are added by `layer`.
        ///
        #[cfg_attr(feature = "layers", doc = "```")]
        #[cfg_attr(not(feature = "layers"), doc = "```ignore")]
        /// # use std::convert::Infallible;
        /// use std::time::Duration;
        /// use tower::{ServiceBuilder, ServiceExt, service_fn};
        /// use ziggurat::{Body, Request, Response, layers::ServiceBuilderExt};
        ///
        /// # #[tokio::main(flavor = "current_thread")] async fn main() {
        /// let service = ServiceBuilder::new()
        ///     .catch_panic()
        ///     .request_id()
        ///     .timeout_after(Duration::from_secs(10))
        ///     .body_limit(1 << 20)
        ///     .compression()
        ///     .service(service_fn(|_| async { Ok::<_, Infallible>(Response::new(Body::from("hello"))) }));
        /// let response = service.oneshot(Request::new(Body::empty())).await.unwrap();
        /// assert!(response.headers().contains_key("x-request-id"));
        /// # }
        /// ```
        pub trait ServiceBuilderExt<L>: sealed::Sealed<L> + Sized {
            $(
                $(#[$doc])*
                #[cfg(feature = $feature)]
                fn $name(self $(, $argument: $type)?) -> ServiceBuilder<Stack<$layer, L>> {
                    self.builder().layer($made)
                }
            )*
        }
    };
}

methods! {
    /// A panic further in becomes one 500.
    "catch-panic" catch_panic() -> CatchPanicLayer = CatchPanicLayer::new();
    /// Gives each request an id.
    "request-id" request_id() -> RequestIdLayer = RequestIdLayer::new();
    /// Tells who the client is; nobody's word is taken for it.
    "client-ip" client_ip() -> ClientIpLayer = ClientIpLayer::new();
    /// Answers `/healthz` and `/readyz`.
    "health-check" health_check() -> HealthCheckLayer = HealthCheckLayer::new();
    /// Counts requests, and answers `/metrics` to this machine and private networks.
    "metrics" metrics() -> MetricsLayer = MetricsLayer::new();
    /// Logs each request.
    "trace" trace() -> TraceLayer = TraceLayer::new();
    /// Sets the headers by which browsers protect their users.
    "security-headers" security_headers() -> SecurityHeadersLayer = SecurityHeadersLayer::new();
    /// Answers 504 when there is no answer in time. (`timeout` is tower's own, which fails instead.)
    "timeout" timeout_after(limit: std::time::Duration) -> TimeoutLayer = TimeoutLayer::new(limit);
    /// Keeps the values of headers with credentials out of `Debug` output.
    "sensitive-headers" sensitive_headers() -> SensitiveHeadersLayer = SensitiveHeadersLayer::default();
    /// Refuses what pages of other origins have their readers send.
    "csrf" csrf() -> CsrfLayer = CsrfLayer::new();
    /// Answers `/users/` as `/users`.
    "normalize-path" normalize_path() -> NormalizePathLayer = NormalizePathLayer::default();
    /// Compresses answers for clients that accept it.
    "compression" compression() -> CompressionLayer = CompressionLayer::new();
    /// Answers 304 to clients that have the answer already.
    "etag" etag() -> EtagLayer = EtagLayer::new();
    /// Answers 413 to bodies of more bytes.
    "limit" body_limit(max_bytes: usize) -> BodyLimitLayer = BodyLimitLayer::new(max_bytes);
    /// Decompresses the bodies of requests.
    "decompression" decompression() -> DecompressionLayer = DecompressionLayer::new();
    /// Keeps answers that say so, and asks once where many ask for the same.
    "cache" cache() -> CacheLayer = CacheLayer::new();
}

impl<L> ServiceBuilderExt<L> for ServiceBuilder<L> {}

mod sealed {
    use tower::ServiceBuilder;

    pub trait Sealed<L> {
        fn builder(self) -> ServiceBuilder<L>;
    }

    impl<L> Sealed<L> for ServiceBuilder<L> {
        fn builder(self) -> ServiceBuilder<L> {
            self
        }
    }
}
