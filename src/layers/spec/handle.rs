use crate::layers::CacheLayer;
use crate::layers::api_key::ApiKeys;
use crate::layers::health_check::Readiness;
use crate::layers::metrics::MetricsHandle;

/// Reaches a layer that was built of a description, while it serves: what it counts, what it keeps, what it goes by.
///
/// ```
/// use ziggurat::layers::{LayerSpec, spec::LayerHandle};
///
/// let layer = LayerSpec::from_json(r#"{"type": "Cache", "ttl": 5}"#).unwrap().build().unwrap();
/// match layer.handle() {
///     Some(LayerHandle::Cache(cache)) => cache.invalidate("/books"),
///     _ => unreachable!(),
/// }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum LayerHandle {
    /// Of a `Metrics`: tells what it has counted.
    Metrics(MetricsHandle),
    /// Of a `Cache`: forgets what is kept.
    Cache(CacheLayer),
    /// Of a `HealthCheck`: says whether the service is ready.
    HealthCheck(Readiness),
    /// Of an `ApiKey`: changes the keys that are known.
    ApiKey(ApiKeys),
}
