//! A Python app inside a Rust program.

use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use pyo3::prelude::*;
use tower_service::Service;

use super::App as NativeApp;
use crate::python::attach;
use crate::service::{LeafKind, Request, Response, Stack};
use crate::{Body, BoxError};

/// A Python app as a Tower service, for requests with any body.
///
/// The interpreter lives in this process; PyLoop runs on a thread of its own. The stack is the very one that
/// `app.run()` would serve: layers, native leaves, middleware and Python handlers. There may be several apps in a process, each with a
/// thread of its own.
///
/// A clone is the same app. It is stopped by [`stop`](Self::stop), or when the last clone is dropped: that runs its shutdown hooks and
/// waits for them, so on a runtime's worker `stop` belongs into `spawn_blocking`.
///
/// # Example
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let shop = ziggurat::python::App::load("shop:app")?;
/// let router: axum::Router = axum::Router::new().nest_service("/shop", shop.clone());
/// # drop(router);
/// shop.stop();
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct App {
    stack: Stack,
    running: Arc<Running>,
}

/// The app as Python has it, until it is stopped.
#[derive(Debug)]
struct Running(Mutex<Option<Py<PyAny>>>);

impl Running {
    fn stop(&self) {
        let Some(app) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        on_own_thread(move |py| {
            if let Err(error) = app.call_method0(py, "stop") {
                tracing::error!(error = describe(py, &error), "the Python app did not stop cleanly");
            }
            drop(app);
        });
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Why an app could not be loaded: what Python raised, with its traceback.
#[derive(Debug)]
pub struct LoadError(String);

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LoadError {}

impl App {
    /// Starts the interpreter if need be, imports `module:attribute`, builds the app and runs its start-up hooks.
    ///
    /// The current directory is searched first, as by `python -m`, and an active virtual environment (`VIRTUAL_ENV`) is used; the
    /// package `ziggurat` must be installed. It blocks until the app is ready, so call it before the runtime starts, or in `spawn_blocking`.
    ///
    /// # Errors
    /// When the target is not `module:attribute`, or Python raised an exception.
    pub fn load(target: &str) -> Result<Self, LoadError> {
        let Some((module, attribute)) = target.split_once(':') else {
            return Err(LoadError(format!("{target:?} does not name an app; write \"module:attribute\"")));
        };
        Python::initialize();
        on_own_thread(|py| import(py, module, attribute).map_err(|error| LoadError(describe(py, &error))))
            .unwrap_or_else(|| Err(LoadError("no thread could be made to start Python".to_owned())))
    }

    /// The app's stack, which tells of its routes and layers. It does not keep the app from being stopped.
    pub fn stack(&self) -> Stack {
        self.stack.clone()
    }

    /// Runs the app's shutdown hooks and waits for them. Requests that come later and enter Python are answered 503.
    pub fn stop(&self) {
        self.running.stop();
    }
}

impl<B> Service<http::Request<B>> for App
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = <Stack as Service<Request>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.stack.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        self.stack.call(request.map(Body::new))
    }
}

/// Attaches on a thread that is nobody's worker.
fn on_own_thread<R: Send>(f: impl FnOnce(Python<'_>) -> R + Send) -> Option<R> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("ziggurat-embed".into())
            .spawn_scoped(scope, || attach::at(LeafKind::Python, f));
        thread.ok()?.join().ok()
    })
}

fn import(py: Python<'_>, module: &str, attribute: &str) -> PyResult<App> {
    let sys = py.import("sys")?;
    let modules = sys.getattr("modules")?;
    // The native half is this program; the one in the wheel would be a second copy with a state of its own.
    if !modules.contains("ziggurat._ziggurat")? {
        let native = PyModule::new(py, "ziggurat._ziggurat")?;
        crate::python::register(&native)?;
        modules.set_item("ziggurat._ziggurat", native)?;
    }
    use_virtual_environment(&sys)?;
    let path = sys.getattr("path")?;
    if !path.contains("")? {
        path.call_method1("insert", (0, ""))?;
    }
    let app = py.import(module)?.getattr(attribute)?;
    if app.hasattr("_target")? {
        // For what start-up has to say about the store.
        app.setattr("_target", format!("{module}:{attribute}"))?;
    }
    app.call_method0("start")?;
    let native = app.call_method0("build")?.cast_into::<NativeApp>()?;
    native.get().make_documents()?;
    let stack = native.get().built()?.stack.clone();
    Ok(App { stack, running: Arc::new(Running(Mutex::new(Some(app.unbind())))) })
}

/// An interpreter inside another program does not see the virtual environment that is active around it.
fn use_virtual_environment(sys: &Bound<'_, PyModule>) -> PyResult<()> {
    let Some(folder) = std::env::var_os("VIRTUAL_ENV").filter(|folder| !folder.is_empty()) else { return Ok(()) };
    let version = sys.getattr("version_info")?;
    let (major, minor): (u8, u8) = (version.getattr("major")?.extract()?, version.getattr("minor")?.extract()?);
    let packages = std::path::Path::new(&folder).join(format!("lib/python{major}.{minor}/site-packages"));
    if packages.is_dir() {
        sys.py().import("site")?.call_method1("addsitedir", (packages,))?;
    }
    Ok(())
}

fn describe(py: Python<'_>, error: &PyErr) -> String {
    let traceback = error.traceback(py).and_then(|traceback| traceback.format().ok()).unwrap_or_default();
    format!("{traceback}{error}")
}
