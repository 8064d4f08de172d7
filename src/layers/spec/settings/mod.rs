//! The settings of each layer, as they are read.

mod auth;
mod bodies;
mod browsers;
mod jwt;
mod limits;
mod places;
mod rate_limit;
mod seen;
mod values;

pub use auth::{ApiKeySpec, BasicSpec, KeySpec, UserSpec};
pub use bodies::{CacheSpec, CompressionSpec, DecompressionSpec, EtagSpec};
pub use browsers::{CorsSpec, CsrfSpec, SecurityHeadersSpec, SensitiveHeadersSpec};
pub use jwt::{FetchedSpec, IssuerSpec, JwksSpec, JwtSpec, SourceSpec};
pub use limits::{BodyLimitSpec, CatchPanicSpec, LoadShedSpec, TimeoutSpec};
pub use places::{HostsSpec, NormalizePathSpec, RedirectSpec, StaticSpec};
pub(in crate::layers::spec) use rate_limit::Kept;
pub use rate_limit::RateLimitSpec;
pub use seen::{ClientIpSpec, HealthCheckSpec, MetricsSpec, OtelSpec, RequestIdSpec, TraceSpec};
pub use values::{OneOrMany, Secret};
