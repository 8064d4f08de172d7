use tower_layer::Layer;

use super::Hosts;
use super::names::Names;
use crate::ConfigError;

/// Applies [`Hosts`]; see the [module](super) for examples.
#[derive(Debug, Clone)]
#[must_use]
pub struct HostsLayer {
    names: Names,
}

impl HostsLayer {
    /// Knows these hosts: `example.org`, `*.example.org`, `10.0.0.7`, `[::1]`.
    ///
    /// # Errors
    /// When there is none, or one is no host; the error names it.
    pub fn new(names: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, ConfigError> {
        Names::new(names).map(|names| Self { names })
    }
}

impl<S> Layer<S> for HostsLayer {
    type Service = Hosts<S>;

    fn layer(&self, inner: S) -> Hosts<S> {
        Hosts { inner, names: self.names.clone() }
    }
}
