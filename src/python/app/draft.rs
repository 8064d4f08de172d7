//! What Python declares of an app, before it is built.

use std::sync::{Arc, OnceLock};

use http::{HeaderValue, Method};
use pyo3::prelude::*;
use serde_json::value::RawValue;

use super::built::Built;
use super::migrate::{Migrate, Target};
use super::settings::{AppSettings, NativeSettings, parse};
use crate::ConfigError;
use crate::crud::{Resource, Schema};
use crate::layers::otel::OtelHandle;
use crate::layers::{BuiltLayer, LayerSpec};
use crate::python::asgi::AsgiApp;
use crate::python::catch::{CatchLayer, Rules};
use crate::python::handler::{Callable, Plan, SyncPool};
use crate::python::hooks::Surrounding;
use crate::python::middleware::{MiddlewareSettings, PyMiddlewareLayer, Scope};
use crate::python::objects::Objects;
use crate::python::pages::{Document, Live, Page};
use crate::python::websocket;
use crate::service::{Claims, PathTemplate, Route, Stack};

/// What was declared so far.
pub(super) struct Draft {
    pub(super) store: Option<String>,
    pub(super) layers: Vec<LayerSpec>,
    pub(super) location: String,
    pub(super) sync_threads: usize,
    pub(super) migrate: Migrate,
    pub(super) target: Target,
    /// Whether it is being developed.
    pub(super) debug: bool,
    pub(super) live: Option<Arc<Live>>,
    /// What describes it, and the apps that are mounted in it.
    pub(super) documents: Vec<Arc<Document>>,
    pub(super) routes: Vec<Declared>,
    pub(super) resources: Vec<(Resource, String)>,
    /// Layers that routes ask for by their place here.
    pub(super) made: Vec<BuiltLayer>,
    /// What of them is to be flushed.
    pub(super) exports: Vec<Arc<OnceLock<OtelHandle>>>,
    /// What routes have of layers: for the order of all that a request passes.
    pub(super) arounds: Vec<Declaration>,
    /// Models whose rows are kept without being served.
    pub(super) kept: Vec<(Arc<Schema>, String)>,
    pub(super) middleware: Vec<Middleware>,
    /// What bodies may have at some paths, whatever the layers of the app say of all.
    pub(super) body_limits: Vec<(String, usize)>,
    /// Of the app's catchers, which problems each is offered.
    pub(super) rules: Vec<Arc<Rules>>,
    /// The one for requests that no route is for.
    pub(super) on_refusal: Option<usize>,
    pub(super) objects: Objects,
    /// For hooks.
    pub(super) surrounding: Surrounding,
}

/// A middleware, which may stand among the layers of the app or around routes.
pub(super) struct Middleware {
    pub(super) settings: Arc<MiddlewareSettings>,
    /// As it stands around a route.
    pub(super) layer: BuiltLayer,
}

/// What a route has of layers beside those of the app.
#[derive(Clone, Default)]
pub(super) struct Around {
    /// Outermost first.
    pub(super) layers: Vec<BuiltLayer>,
    /// Names of the app's that it does not pass.
    pub(super) skips: Vec<String>,
}

/// Layers as a route declares them.
pub(super) struct Declaration {
    pub(super) around: Around,
    /// Whether an answer of the route could be kept: only one to GET is, and no handshake.
    pub(super) may_be_kept: bool,
    pub(super) location: String,
}

pub(super) enum Declared {
    Handler {
        method: Option<Method>,
        path: String,
        plan: Arc<Plan>,
        handler: usize,
        around: Around,
    },
    WebSocket {
        path: String,
        plan: Arc<Plan>,
        handler: usize,
        settings: Arc<websocket::Settings>,
        around: Around,
    },
    /// Something whole at and below a path.
    Mounted {
        path: String,
        name: String,
        inside: Inside,
        declared: NativeSettings,
        around: Around,
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

impl Declared {
    /// The place of its handlers of exceptions.
    pub(super) fn catch(&self) -> Option<usize> {
        match self {
            Self::Handler { plan, .. } | Self::WebSocket { plan, .. } => plan.catch,
            Self::Native { declared, .. } => declared.catch,
            Self::Mounted { .. } => None,
        }
    }
}

/// What is mounted.
pub(super) enum Inside {
    /// Another app.
    Stack(Stack),
    /// An application of another framework, by its place among the objects, and what is said of its WebSockets.
    Asgi(usize, Arc<websocket::Settings>),
}

/// Whether a route of this method, or of all, answers GET.
pub(super) fn is_read(method: Option<&Method>) -> bool {
    method.is_none_or(|method| [Method::GET, Method::HEAD].contains(method))
}

/// What a layer has to be told of when the app stops.
pub(super) fn exports_of(spec: &LayerSpec) -> Option<Arc<OnceLock<OtelHandle>>> {
    match spec {
        LayerSpec::Otel(otel) => Some(otel.handle.clone()),
        _ => None,
    }
}

impl Draft {
    pub(super) fn new(settings: &str) -> Result<Self, ConfigError> {
        let settings: AppSettings = parse(settings, "app settings")?;
        let objects = Objects::default();
        let _ = objects.forms.set(Arc::new(settings.forms.unwrap_or_default()));
        let migrate = settings.migrate.as_deref().map(str::parse).transpose();
        Ok(Self {
            migrate: migrate.map_err(|error: ConfigError| error.at_if_known(&settings.location))?.unwrap_or_default(),
            target: Target(settings.target),
            debug: settings.debug,
            live: None,
            documents: Vec::new(),
            store: settings.store,
            layers: Vec::new(),
            sync_threads: settings.sync_threads.unwrap_or_else(SyncPool::default_threads),
            location: settings.location,
            routes: Vec::new(),
            resources: Vec::new(),
            made: Vec::new(),
            exports: Vec::new(),
            arounds: Vec::new(),
            kept: Vec::new(),
            middleware: Vec::new(),
            body_limits: Vec::new(),
            rules: Vec::new(),
            on_refusal: None,
            objects,
            surrounding: Surrounding::default(),
        })
    }

    /// Sets the layers of the app, outermost first: each a description, or the place of a middleware.
    pub(super) fn use_layers(&mut self, layers: &str) -> Result<(), ConfigError> {
        let given: Vec<&RawValue> = parse(layers, "layers")?;
        let specs = given.into_iter().map(|layer| match layer.get().parse().ok() {
            None => LayerSpec::from_json(layer.get()),
            Some(place) => match self.made.get::<usize>(place) {
                Some(layer) => Ok(LayerSpec::Registered(layer.clone())),
                None => Err(ConfigError::new(format!("there is no layer {place}"))),
            },
        });
        let specs: Result<Vec<_>, _> = specs.collect();
        self.layers = specs.map_err(|error| error.at_if_known(&self.location))?;
        Ok(())
    }

    /// Makes a layer for routes to ask for; routes that ask for the same share what it keeps, as the counts of a limit.
    pub(super) fn add_layer(&mut self, spec: &str, location: &str) -> Result<usize, ConfigError> {
        let spec = LayerSpec::from_json(spec).inspect(|spec| self.exports.extend(exports_of(spec)));
        let layer = spec.and_then(LayerSpec::build);
        self.made.push(layer.map_err(|error| error.at_if_known(location))?);
        Ok(self.made.len() - 1)
    }

    /// The layers with these places, and the names of others that are skipped.
    pub(super) fn around(&mut self, layers: &[usize], skips: Vec<String>, may_be_kept: bool, location: &str) -> Around {
        let around =
            Around { layers: layers.iter().filter_map(|index| self.made.get(*index).cloned()).collect(), skips };
        if !around.layers.is_empty() {
            self.arounds.push(Declaration { around: around.clone(), may_be_kept, location: location.to_owned() });
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
        let around = self.around(layers, skips, is_read(method.as_ref()), &plan.location);
        if plan.auth.is_some() {
            self.check_auth(&plan.name, &around, &plan.location)?;
        }
        if let Some(most) = plan.max_body {
            self.body_limits.push((PathTemplate::parse(path)?.shape().to_owned(), most));
        }
        let handler = self.objects.handlers.len();
        self.objects.handlers.push(callable);
        self.routes.push(Declared::Handler { method, path: path.to_owned(), plan, handler, around });
        Ok(())
    }

    /// Keeps what a hook takes beside the context and the row; gives its place among the handlers.
    pub(super) fn add_hook_plan(&mut self, callable: Callable) -> usize {
        self.objects.handlers.push(callable);
        self.objects.handlers.len() - 1
    }

    pub(super) fn add_websocket(
        &mut self,
        path: &str,
        plan: Arc<Plan>,
        callable: Callable,
        settings: websocket::Settings,
        (layers, skips): (&[usize], Vec<String>),
    ) -> Result<(), ConfigError> {
        let around = self.around(layers, skips, false, &plan.location);
        if plan.auth.is_some() {
            self.check_auth(&plan.name, &around, &plan.location)?;
        }
        let handler = self.objects.handlers.len();
        self.objects.handlers.push(callable);
        let settings = Arc::new(settings);
        self.routes.push(Declared::WebSocket { path: path.to_owned(), plan, handler, settings, around });
        Ok(())
    }

    /// Mounts a page that shows the app, and the files of which it is made.
    pub(super) fn add_page(
        &mut self,
        (path, files): (&str, &str),
        page: Page,
        settings: &str,
    ) -> Result<(), ConfigError> {
        let mut add = |path: &str, route| self.add_native(Some(Method::GET), path, (path.to_owned(), route), settings);
        add(path, page.page)?;
        add(files, page.files)
    }

    /// Mounts a text that Python makes later.
    pub(super) fn add_document(
        &mut self,
        path: &str,
        content_type: HeaderValue,
        make: Py<PyAny>,
        settings: &str,
    ) -> Result<(), ConfigError> {
        let document = Document::new(content_type, self.objects.documents.len(), self.surrounding.clone());
        self.objects.documents.push(make);
        let route = document.route();
        self.documents.push(document);
        self.add_native(Some(Method::GET), path, (path.to_owned(), route), settings)
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
        let may_be_kept = is_read(method.as_ref());
        let around = self.around(&declared.layers, declared.skip_layers.clone(), may_be_kept, &declared.location);
        if declared.auth.is_some() {
            self.check_auth(&name, &around, &declared.location)?;
        }
        self.routes.push(Declared::Native { method, path: path.to_owned(), name, route, declared, around });
        Ok(())
    }

    /// Mounts another app at and below a path.
    pub(super) fn add_app(&mut self, path: &str, name: &str, app: &Built, settings: &str) -> Result<(), ConfigError> {
        self.documents.extend(app.documents.iter().cloned());
        self.mount(path, name, Inside::Stack(app.stack.clone()), settings)
    }

    /// Mounts an application of another framework at and below a path.
    pub(super) fn add_asgi(
        &mut self,
        path: &str,
        app: AsgiApp,
        settings: &str,
        sockets: websocket::Settings,
    ) -> Result<(), ConfigError> {
        let name = app.name.clone();
        self.objects.apps.push(app);
        self.mount(path, &name, Inside::Asgi(self.objects.apps.len() - 1, Arc::new(sockets)), settings)
    }

    fn mount(&mut self, path: &str, name: &str, inside: Inside, settings: &str) -> Result<(), ConfigError> {
        let declared: NativeSettings = parse(settings, "settings of a mounted app")?;
        let around = self.around(&declared.layers, declared.skip_layers.clone(), true, &declared.location);
        if declared.auth.is_some() {
            self.check_auth(name, &around, &declared.location)?;
        }
        self.routes.push(Declared::Mounted { path: path.to_owned(), name: name.to_owned(), inside, declared, around });
        Ok(())
    }

    /// Makes a layer of a middleware, for the app or for routes to ask for.
    pub(super) fn add_middleware(
        &mut self,
        function: Py<PyAny>,
        name: String,
        paths: Option<Vec<String>>,
        location: &str,
    ) -> Result<usize, ConfigError> {
        if LayerSpec::is_known(&name) {
            return Err(ConfigError::new(format!("the middleware {name} is called as a layer of Ziggurat"))
                .cure("give it another name")
                .at_if_known(location));
        }
        let settings = Arc::new(MiddlewareSettings {
            name: name.clone(),
            index: self.objects.middleware.len(),
            scope: Scope::new(paths),
            surrounding: self.surrounding.clone(),
        });
        self.objects.middleware.push(function);
        let layer = BuiltLayer::new(name, PyMiddlewareLayer::of_route(settings.clone()));
        self.made.push(layer.clone());
        self.middleware.push(Middleware { settings, layer });
        Ok(self.made.len() - 1)
    }

    /// Adds handlers of exceptions, for routes to name by the place that this gives; `statuses` are those of problems that they may
    /// answer, None for all.
    pub(super) fn add_catcher(&mut self, catcher: Py<PyAny>, statuses: Option<Vec<u16>>) -> usize {
        let index = self.objects.catchers.len();
        self.objects.catchers.push(catcher);
        self.rules.push(Arc::new(Rules { index, statuses, surrounding: self.surrounding.clone() }));
        index
    }

    /// The layer for a route with these handlers of exceptions, unless there is nothing to offer them.
    pub(super) fn catch_layer(&self, index: Option<usize>) -> Option<CatchLayer> {
        let rules = self.rules.get(index?)?;
        rules.statuses.as_ref().is_none_or(|some| !some.is_empty()).then(|| CatchLayer::new(rules.clone()))
    }

    /// The same for a resource whose hooks may raise exceptions.
    pub(super) fn catch_layer_of_hooks(&self, index: Option<usize>) -> Option<CatchLayer> {
        self.rules.get(index?).map(|rules| CatchLayer::new(rules.clone()).of_hooks())
    }

    /// Keeps the rows of a model without serving them.
    pub(super) fn keep(&mut self, description: &str, location: String) -> Result<(), ConfigError> {
        let schema = Schema::from_description(description).map_err(|error| error.at_if_known(&location))?;
        self.check_shard_key(&schema, &location)?;
        self.kept.push((Arc::new(schema), location));
        Ok(())
    }

    /// The rows of a model are in one place, whoever asks for them.
    pub(super) fn check_shard_key(&self, schema: &Schema, location: &str) -> Result<(), ConfigError> {
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

    pub(super) fn check_auth(&self, name: &str, around: &Around, location: &str) -> Result<(), ConfigError> {
        let is_skipped = |layer: &str| around.skips.iter().any(|skipped| skipped == layer);
        let of_app = self.layers.iter().any(|layer| Claims::are_found_by(layer.name()) && !is_skipped(layer.name()));
        if of_app || around.layers.iter().any(|layer| Claims::are_found_by(layer.name())) {
            return Ok(());
        }
        Err(ConfigError::new(format!("{name} asks who the caller is, but no layer finds that out"))
            .cure("add layers.Jwt(...), ApiKey(...) or Basic(...) to the app's layers")
            .at_if_known(location))
    }

    /// The method and path of every CRUD operation that changes rows for anybody who asks.
    pub(super) fn open_writes(&self) -> Vec<(String, String)> {
        let of = |resource: &Resource| -> Vec<_> {
            resource.open_writes().map(|op| (op.method().to_string(), resource.path_of(op))).collect()
        };
        self.resources.iter().flat_map(|(resource, _)| of(resource)).collect()
    }
}
