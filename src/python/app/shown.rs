//! What stands around an app that is looked at: outside of all its layers, and only then.

use std::sync::Arc;

use crate::ConfigError;
use crate::layers::spec::{LayerHandle, MetricsSpec};
use crate::layers::{BuiltLayer, LayerSpec};
use crate::python::attach;
use crate::python::pages::{ErrorPages, Live, Seen, failures};
use crate::service::{Dispatcher, Route};

type Wrap = Box<dyn Fn(Route) -> Route + Send>;

/// The layers, outermost first; `built` are those of the app.
pub(super) fn layers(
    debug: bool,
    live: Option<&Arc<Live>>,
    built: &[BuiltLayer],
    dispatcher: &Dispatcher,
) -> Result<Vec<(&'static str, Wrap)>, ConfigError> {
    let mut layers: Vec<(&'static str, Wrap)> = Vec::new();
    if debug {
        failures::keep();
        let path = live.map(|live| live.path.clone());
        layers.push(("ErrorPages", Box::new(move |inner| Route::new(ErrorPages { inner, live: path.clone() }))));
    }
    if let Some(live) = live {
        let counted = built.iter().find_map(|layer| match layer.handle() {
            Some(LayerHandle::Metrics(handle)) => Some(handle.clone()),
            _ => None,
        });
        // An app that counts its requests has them counted once.
        let counting = match counted {
            Some(_) => None,
            None => {
                let routes = Some(dispatcher.clone());
                let mut metrics = MetricsSpec { path: None, routes, ..MetricsSpec::default() };
                metrics.python_entries = Some(attach::counts);
                Some(LayerSpec::Metrics(metrics).build()?)
            }
        };
        let own = counting.as_ref().and_then(BuiltLayer::handle).and_then(|handle| match handle {
            LayerHandle::Metrics(handle) => Some(handle.clone()),
            _ => None,
        });
        if let Some(figures) = counted.or(own) {
            // Set once: an app is built once.
            let _ = live.figures.set(figures);
        }
        layers.push((
            "Live",
            Box::new(move |inner| {
                let seen = Route::new(Seen(inner));
                match &counting {
                    Some(counting) => counting.apply(seen),
                    None => seen,
                }
            }),
        ));
    }
    Ok(layers)
}
