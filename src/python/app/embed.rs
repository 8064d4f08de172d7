//! A Python app inside a Rust program.

use std::fmt;

use pyo3::prelude::*;

use super::App;
use crate::python::attach;
use crate::service::{LeafKind, Stack};

/// A Python app as a Tower service.
///
/// The interpreter lives in this process; PyLoop runs on a thread of its own. The stack is the very one that
/// `app.run()` would serve: layers, native leaves, middleware and Python handlers.
///
/// Dropping it runs the app's shutdown hooks and waits for them.
///
/// # Example
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = ziggurat::python::PythonApp::load("shop:app")?;
/// let stack = app.stack(); // a tower::Service, to be mounted anywhere
/// # drop(stack); Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct PythonApp {
    stack: Stack,
    app: Option<Py<PyAny>>,
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

impl PythonApp {
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

    /// The app's stack; cloning it is cheap.
    pub fn stack(&self) -> Stack {
        self.stack.clone()
    }
}

impl Drop for PythonApp {
    fn drop(&mut self) {
        let Some(app) = self.app.take() else { return };
        on_own_thread(move |py| {
            if let Err(error) = app.call_method0(py, "stop") {
                tracing::error!(error = describe(py, &error), "the Python app did not stop cleanly");
            }
            drop(app);
        });
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

fn import(py: Python<'_>, module: &str, attribute: &str) -> PyResult<PythonApp> {
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
    let native = app.call_method0("build")?.cast_into::<App>()?;
    let stack = native.get().built()?.stack.clone();
    Ok(PythonApp { stack, app: Some(app.unbind()) })
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
