use tower_layer::Layer;

use super::door::Door;
use super::histogram::Bounds;
use super::{ConnectionPeer, MatchedPath, Metrics, MetricsHandle, NoMatchedPath, Peer};
use crate::ConfigError;
use crate::service::Dispatcher;

/// Applies [`Metrics`]; see the [module](super) for examples. Its clones, and what they wrap, count together.
#[derive(Debug, Clone)]
#[must_use]
pub struct MetricsLayer<P = NoMatchedPath, A = ConnectionPeer> {
    pub(super) settings: Settings<P, A>,
}

#[derive(Debug, Clone)]
pub(super) struct Settings<P, A> {
    pub(super) handle: MetricsHandle,
    pub(super) door: Option<Door>,
    pub(super) routes: Option<Dispatcher>,
    pub(super) path: P,
    pub(super) peer: A,
}

impl MetricsLayer {
    /// Answers `/metrics` to clients on this machine and in private networks; buckets from half a millisecond to ten seconds.
    pub fn new() -> Self {
        Self::of(Bounds::default_seconds())
    }

    /// Tells durations apart by these seconds.
    ///
    /// # Errors
    /// When there are none or more than 100, they do not grow, or one is longer than a day.
    pub fn with_buckets(seconds: impl IntoIterator<Item = f64>) -> Result<Self, ConfigError> {
        Bounds::seconds(seconds).map(Self::of)
    }

    fn of(seconds: Bounds) -> Self {
        let handle = MetricsHandle::new(seconds);
        Self {
            settings: Settings {
                handle,
                door: Some(Door::new()),
                routes: None,
                path: NoMatchedPath,
                peer: ConnectionPeer,
            },
        }
    }
}

impl Default for MetricsLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<P, A> MetricsLayer<P, A> {
    /// Answers this path.
    ///
    /// # Errors
    /// When it is no path, or has parameters.
    pub fn path(mut self, path: &str) -> Result<Self, ConfigError> {
        self.settings.door.get_or_insert_with(Door::new).at(path)?;
        Ok(self)
    }

    /// Answers no path: they are read by the [handle](Self::handle).
    pub fn without_path(mut self) -> Self {
        self.settings.door = None;
        self
    }

    /// Answers clients with these addresses, `10.0.0.7`, or in these networks, `10.0.0.0/8` or `2001:db8::/32`, and no others; `*`
    /// alone is everybody, known or not.
    ///
    /// # Errors
    /// When there is none, one is no network, or the [path was left out](Self::without_path).
    pub fn allow(mut self, networks: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, ConfigError> {
        let Some(door) = &mut self.settings.door else {
            return Err(ConfigError::new("Metrics: allow is given, but there is no path")
                .cure("leave allow out, and guard the route that answers"));
        };
        door.allow(networks)?;
        Ok(self)
    }

    /// Counts refusals of layers further in for the route of `dispatcher` that would have answered.
    pub fn routes_of(mut self, dispatcher: &Dispatcher) -> Self {
        self.settings.routes = Some(dispatcher.clone());
        self
    }

    /// Finds the matched path of requests that no dispatcher of this crate answered.
    pub fn matched_path<Q: MatchedPath>(self, path: Q) -> MetricsLayer<Q, A> {
        let Settings { handle, door, routes, path: _, peer } = self.settings;
        MetricsLayer { settings: Settings { handle, door, routes, path, peer } }
    }

    /// Finds the other end of the connection elsewhere.
    pub fn peer<Q: Peer>(self, peer: Q) -> MetricsLayer<P, Q> {
        let Settings { handle, door, routes, path, peer: _ } = self.settings;
        MetricsLayer { settings: Settings { handle, door, routes, path, peer } }
    }

    /// Reads what is counted.
    pub fn handle(&self) -> MetricsHandle {
        self.settings.handle.clone()
    }

    /// Tells how often Python was entered, too.
    #[cfg(feature = "layers")]
    pub(crate) fn entries(self, entries: Option<super::handle::Entries>) -> Self {
        if let Some(entries) = entries {
            // Set once: a layer is made once.
            let _ = self.settings.handle.0.entries.set(entries);
        }
        self
    }
}

impl<S, P: Clone, A: Clone> Layer<S> for MetricsLayer<P, A> {
    type Service = Metrics<S, P, A>;

    fn layer(&self, inner: S) -> Metrics<S, P, A> {
        Metrics { inner, settings: self.settings.clone() }
    }
}
