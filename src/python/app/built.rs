//! What serves, and what can be told of it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use crate::crud::store::{AnyCollection, AnyStore};
use crate::crud::{Resource, Rows};
use crate::layers::otel::OtelHandle;
use crate::layers::spec::LayerHandle;
use crate::python::middleware::Scope;
use crate::python::objects::Shared;
use crate::python::pages::Document;
use crate::service::{LeafInfo, LeafKind, Stack};

/// What serves.
pub(super) struct Built {
    pub(super) stack: Stack,
    pub(super) shared: Arc<Shared>,
    /// What describes it, and the apps that are mounted in it.
    pub(super) documents: Vec<Arc<Document>>,
    pub(super) store: Option<AnyStore>,
    /// The models that are served.
    pub(super) resources: Vec<Resource>,
    /// The rows of every model, by its name.
    pub(super) rows: HashMap<String, Rows<AnyCollection>>,
    /// What is to be flushed when the app stops.
    pub(super) exports: Vec<Arc<OnceLock<OtelHandle>>>,
    /// What reaches the layers of the app, as they were given, and those of routes by their places.
    pub(super) handles: [Vec<Option<LayerHandle>>; 2],
    /// The layers around every route, outermost first.
    pub(super) layers: Vec<Passed>,
    /// The names of middleware around single routes.
    pub(super) of_routes: HashSet<String>,
}

/// A layer of the app, as the printed stack shows it.
pub(super) struct Passed {
    pub(super) name: String,
    /// Of a layer in Python: where it wraps.
    pub(super) scope: Option<Scope>,
}

impl Built {
    /// The middleware that wraps `leaf`; without a concrete path, that may wrap it.
    pub(super) fn wrapping<'a>(&'a self, leaf: &'a LeafInfo, path: Option<&'a str>) -> impl Iterator<Item = &'a str> {
        let of_leaf = 1 + leaf.hooks.len();
        let passes: Vec<_> = self.passes(leaf, path).collect();
        let before = passes.len() - of_leaf;
        passes.into_iter().take(before).filter(|(_, python)| *python).map(|(name, _)| name)
    }

    /// What a request to `leaf` passes, outermost first and the leaf last, and which of it is written in Python.
    pub(super) fn passes<'a>(
        &'a self,
        leaf: &'a LeafInfo,
        path: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a str, bool)> {
        let wraps = move |scope: &Option<Scope>| match (scope, path) {
            (None, _) => true,
            (Some(scope), Some(path)) => scope.holds(path),
            (Some(scope), None) => scope.may_hold(&leaf.path),
        };
        let around = self.layers.iter().filter(move |layer| !leaf.skips.contains(&layer.name) && wraps(&layer.scope));
        around
            .map(|layer| (&*layer.name, layer.scope.is_some()))
            .chain(leaf.layers.iter().map(|name| (&**name, self.of_routes.contains(name))))
            .chain(leaf.hooks.iter().map(|name| (&**name, true)))
            .chain(std::iter::once((&*leaf.name, leaf.kind == LeafKind::Python)))
    }
}
