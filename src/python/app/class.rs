//! `_ziggurat.App`: what Python calls on it, handed to what does it.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use http::{HeaderValue, Method};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use pyo3::types::PyDict;
use tokio::runtime::Handle;

use super::built::Built;
use super::draft::Draft;
use super::in_process::{self, Answer, Here, Sent};
use super::runtime::runtime;
use super::serving::{self, Serving};
use super::{ending, listed, settings};
use crate::ConfigError;
use crate::crud::Store;
use crate::python::asgi::AsgiApp;
use crate::python::bridge::EventLoop;
use crate::python::errors::config_error;
use crate::python::extension::NativeService;
use crate::python::handler::{Callable, Plan};
use crate::python::layer_handle::LayerHandle;
use crate::python::objects::Objects;
use crate::python::pyloop::LoopCore;
use crate::python::rows::Rows;
use crate::python::{attach, context, convert, pages, websocket};
use crate::service::LeafKind;

/// An application as the native side sees it.
#[pyclass(frozen, module = "ziggurat._ziggurat")]
pub(in crate::python) struct App {
    draft: Mutex<Option<Draft>>,
    built: OnceLock<Built>,
    /// The one strong reference to the app's Python objects once it is built.
    objects: Mutex<Option<Arc<Objects>>>,
    serving: Mutex<Option<Serving>>,
    /// The runtime on the loop's thread, when that serves.
    local: Mutex<Option<Handle>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl App {
    pub(super) fn built(&self) -> PyResult<&Built> {
        self.built.get().ok_or_else(|| PyRuntimeError::new_err("the app is not built yet"))
    }

    /// Has the app described once it has time for that.
    pub(super) fn make_documents(&self) -> PyResult<()> {
        let built = self.built()?;
        pages::make_when_quiet(built.documents.clone(), &built.shared, runtime()?.handle());
        Ok(())
    }

    /// Where connections are served: on the loop's thread, or by the workers of the runtime.
    fn serves(&self) -> PyResult<Handle> {
        let local = lock(&self.local).clone();
        match local {
            Some(local) => Ok(local),
            None => Ok(runtime()?.handle().clone()),
        }
    }

    fn draft<R>(&self, py: Python<'_>, f: impl FnOnce(&mut Draft) -> Result<R, ConfigError>) -> PyResult<R> {
        let mut draft = lock(&self.draft);
        let Some(draft) = draft.as_mut() else {
            return Err(config_error(py, &ConfigError::new("the app is built already")));
        };
        f(draft).map_err(|error| config_error(py, &error))
    }
}

#[pymethods]
impl App {
    #[new]
    fn new(py: Python<'_>, settings: &str) -> PyResult<Self> {
        let draft = Draft::new(settings).map_err(|error| config_error(py, &error))?;
        Ok(Self {
            draft: Mutex::new(Some(draft)),
            built: OnceLock::new(),
            objects: Mutex::new(None),
            serving: Mutex::new(None),
            local: Mutex::new(None),
        })
    }

    /// Makes a layer for routes to ask for; gives its place, by which they do.
    fn add_layer(&self, py: Python<'_>, spec: &str, location: &str) -> PyResult<usize> {
        self.draft(py, |draft| draft.add_layer(spec, location))
    }

    #[pyo3(signature = (method, path, plan, function, objects, layers = Vec::new(), skips = Vec::new()))]
    #[expect(clippy::too_many_arguments, reason = "what Python hands over of a route, once")]
    fn add_handler(
        &self,
        py: Python<'_>,
        method: Option<&str>,
        path: &str,
        plan: &str,
        function: Py<PyAny>,
        objects: Vec<Py<PyAny>>,
        layers: Vec<usize>,
        skips: Vec<String>,
    ) -> PyResult<()> {
        let method = method_of(method)?;
        let (plan, callable) = callable(py, path, plan, function, objects)?;
        self.draft(py, |draft| draft.add_handler(method, path, plan, callable, (&layers, skips)))
    }

    /// Has another function, with its plan, stand in for the handler that was added as this one, counted from 0.
    fn replace_handler(
        &self,
        py: Python<'_>,
        index: usize,
        path: &str,
        plan: &str,
        function: Py<PyAny>,
        objects: Vec<Py<PyAny>>,
    ) -> PyResult<()> {
        let (plan, callable) = callable(py, path, plan, function, objects)?;
        let Some(all) = lock(&self.objects).clone() else {
            return Err(PyRuntimeError::new_err("the app is not built yet"));
        };
        all.stand_in(index, plan, callable).map_err(|_| PyRuntimeError::new_err("there is no such handler"))
    }

    /// Takes what a hook is called with beside the context and the row; gives its place among the handlers, by which `add_crud` names it.
    fn add_hook(&self, py: Python<'_>, plan: &str, objects: Vec<Py<PyAny>>, function: Py<PyAny>) -> PyResult<usize> {
        let (_, callable) = callable(py, "/", plan, function, objects)?;
        self.draft(py, |draft| Ok(draft.add_hook_plan(callable)))
    }

    /// As `add_handler`, for one that speaks on a WebSocket.
    #[expect(clippy::too_many_arguments, reason = "what Python hands over of a route, once")]
    fn add_websocket(
        &self,
        py: Python<'_>,
        path: &str,
        plan: &str,
        function: Py<PyAny>,
        objects: Vec<Py<PyAny>>,
        settings: &str,
        layers: Vec<usize>,
        skips: Vec<String>,
    ) -> PyResult<()> {
        let settings = websocket::Settings::parse(settings).map_err(|error| config_error(py, &error))?;
        let (plan, callable) = callable(py, path, plan, function, objects)?;
        self.draft(py, |draft| draft.add_websocket(path, plan, callable, settings, (&layers, skips)))
    }

    fn add_native(
        &self,
        py: Python<'_>,
        method: Option<&str>,
        path: &str,
        service: &NativeService,
        settings: &str,
    ) -> PyResult<()> {
        let method = method_of(method)?;
        let service = (service.name.clone(), service.route.clone());
        self.draft(py, |draft| draft.add_native(method, path, service, settings))
    }

    /// Mounts another app, which is built, at and below a path.
    fn add_app(&self, py: Python<'_>, path: &str, name: &str, app: &Bound<'_, App>, settings: &str) -> PyResult<()> {
        let app = app.get().built()?;
        self.draft(py, |draft| draft.add_app(path, name, app, settings))
    }

    /// Mounts an application of another framework at and below a path; requests get copies of `state`.
    #[expect(clippy::too_many_arguments, reason = "what Python hands over of an application, once")]
    fn add_asgi(
        &self,
        py: Python<'_>,
        path: &str,
        name: String,
        application: Py<PyAny>,
        state: Py<PyDict>,
        settings: &str,
        sockets: &str,
    ) -> PyResult<()> {
        let sockets = websocket::Settings::parse(sockets).map_err(|error| config_error(py, &error))?;
        self.draft(py, |draft| draft.add_asgi(path, AsgiApp { name, application, state }, settings, sockets))
    }

    #[pyo3(signature = (description, options, hooks = None))]
    fn add_crud(&self, py: Python<'_>, description: &str, options: &str, hooks: Option<Py<PyAny>>) -> PyResult<()> {
        self.draft(py, |draft| draft.add_crud(description, options, hooks))
    }

    /// Keeps the rows of a model without serving them.
    fn keep(&self, py: Python<'_>, description: &str, location: String) -> PyResult<()> {
        self.draft(py, |draft| draft.keep(description, location))
    }

    /// The rows of a model, by its name; None when the app does not keep any.
    fn rows(&self, model: &str) -> PyResult<Option<Rows>> {
        let built = self.built()?;
        let rows = built.rows.get(model).cloned().zip(built.store.clone());
        Ok(rows.map(|(rows, store)| Rows::new(rows, store)))
    }

    /// Serves a text that `make` gives as bytes, once there is time for it or it is asked for.
    fn add_document(
        &self,
        py: Python<'_>,
        path: &str,
        content_type: &str,
        make: Py<PyAny>,
        settings: &str,
    ) -> PyResult<()> {
        let content_type = HeaderValue::from_str(content_type)
            .map_err(|_| PyValueError::new_err(format!("{content_type:?} is not a media type")))?;
        self.draft(py, |draft| draft.add_document(path, content_type, make, settings))
    }

    /// Serves the page that shows the OpenAPI document.
    fn add_docs(&self, py: Python<'_>, path: &str, files: &str, page: &str, settings: &str) -> PyResult<()> {
        self.draft(py, |draft| {
            let page = pages::docs(&settings::parse(page, "settings of the docs")?)?;
            draft.add_page((path, files), page, settings)
        })
    }

    /// Serves the page that shows the app at work.
    fn add_live(&self, py: Python<'_>, page: &str, settings: &str) -> PyResult<()> {
        self.draft(py, |draft| {
            let (live, page) = pages::Live::new(settings::parse(page, "settings of the live page")?);
            let (path, below) = (live.path.clone(), live.below.clone());
            draft.live = Some(live);
            draft.add_page((&path, &below), page, settings)
        })
    }

    /// Makes a layer of a middleware; gives its place, for `use_layers` and for routes.
    fn add_middleware(
        &self,
        py: Python<'_>,
        function: Py<PyAny>,
        name: String,
        paths: Option<Vec<String>>,
        location: &str,
    ) -> PyResult<usize> {
        self.draft(py, |draft| draft.add_middleware(function, name, paths, location))
    }

    /// Adds handlers of exceptions; gives their place, for plans and other routes. `statuses` are those of problems that are offered
    /// to them, None for all.
    fn add_catcher(&self, py: Python<'_>, catcher: Py<PyAny>, statuses: Option<Vec<u16>>) -> PyResult<usize> {
        self.draft(py, |draft| Ok(draft.add_catcher(catcher, statuses)))
    }

    /// Whom requests are offered to that no route is for.
    fn catch_refusals(&self, py: Python<'_>, catcher: usize) -> PyResult<()> {
        self.draft(py, |draft| {
            draft.on_refusal = Some(catcher);
            Ok(())
        })
    }

    /// Sets the layers of the app: a JSON list of descriptions and places of middleware, outermost first.
    fn use_layers(&self, py: Python<'_>, layers: &str) -> PyResult<()> {
        self.draft(py, |draft| draft.use_layers(layers))
    }

    /// Fragments of the OpenAPI document for the CRUD routes, as JSON. `hidden` are the resources that it does not tell of, by their places.
    fn crud_openapi(&self, py: Python<'_>, hidden: Vec<usize>) -> PyResult<String> {
        let resources = match self.built.get() {
            Some(built) => built.resources.clone(),
            None => {
                self.draft(py, |draft| Ok(draft.resources.iter().map(|(resource, _)| resource.clone()).collect()))?
            }
        };
        Ok(py.detach(|| listed::crud_openapi(&resources, &hidden)))
    }

    /// Method and path of every CRUD operation that changes rows for anybody who asks.
    fn open_writes(&self, py: Python<'_>) -> PyResult<Vec<(String, String)>> {
        self.draft(py, |draft| Ok(draft.open_writes()))
    }

    /// Opens the store, mounts the leaves and puts the stack together.
    ///
    /// `app` is what requests give as `request.app`.
    fn build(&self, py: Python<'_>, app: Py<PyAny>) -> PyResult<()> {
        let Some(mut draft) = lock(&self.draft).take() else {
            return Err(config_error(py, &ConfigError::new("the app is built already")));
        };
        let objects = Arc::new(std::mem::take(&mut draft.objects));
        // A draft is built once.
        let _ = objects.app.set(app);
        let runtime = runtime()?;
        // Opening a store waits for files and servers.
        let built = py.detach(|| runtime.block_on(draft.build(&objects)));
        let built = built.map_err(|error| config_error(py, &error))?;
        *lock(&self.objects) = Some(objects);
        self.built.set(built).map_err(|_| PyRuntimeError::new_err("the app is built already"))
    }

    /// What reaches the layers that `use_layers` set, in their order, and those of `add_layer` and `add_middleware`, by their places.
    fn handles(&self) -> PyResult<[Vec<Option<LayerHandle>>; 2]> {
        let handles = self.built()?.handles.clone();
        Ok(handles.map(|layers| layers.into_iter().map(|handle| handle.map(LayerHandle::from)).collect()))
    }

    /// The route table as JSON.
    fn routes(&self) -> PyResult<String> {
        Ok(listed::routes(self.built()?))
    }

    /// What a request to a concrete path passes, as JSON.
    fn stack(&self, path: &str) -> PyResult<String> {
        Ok(listed::stacks(self.built()?, path))
    }

    /// How often this process entered the interpreter on behalf of a leaf of each kind.
    #[allow(clippy::unused_self, reason = "Python calls it on the app")]
    fn attach_counts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counts = PyDict::new(py);
        for (kind, count) in LeafKind::ALL.into_iter().zip(attach::counts()) {
            counts.set_item(kind.as_str(), count)?;
        }
        Ok(counts)
    }

    /// What the store is, without credentials.
    fn store(&self) -> PyResult<Option<String>> {
        Ok(self.built()?.store.as_ref().map(Store::describe))
    }

    /// The loop that runs the app's coroutines from now on. With `fused` it serves connections too, and must be running.
    #[pyo3(signature = (event_loop, *, fused = false))]
    fn set_loop(&self, py: Python<'_>, event_loop: Option<&Bound<'_, PyAny>>, fused: bool) -> PyResult<()> {
        let built = self.built()?;
        let Some(event_loop) = event_loop else {
            *lock(&self.local) = None;
            built.shared.set_event_loop(None);
            return Ok(());
        };
        let Ok(core) = event_loop.cast::<LoopCore>() else {
            let what = format!("an app runs on PyLoop, and {} is another event loop", event_loop.get_type().name()?);
            let cure = "make the loop with ziggurat.new_event_loop";
            return Err(config_error(py, &ConfigError::new(what).cure(cure)));
        };
        let local = if fused { Some(core.get().fuse()?) } else { None };
        *lock(&self.local) = local;
        built.shared.set_event_loop(Some(core.get().handle()));
        Ok(())
    }

    /// Sends a request through the stack and waits for the whole answer.
    fn request<'py>(
        &self,
        py: Python<'py>,
        method: &str,
        target: &str,
        headers: Vec<(String, String)>,
        body: &[u8],
    ) -> PyResult<Answer<'py>> {
        let built = self.built()?;
        if convert::classes(py)?.current_loop.bind(py).call0()?.is_truthy()? {
            return Err(in_process::would_wait_for_itself());
        }
        in_process::answer(py, built.stack.clone(), &self.serves()?, (method, target), &headers, body)
    }

    /// Sends a request through the stack, and gives what waits for the answer. `body` is bytes, or yields them. With `raising` who waits
    /// is raised what no handler and no middleware caught.
    #[pyo3(signature = (method, target, headers, body, *, raising = false, client = None))]
    #[expect(clippy::too_many_arguments, reason = "a request, as Python has it")]
    fn send(
        &self,
        py: Python<'_>,
        method: &str,
        target: &str,
        headers: in_process::Fields,
        body: &Bound<'_, PyAny>,
        raising: bool,
        client: Option<(IpAddr, u16)>,
    ) -> PyResult<Sent> {
        let built = self.built()?;
        let Some(home) = built.shared.event_loop() else {
            return Err(PyRuntimeError::new_err("the app does not run; start() it first"));
        };
        let serves = self.serves()?;
        let event_loop = EventLoop::new(home, context::copy_current(py)?.unbind());
        let here = Here { stack: built.stack.clone(), serves, event_loop };
        let objects = if raising { lock(&self.objects).as_ref().map(Arc::downgrade) } else { None };
        let request = in_process::request(&here, (method, target), &headers, body, client)?;
        Sent::begin(py, here, request, objects)
    }

    /// Opens a WebSocket through the stack, in this process; gives the answer, and the client's end where it was accepted.
    #[pyo3(signature = (target, headers, *, client = None))]
    fn connect<'py>(
        &self,
        py: Python<'py>,
        target: &str,
        headers: Vec<(String, String)>,
        client: Option<(IpAddr, u16)>,
    ) -> PyResult<(Answer<'py>, Option<websocket::TestSocket>)> {
        let stack = self.built()?.stack.clone();
        websocket::connect(py, stack, (runtime()?.handle(), &self.serves()?), target, &headers, client)
    }

    /// Binds the address and serves, on the loop's thread if the loop was set so, else on the runtime's workers; gives the
    /// address.
    fn listen(&self, py: Python<'_>, host: String, port: u16, settings: &str) -> PyResult<(String, u16)> {
        let stack = self.built()?.stack.clone();
        let server = settings::server(host, port, settings).map_err(|error| config_error(py, &error))?;
        let serves = self.serves()?;
        let serving = py.detach(|| Serving::begin(&serves, server, stack)).map_err(|error| serving::refused(&error))?;
        let address = serving.address();
        let before = lock(&self.serving).replace(serving);
        drop(before);
        self.make_documents()?;
        Ok((address.ip().to_string(), address.port()))
    }

    /// Stops accepting and waits for requests in flight; gives how many finished and how many were dropped.
    fn drain(&self, py: Python<'_>) -> PyResult<(usize, usize)> {
        let taken = lock(&self.serving).as_mut().and_then(Serving::stop);
        let Some(built) = self.built.get() else { return Ok((0, 0)) };
        ending::drained(py, taken, built)
    }

    /// Drops what is still in flight while draining.
    fn hurry(&self) {
        if let Some(serving) = lock(&self.serving).as_mut() {
            serving.hurry();
        }
    }

    /// Waits up to so many seconds for what runs on after its request was answered; gives how much of it still runs. With `stop` what has no
    /// end is told before that the app stops.
    #[pyo3(signature = (seconds, *, stop = true))]
    fn settle(&self, py: Python<'_>, seconds: f64, stop: bool) -> PyResult<usize> {
        let built = self.built()?;
        if stop {
            built.shared.stop();
        }
        ending::settled(py, built, seconds)
    }

    /// Exports the last spans, if there are layers that do.
    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        ending::flush(py, self.built()?);
        Ok(())
    }

    /// Closes the store. Requests that need it are answered 503 afterwards.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        ending::close(py, self.built()?)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if let Ok(objects) = self.objects.try_lock()
            && let Some(objects) = &*objects
        {
            objects.traverse(&visit)?;
        }
        if let Ok(draft) = self.draft.try_lock()
            && let Some(draft) = &*draft
        {
            draft.objects.traverse(&visit)?;
        }
        Ok(())
    }

    fn __clear__(&self) {
        let objects = lock(&self.objects).take();
        drop(objects);
        let draft = lock(&self.draft).take();
        drop(draft);
    }
}

fn method_of(name: Option<&str>) -> PyResult<Option<Method>> {
    let method = name.map(|name| Method::from_bytes(name.as_bytes())).transpose();
    method.map_err(|_| PyValueError::new_err("that is not a method"))
}

/// A function with its plan, ready to be called.
fn callable(
    py: Python<'_>,
    path: &str,
    plan: &str,
    function: Py<PyAny>,
    objects: Vec<Py<PyAny>>,
) -> PyResult<(Arc<Plan>, Callable)> {
    let plan = Arc::new(Plan::parse(plan, path).map_err(|error| config_error(py, &error))?);
    let callable = Callable::new(py, function, objects, plan.clone())?;
    Ok((plan, callable))
}
