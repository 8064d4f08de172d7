//! From what Python declared to a frozen stack.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method};
use pyo3::prelude::*;
use tower::service_fn;

use super::migrate::{self, Migrate, Target};
use super::settings::{AppSettings, CrudSettings, NativeSettings, parse};
use super::unreached;

use crate::crud::schema::DefaultValue;
use crate::crud::store::{AnyCollection, AnyStore};
use crate::crud::{Op, OpenError, Policy, References, Resource, ResourceOptions, Rows, Schema, Store, openapi_of};
use crate::layers::{BuiltLayer, LayerSpec, RequireAuth, check_order, foundation};
use crate::python::attach;
use crate::python::handler::{Callable, Plan, PyHandlerService, SyncPool};
use crate::python::hooks::{Hook, Surrounding};
use crate::python::middleware::{Leaves, MiddlewareSettings, PyMiddlewareLayer, Scope};
use crate::python::objects::{Objects, Shared};
use crate::service::{
    Claims, Dispatcher, ErrorFormat, Leaf, LeafInfo, LeafKind, Request, Requirement, Response, Route,
    RouteTableBuilder, Stack,
};
use crate::{Body, ConfigError};

/// What was declared so far.
pub(super) struct Draft {
    store: Option<String>,
    layers: Vec<LayerSpec>,
    location: String,
    sync_threads: usize,
    migrate: Migrate,
    target: Target,
    routes: Vec<Declared>,
    resources: Vec<(Resource, String)>,
    /// Layers that routes ask for by their place here.
    made: Vec<BuiltLayer>,
    /// What routes have of layers, and where they were declared: for the order of all that a request passes.
    arounds: Vec<(Around, String)>,
    /// Models whose rows are kept without being served.
    kept: Vec<(Arc<Schema>, String)>,
    middleware: Vec<(String, Option<Vec<String>>)>,
    /// What bodies may have at some paths, whatever the layers of the app say of all.
    body_limits: Vec<(String, usize)>,
    pub(super) objects: Objects,
    /// For hooks.
    surrounding: Surrounding,
}

/// What a route has of layers beside those of the app.
#[derive(Clone, Default)]
struct Around {
    /// Outermost first.
    layers: Vec<BuiltLayer>,
    /// Names of the app's that it does not pass.
    skips: Vec<String>,
}

enum Declared {
    Handler {
        method: Option<Method>,
        path: String,
        plan: Arc<Plan>,
        handler: usize,
        around: Around,
    },
    Document {
        path: String,
        content_type: HeaderValue,
        body: Bytes,
    },
    Native {
        method: Option<Method>,
        path: String,
        name: String,
        route: Route,
        declared: NativeSettings,
        around: Around,
    },
}

/// What serves.
pub(super) struct Built {
    pub(super) stack: Stack,
    pub(super) shared: Arc<Shared>,
    pub(super) store: Option<AnyStore>,
    /// The rows of every model, by its name.
    pub(super) rows: HashMap<String, Rows<AnyCollection>>,
    middleware: Vec<(String, Scope)>,
}

impl Draft {
    pub(super) fn new(settings: &str) -> Result<Self, ConfigError> {
        let settings: AppSettings<'_> = parse(settings, "app settings")?;
        let layers =
            LayerSpec::list_from_json(settings.layers.get()).map_err(|error| error.at_if_known(&settings.location))?;
        let migrate = settings.migrate.as_deref().map(str::parse).transpose();
        Ok(Self {
            migrate: migrate.map_err(|error: ConfigError| error.at_if_known(&settings.location))?.unwrap_or_default(),
            target: Target(settings.target),
            store: settings.store,
            layers,
            sync_threads: settings.sync_threads.unwrap_or_else(SyncPool::default_threads),
            location: settings.location,
            routes: Vec::new(),
            resources: Vec::new(),
            made: Vec::new(),
            arounds: Vec::new(),
            kept: Vec::new(),
            middleware: Vec::new(),
            body_limits: Vec::new(),
            objects: Objects::default(),
            surrounding: Surrounding::default(),
        })
    }

    /// Makes a layer for routes to ask for; routes that ask for the same share what it keeps, as the counts of a limit.
    pub(super) fn add_layer(&mut self, spec: &str, location: &str) -> Result<usize, ConfigError> {
        let layer = LayerSpec::from_json(spec).and_then(LayerSpec::build);
        self.made.push(layer.map_err(|error| error.at_if_known(location))?);
        Ok(self.made.len() - 1)
    }

    /// The layers with these places, and the names of others that are skipped.
    fn around(&mut self, layers: &[usize], skips: Vec<String>, location: &str) -> Around {
        let around =
            Around { layers: layers.iter().filter_map(|index| self.made.get(*index).cloned()).collect(), skips };
        if !around.layers.is_empty() {
            self.arounds.push((around.clone(), location.to_owned()));
        }
        around
    }

    pub(super) fn add_handler(
        &mut self,
        method: Option<Method>,
        path: &str,
        plan: Arc<Plan>,
        callable: Callable,
        (layers, skips): (&[usize], Vec<String>),
    ) -> Result<(), ConfigError> {
        let around = self.around(layers, skips, &plan.location);
        if plan.auth.is_some() {
            self.check_auth(&plan.name, &around, &plan.location)?;
        }
        let handler = self.objects.handlers.len();
        self.objects.handlers.push(callable);
        self.routes.push(Declared::Handler { method, path: path.to_owned(), plan, handler, around });
        Ok(())
    }

    pub(super) fn add_document(&mut self, path: &str, content_type: HeaderValue, body: Bytes) {
        self.routes.push(Declared::Document { path: path.to_owned(), content_type, body });
    }

    /// Mounts a handler that somebody else has written in Rust.
    pub(super) fn add_native(
        &mut self,
        method: Option<Method>,
        path: &str,
        (name, route): (String, Route),
        settings: &str,
    ) -> Result<(), ConfigError> {
        let declared: NativeSettings = parse(settings, "settings of a native route")?;
        let around = self.around(&declared.layers, declared.skip_layers.clone(), &declared.location);
        if declared.auth.is_some() {
            self.check_auth(&name, &around, &declared.location)?;
        }
        self.routes.push(Declared::Native { method, path: path.to_owned(), name, route, declared, around });
        Ok(())
    }

    pub(super) fn add_middleware(&mut self, function: Py<PyAny>, name: String, paths: Option<Vec<String>>) {
        self.objects.middleware.push(function);
        self.middleware.push((name, paths));
    }

    pub(super) fn add_crud(
        &mut self,
        description: &str,
        options: &str,
        hooks: Option<Py<PyAny>>,
    ) -> Result<(), ConfigError> {
        let given: CrudSettings<'_> = parse(options, "CRUD settings")?;
        let schema = Schema::from_description(description).map_err(|error| error.at_if_known(&given.location))?;
        self.check_shard_key(&schema, &given.location)?;
        let around = self.around(&given.layers, given.skip_layers, &given.location);
        let ops = |names: &[String]| names.iter().map(|op| op.parse()).collect::<Result<Vec<Op>, _>>();
        let errors: ErrorFormat =
            given.errors.parse().map_err(|error: ConfigError| error.at_if_known(&given.location))?;
        let mut options = ResourceOptions::new()
            .errors(errors)
            .path(given.path)
            .ops(ops(&given.ops)?)
            .public(ops(&given.public)?)
            .client_id(given.client_id)
            .page_size(given.default_limit, given.max_limit)
            .max_affected(given.max_affected)
            .gone(given.gone)
            .dimensions(given.dimensions)
            .measures(given.measures)
            .unindexed(given.unindexed.parse().map_err(|error: ConfigError| error.at_if_known(&given.location))?)
            .offset(given.offset)
            .envelope(given.envelope)
            .upsert(given.upsert)
            .bulk(given.bulk)
            .idempotency(given.idempotency)
            .concurrency(given.concurrency.parse().map_err(|error: ConfigError| error.at_if_known(&given.location))?)
            .coerce(given.coerce.parse().map_err(|error: ConfigError| error.at_if_known(&given.location))?)
            .at(given.location.clone());
        if let Some(bytes) = given.body_limit {
            options = options.body_limit(bytes);
        }
        if let Some(control) = given.cache {
            options = options.cache(control);
        }
        if let Some(names) = given.filterable {
            options = options.filterable(names);
        }
        if let Some(names) = given.sortable {
            options = options.sortable(names);
        }
        if let Some(policy) = given.policy {
            let policy =
                Policy::from_description(&schema, policy.get()).map_err(|error| error.at_if_known(&given.location))?;
            if policy.uses_claims() {
                self.check_auth(&format!("the policy of {}", schema.name), &around, &given.location)?;
            }
            options = options.policy(policy);
        }
        if schema.fields.iter().any(|field| matches!(field.default, Some(DefaultValue::Claim(_)))) {
            self.check_auth(&format!("{}, which takes a field from a claim,", schema.name), &around, &given.location)?;
        }
        for (op, requirements) in given.auth {
            let Some(requirements) = requirements else { continue };
            self.check_auth(&schema.name, &around, &given.location)?;
            let guard = guard_of(&requirements).errors(errors);
            let op = op.parse()?;
            options = options.asks(op, requirements);
            options = options.guard(op, guard_name(&guard), move |route| route.layer(guard.clone()));
        }
        for layer in around.layers {
            options = options.layer(layer.name().to_owned(), move |route| layer.apply(route));
        }
        options = options.skip(around.skips).closed(given.closed);
        for (op, members) in &given.read_from {
            let members = members.parse().map_err(|error: ConfigError| error.at_if_known(&given.location))?;
            options = options.read_from(op.parse()?, members);
        }
        for name in &given.hooks {
            options = self.add_hook(options, &given.hooks_of, name)?;
        }
        self.objects.hooks.extend(hooks);
        let resource = Resource::new(Arc::new(schema), options);
        resource.check()?;
        if let Some(bytes) = given.body_limit {
            self.body_limits.push((resource.path().to_owned(), bytes));
            self.body_limits.push((resource.item_path(), bytes));
        }
        if resource.ops().any(|op| op == Op::Import) {
            self.body_limits.push((resource.path_of(Op::Import), given.import_limit));
        }
        self.resources.push((resource, given.location));
        Ok(())
    }

    /// Adds the hook of this name, as `before_create`, of the resource whose hooks come next among the objects.
    fn add_hook(&self, options: ResourceOptions, class: &str, name: &str) -> Result<ResourceOptions, ConfigError> {
        let Some((when, op)) = name.split_once('_') else {
            return Err(ConfigError::new(format!("{class}.{name} is not a hook")));
        };
        let op = op.parse()?;
        let hook = Hook {
            index: self.objects.hooks.len(),
            name: format!("{class}.{name}").into(),
            surrounding: self.surrounding.clone(),
        };
        let shown = hook.name.to_string();
        Ok(match when {
            "before" => options.before(op, shown, move |event| hook.clone().before(event)),
            _ => options.after(op, shown, move |event| hook.after(event)),
        })
    }

    /// Keeps the rows of a model without serving them.
    pub(super) fn keep(&mut self, description: &str, location: String) -> Result<(), ConfigError> {
        let schema = Schema::from_description(description).map_err(|error| error.at_if_known(&location))?;
        self.check_shard_key(&schema, &location)?;
        self.kept.push((Arc::new(schema), location));
        Ok(())
    }

    /// The rows of a model are in one place, whoever asks for them.
    fn check_shard_key(&self, schema: &Schema, location: &str) -> Result<(), ConfigError> {
        let served = self.resources.iter().map(|(resource, _)| resource.schema());
        let kept = self.kept.iter().map(|(schema, _)| schema);
        match served.chain(kept).find(|other| other.name == schema.name) {
            Some(other) if other.shard_key() != schema.shard_key() => {
                let error =
                    ConfigError::new(format!("{} is served or kept twice, with different shard keys", schema.name));
                Err(error.cure("give the same shard_key to each crud() and keep() of it").at_if_known(location))
            }
            _ => Ok(()),
        }
    }

    fn check_auth(&self, name: &str, around: &Around, location: &str) -> Result<(), ConfigError> {
        let is_skipped = |layer: &str| around.skips.iter().any(|skipped| skipped == layer);
        let of_app = self.layers.iter().any(|layer| Claims::are_found_by(layer.name()) && !is_skipped(layer.name()));
        if of_app || around.layers.iter().any(|layer| Claims::are_found_by(layer.name())) {
            return Ok(());
        }
        Err(ConfigError::new(format!("{name} asks who the caller is, but no layer finds that out"))
            .cure("add layers.Jwt(...), ApiKey(...) or Basic(...) to the app's layers")
            .at_if_known(location))
    }

    pub(super) fn crud_openapi(&self) -> String {
        openapi_of(self.resources.iter().map(|(resource, _)| resource)).to_string()
    }

    /// The method and path of every CRUD operation that changes rows for anybody who asks.
    pub(super) fn open_writes(&self) -> Vec<(String, String)> {
        let of = |resource: &Resource| -> Vec<_> {
            resource.open_writes().map(|op| (op.method().to_string(), resource.path_of(op))).collect()
        };
        self.resources.iter().flat_map(|(resource, _)| of(resource)).collect()
    }

    /// Everything that can fail fails here, before the first request.
    ///
    /// It runs detached, so `objects` were taken out of the draft before and are its caller's to release.
    pub(super) async fn build(self, objects: &Arc<Objects>) -> Result<Built, ConfigError> {
        let Self {
            store,
            layers,
            location,
            sync_threads,
            migrate,
            target,
            routes,
            resources,
            made: _,
            arounds,
            kept,
            middleware,
            body_limits,
            objects: _,
            surrounding,
        } = self;
        let shared = Shared::new(sync_threads);
        // It is set once: a draft is built once.
        let _ = surrounding.set((Arc::downgrade(objects), shared.clone()));
        let mut table = RouteTableBuilder::new();
        for route in routes {
            match route {
                Declared::Handler { method, path, plan, handler, around } => {
                    let service = PyHandlerService::new(plan.clone(), handler, Arc::downgrade(objects), shared.clone());
                    let leaf =
                        Leaf::new(plan.name.clone(), LeafKind::Python, Route::new(service)).at(plan.location.clone());
                    table.add(method, &path, surrounded(leaf, plan.auth.as_deref(), around))?;
                }
                Declared::Native { method, path, name, route, declared, around } => {
                    let leaf = Leaf::new(name, LeafKind::Native, route).at(declared.location);
                    table.add(method, &path, surrounded(leaf, declared.auth.as_deref(), around))?;
                }
                Declared::Document { path, content_type, body } => {
                    table.add(Some(Method::GET), &path, document(&path, content_type, body))?;
                }
            }
        }
        let mut references = References::new();
        resources.iter().map(|(resource, _)| resource.schema()).for_each(|schema| references.mention(schema));
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
        let dispatcher = Dispatcher::new(table.build()?);
        unreached::check(&layers, dispatcher.table())?;
        let leaves = Leaves(dispatcher.clone());
        let mut builder = Stack::builder();
        let mut built = Vec::new();
        let mut has_claims = false;
        for mut spec in foundation(layers) {
            if let LayerSpec::BodyLimit(limit) = &mut spec {
                for (path, bytes) in &body_limits {
                    limit.at.entry(path.clone()).or_insert(*bytes);
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
                limit.routes = Some(dispatcher.clone());
            }
            if let LayerSpec::Metrics(metrics) = &mut spec {
                metrics.routes = Some(dispatcher.clone());
                metrics.python_entries = Some(attach::counts);
            }
            has_claims |= Claims::are_found_by(spec.name());
            built.push(spec.build().map_err(|error| error.at_if_known(&location))?);
        }
        check_order(&built.iter().collect::<Vec<_>>()).map_err(|error| error.at_if_known(&location))?;
        for (around, location) in &arounds {
            let of_app = built.iter().filter(|layer| !around.skips.iter().any(|skipped| *skipped == layer.name()));
            check_order(&of_app.chain(&around.layers).collect::<Vec<_>>())
                .map_err(|error| error.at_if_known(location))?;
        }
        for layer in built {
            builder = builder.wrap(layer.name().to_owned(), move |route| layer.apply(route));
        }
        let mut wrapped = Vec::with_capacity(middleware.len());
        for (index, (name, paths)) in middleware.into_iter().enumerate() {
            let scope = Scope::new(paths);
            let settings = MiddlewareSettings {
                name: name.clone(),
                index,
                scope: scope.clone(),
                objects: Arc::downgrade(objects),
                shared: shared.clone(),
                leaves: leaves.clone(),
            };
            builder = builder.layer(name.clone(), PyMiddlewareLayer(Arc::new(settings)));
            wrapped.push((name, scope));
        }
        let stack = builder.build(dispatcher)?;
        Ok(Built { stack, shared, store, rows, middleware: wrapped })
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

fn guard_of(requirements: &[Requirement]) -> RequireAuth {
    requirements.iter().cloned().fold(RequireAuth::new(), RequireAuth::require)
}

/// `RequireAuth`, with what it asks for.
fn guard_name(guard: &RequireAuth) -> String {
    match guard.to_string() {
        asked if asked.is_empty() => "RequireAuth".to_owned(),
        asked => format!("RequireAuth({asked})"),
    }
}

/// A leaf with its guard, and outside of that the layers around it.
fn surrounded(mut leaf: Leaf, auth: Option<&[Requirement]>, around: Around) -> Leaf {
    if let Some(requirements) = auth {
        let guard = guard_of(requirements);
        leaf = leaf.layer(guard_name(&guard), |route| route.layer(guard));
    }
    for layer in around.layers.iter().rev() {
        leaf = leaf.layer(layer.name(), |route| layer.apply(route));
    }
    leaf.skip(around.skips)
}

/// A fixed answer.
fn document(name: &str, content_type: HeaderValue, body: Bytes) -> Leaf {
    let service = service_fn(move |_: Request| {
        let mut response = Response::new(Body::from(body.clone()));
        response.headers_mut().insert(CONTENT_TYPE, content_type.clone());
        std::future::ready(Ok::<_, Infallible>(response))
    });
    Leaf::new(name, LeafKind::Native, Route::new(service))
}

impl Built {
    /// The middleware that wraps `leaf`; without a concrete path, that may wrap it.
    pub(super) fn wrapping<'a>(&'a self, leaf: &'a LeafInfo, path: Option<&'a str>) -> impl Iterator<Item = &'a str> {
        let wraps = move |scope: &Scope| match path {
            Some(path) => scope.holds(path),
            None => scope.may_hold(&leaf.path),
        };
        self.middleware.iter().filter(move |(_, scope)| wraps(scope)).map(|(name, _)| &**name)
    }

    /// What a request to `leaf` passes, outermost first and the leaf last, and which of it is written in Python.
    pub(super) fn passes<'a>(
        &'a self,
        leaf: &'a LeafInfo,
        path: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a str, bool)> {
        // Middleware is innermost in the stack.
        let native = self.stack.layers().len() - self.middleware.len();
        let around = self.stack.layers()[..native].iter().filter(|name| !leaf.skips.contains(name));
        let layers = around.map(|name| (&**name, false));
        layers
            .chain(self.wrapping(leaf, path).map(|name| (name, true)))
            .chain(leaf.layers.iter().map(|name| (&**name, false)))
            .chain(leaf.hooks.iter().map(|name| (&**name, true)))
            .chain(std::iter::once((&*leaf.name, leaf.kind == LeafKind::Python)))
    }
}
