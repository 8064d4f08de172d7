//! From what Python declared to a frozen stack.

use std::collections::HashMap;
use std::sync::Arc;

use super::built::{Built, Passed};
use super::draft::{Declaration, Declared, Draft, Inside, exports_of};
use super::guarded::{asking, guarded, surrounded};
use super::migrate::{self, Migrate, Target};
use super::{listed, shown, unreached};
use crate::ConfigError;
use crate::crud::store::AnyStore;
use crate::crud::{OpenError, References, Rows, Schema, Store};
use crate::layers::{BuiltLayer, LayerSpec, check_order, check_order_around, foundation};
use crate::python::asgi::PyAsgiService;
use crate::python::attach;
use crate::python::handler::PyHandlerService;
use crate::python::middleware::{Outside, PyMiddlewareLayer};
use crate::python::mounted::{self, Mounted, MountedAt};
use crate::python::objects::{Objects, Shared};
use crate::python::websocket::PyWebSocketService;
use crate::service::{Claims, Dispatcher, ErrorFormat, Leaf, LeafKind, Route, RouteTableBuilder, Stack};

impl Draft {
    /// Everything that can fail fails here, before the first request.
    ///
    /// It runs detached, so `objects` were taken out of the draft before and are its caller's to release.
    pub(super) async fn build(self, objects: &Arc<Objects>) -> Result<Built, ConfigError> {
        let rules = self.rules.clone();
        let catches: Vec<_> = self.routes.iter().map(|route| self.catch_layer(route.catch())).collect();
        let refusing = self.catch_layer(self.on_refusal);
        let Self {
            store,
            layers,
            location,
            sync_threads,
            migrate,
            target,
            debug,
            live,
            documents,
            routes,
            resources,
            made,
            mut exports,
            arounds,
            kept,
            middleware,
            body_limits,
            objects: _,
            surrounding,
            ..
        } = self;
        let shared = Shared::new(sync_threads);
        let _ = objects.shared.set(shared.clone());
        // These are set once: a draft is built once.
        let _ = surrounding.set((Arc::downgrade(objects), shared.clone()));
        let mut table = RouteTableBuilder::new();
        for (route, catch) in routes.into_iter().zip(catches) {
            match route {
                Declared::Handler { method, path, plan, handler, around } => {
                    let rules = plan.catch.and_then(|index| rules.get(index).cloned());
                    let service = PyHandlerService::new(plan.clone(), handler, objects, shared.clone(), rules);
                    let leaf =
                        Leaf::new(plan.name.clone(), LeafKind::Python, Route::new(service)).at(plan.location.clone());
                    let leaf = guarded(leaf, &plan, objects.handler(handler).switch.clone());
                    let catch = catch.filter(|_| plan.auth.is_some());
                    table.add(method, &path, surrounded(leaf, catch, around))?;
                }
                Declared::WebSocket { path, plan, handler, settings, around } => {
                    let rules = plan.catch.and_then(|index| rules.get(index).cloned());
                    let service = PyHandlerService::new(plan.clone(), handler, objects, shared.clone(), rules);
                    let service = PyWebSocketService::new(service, settings, shared.clone());
                    let leaf =
                        Leaf::new(plan.name.clone(), LeafKind::Python, Route::new(service)).at(plan.location.clone());
                    let leaf = guarded(leaf, &plan, objects.handler(handler).switch.clone());
                    let catch = catch.filter(|_| plan.auth.is_some());
                    table.add_websocket(&path, surrounded(leaf, catch, around))?;
                }
                Declared::Native { method, path, name, route, declared, around } => {
                    let leaf = Leaf::new(name, LeafKind::Native, route).at(declared.location);
                    let leaf = asking(leaf, declared.auth.as_deref(), ErrorFormat::Problem);
                    table.add(method, &path, surrounded(leaf, catch, around))?;
                }
                Declared::Mounted { path, name, inside, declared, around } => {
                    let at = MountedAt::new(&path).map_err(|error| error.at_if_known(&declared.location))?;
                    let (kind, route) = match inside {
                        Inside::Stack(stack) => (LeafKind::Native, Route::new(Mounted::new(at, stack))),
                        Inside::Asgi(index, sockets) => {
                            let (objects, shared) = (Arc::downgrade(objects), shared.clone());
                            let service = PyAsgiService::new(index, at, objects, shared, sockets);
                            (LeafKind::Python, Route::new(service))
                        }
                    };
                    let leaf = Leaf::new(name, kind, route).tunnels().at(declared.location);
                    let leaf = asking(leaf, declared.auth.as_deref(), ErrorFormat::Problem);
                    let leaf = surrounded(leaf, None, around);
                    for path in mounted::paths(&path) {
                        table.add(None, &path, leaf.clone())?;
                    }
                }
            }
        }
        let mut references = References::new();
        resources.iter().for_each(|(resource, _)| references.announce(resource));
        kept.iter().for_each(|(schema, _)| references.mention(schema));
        for (resource, location) in &resources {
            references.check(resource.schema()).map_err(|error| error.at_if_known(location))?;
        }
        for (schema, location) in &kept {
            references.check(schema).map_err(|error| error.at_if_known(location))?;
        }
        let store = match &store {
            Some(url) => Some(AnyStore::open_url(url).await.map_err(|error| config(error).at_if_known(&location))?),
            None => None,
        };
        if let (Migrate::Never, Some(store)) = (migrate, &store) {
            let schemas: Vec<_> = resources
                .iter()
                .map(|(resource, _)| resource.schema().clone())
                .chain(kept.iter().map(|(schema, _)| schema.clone()))
                .collect();
            let checked = migrate::refuse_differences(store, &schemas, &target).await;
            checked.map_err(|error| config(error).at_if_known(&location))?;
        }
        let mut rows = HashMap::new();
        let mut collections = Vec::with_capacity(resources.len());
        for (resource, location) in &resources {
            let store = needed(store.as_ref(), resource.schema(), "served", location)?;
            let collection = match resource.open(store).await {
                Ok(collection) => collection,
                Err(error) => {
                    return Err(refused(error, store, resource.schema(), &target).await.at_if_known(location));
                }
            };
            references.add(resource, collection.clone());
            rows.insert(resource.schema().name.clone(), Rows::new(resource.schema().clone(), collection.clone())?);
            collections.push(collection);
        }
        for (schema, location) in &kept {
            let store = needed(store.as_ref(), schema, "kept", location)?;
            let collection = match store.open(schema.clone()).await {
                Ok(collection) => collection,
                Err(error) => return Err(refused(error, store, schema, &target).await.at_if_known(location)),
            };
            rows.insert(schema.name.clone(), Rows::new(schema.clone(), collection)?);
        }
        for ((resource, _), collection) in resources.iter().zip(collections) {
            resource.mount_with(collection, &references, &mut table)?;
        }
        let mut dispatcher = Dispatcher::new(table.build()?);
        if let Some(refusing) = refusing {
            dispatcher = dispatcher.on_refusal(Arc::new(move |request, response| refusing.refuse(request, response)));
        }
        unreached::check(&layers, dispatcher.table())?;
        let mut builder = Stack::builder();
        let mut built = Vec::new();
        let mut has_claims = false;
        let mut outside = Outside::default();
        let given: Vec<String> = layers.iter().map(|spec| spec.name().to_owned()).collect();
        let layers = foundation(layers);
        let mut normalizers = layers.iter().filter(|spec| matches!(spec, LayerSpec::NormalizePath(_))).count();
        for mut spec in layers {
            if let LayerSpec::BodyLimit(limit) = &mut spec {
                // Of several at one path each route has its own limit besides.
                let mut at: HashMap<&str, usize> = HashMap::new();
                for (path, bytes) in &body_limits {
                    let most = at.entry(path).or_default();
                    *most = (*bytes).max(*most);
                }
                for (path, bytes) in at {
                    limit.at.entry(path.to_owned()).or_insert(bytes);
                }
                if outside.limit.is_none() {
                    let layer = limit.layer().map_err(|error| error.at_if_known(&location))?;
                    outside.limit = Some(layer);
                }
            }
            if let LayerSpec::RateLimit(limit) = &mut spec {
                if limit.by_claim.is_some() && !has_claims {
                    return Err(ConfigError::new(
                        "RateLimit: by_claim is given, but no layer outside of it finds out who calls",
                    )
                    .cure("put layers.Jwt(...), ApiKey(...) or Basic(...) before it")
                    .at_if_known(&location));
                }
                if limit.by_route && normalizers > 0 {
                    return Err(ConfigError::new(
                        "RateLimit: by_route is given, and NormalizePath inside of it leads paths with a slash at their end to the same route",
                    )
                    .cure("put layers.NormalizePath() before it")
                    .at_if_known(&location));
                }
                limit.routes = Some(dispatcher.clone());
            }
            if matches!(spec, LayerSpec::NormalizePath(_)) {
                normalizers -= 1;
                outside.normalize = true;
            }
            if let LayerSpec::Metrics(metrics) = &mut spec {
                metrics.routes = Some(dispatcher.clone());
                metrics.python_entries = Some(attach::counts);
            }
            exports.extend(exports_of(&spec));
            has_claims |= Claims::are_found_by(spec.name());
            built.push(spec.build().map_err(|error| error.at_if_known(&location))?);
        }
        check_order(&built.iter().collect::<Vec<_>>()).map_err(|error| error.at_if_known(&location))?;
        for Declaration { around, may_be_kept, location } in &arounds {
            let of_app = built.iter().filter(|layer| !around.skips.iter().any(|skipped| *skipped == layer.name()));
            check_order_around(&of_app.collect::<Vec<_>>(), &around.layers, *may_be_kept)
                .map_err(|error| error.at_if_known(location))?;
        }
        let handle = |layer: &BuiltLayer| layer.handle().cloned();
        // What every app has and this one did not name is not among those that were given, which keep their order.
        let of_app = built.iter().filter(|layer| given.iter().any(|name| name == layer.name()));
        let handles = [of_app.map(handle).collect(), made.iter().map(handle).collect()];
        let mut passed = Vec::with_capacity(built.len());
        for (name, layer) in shown::layers(debug, live.as_ref(), &built, &dispatcher)? {
            passed.push(Passed { name: name.to_owned(), scope: None });
            builder = builder.wrap(name, layer);
        }
        for layer in built {
            match layer.name() {
                "BodyLimit" => outside.limit = None,
                "NormalizePath" => outside.normalize = false,
                _ => {}
            }
            let name = layer.name().to_owned();
            let in_python = middleware.iter().find(|middleware| middleware.layer.is_same(&layer));
            passed.push(Passed { name: name.clone(), scope: in_python.map(|python| python.settings.scope.clone()) });
            builder = match in_python {
                Some(python) => builder.layer(
                    name,
                    PyMiddlewareLayer::around(python.settings.clone(), dispatcher.clone(), outside.clone()),
                ),
                None => builder.wrap(name, move |route| layer.apply(route)),
            };
        }
        let of_routes = middleware.iter().map(|middleware| middleware.settings.name.clone()).collect();
        let stack = builder.build(dispatcher)?;
        let resources = resources.into_iter().map(|(resource, _)| resource).collect();
        let built =
            Built { stack, shared, documents, store, resources, rows, exports, handles, layers: passed, of_routes };
        if let Some(live) = live {
            live.begin(built.shared.clone(), listed::towers(&built, &live));
        }
        Ok(built)
    }
}

/// The store for a model that is to be `done`: served or kept.
fn needed<'s>(
    store: Option<&'s AnyStore>,
    schema: &Schema,
    done: &str,
    location: &str,
) -> Result<&'s AnyStore, ConfigError> {
    store.ok_or_else(|| {
        ConfigError::new(format!("{} is to be {done}, but the app has no store", schema.name))
            .cure("give one, as Ziggurat(store=\"sqlite:///app.db\")")
            .at_if_known(location)
    })
}

/// A collection that cannot be opened, and how to see why.
async fn refused(error: OpenError, store: &AnyStore, schema: &Arc<Schema>, target: &Target) -> ConfigError {
    match error {
        OpenError::Config(error) => migrate::explained(error, store, schema, target).await,
        other => config(other),
    }
}

/// A store that cannot be opened is a mistake at start-up, whatever its cause.
fn config(error: OpenError) -> ConfigError {
    match error {
        OpenError::Config(error) => error,
        OpenError::Store(error) => ConfigError::new(error.to_string()),
    }
}
