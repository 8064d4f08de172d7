//! The settings of each layer, as they are read.

mod auth;
mod bodies;
mod browsers;
mod jwt;
mod limits;
mod places;
mod seen;
mod values;

pub use auth::{ApiKeySpec, BasicSpec, KeySpec, UserSpec};
pub use bodies::{CompressionSpec, DecompressionSpec, EtagSpec};
pub use browsers::{CorsSpec, CsrfSpec, SecurityHeadersSpec, SensitiveHeadersSpec};
pub use jwt::{FetchedSpec, IssuerSpec, JwksSpec, JwtSpec, SourceSpec};
pub use limits::{BodyLimitSpec, CatchPanicSpec, LoadShedSpec, RateLimitSpec, TimeoutSpec};
pub use places::{HostsSpec, NormalizePathSpec, RedirectSpec};
pub use seen::{ClientIpSpec, HealthCheckSpec, MetricsSpec, RequestIdSpec, TraceSpec};
pub use values::{OneOrMany, Secret};
