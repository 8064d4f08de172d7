//! Rust of others in a Python app: layers, native handlers and stores of an extension module.

use std::convert::Infallible;
use std::future::Future;

use pyo3::exceptions::{PyImportError, PyValueError};
use pyo3::prelude::*;
use serde::de::DeserializeOwned;
use tower_service::Service;

use crate::ConfigError;
use crate::crud::OpenError;
use crate::crud::store::AnyStore;
use crate::layers::BuiltLayer;
use crate::layers::spec::register_layer;
use crate::service::{Request, Response, Route};

const NATIVE: &str = "ziggurat._ziggurat";

/// A handler in Rust that an app mounts with `app.native(path, handler)`.
#[pyclass(frozen, module = "ziggurat._ziggurat")]
pub(super) struct NativeService {
    pub(super) name: String,
    pub(super) route: Route,
}

#[pymethods]
impl NativeService {
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    fn __repr__(&self) -> String {
        format!("<NativeService {}>", self.name)
    }
}

/// Makes an extension module the native half of the package `ziggurat`, with Rust of its own in it.
///
/// Two copies of this crate in a process would each have a runtime, and know nothing of one another's services. So the module
/// takes the place of `ziggurat._ziggurat`, which then is not loaded: it has to be imported before anything of `ziggurat` is used.
///
/// ```ignore
/// #[pyo3::pymodule]
/// mod _native {
///     use pyo3::prelude::*;
///
///     #[pymodule_init]
///     fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
///         ziggurat::python::Extension::new(module)?
///             .layer("GeoBlock", |settings: super::GeoBlockSettings| settings.build())?
///             .service("fast", tower::service_fn(super::fast))?;
///         Ok(())
///     }
/// }
/// ```
///
/// `examples/custom_rust` is a whole project of it, which `ziggurat new --rust` makes.
#[derive(Debug)]
pub struct Extension<'a, 'py> {
    module: &'a Bound<'py, PyModule>,
}

impl<'a, 'py> Extension<'a, 'py> {
    /// Fills `module` with the native half of `ziggurat` and puts it in the place of that.
    ///
    /// # Errors
    /// An `ImportError` when the package has loaded its own native half already, or is of another version than this crate.
    pub fn new(module: &'a Bound<'py, PyModule>) -> PyResult<Self> {
        let py = module.py();
        let name = module.name()?;
        let modules = py.import("sys")?.getattr("modules")?;
        if modules.contains(NATIVE)? && !modules.get_item(NATIVE)?.is(module) {
            return Err(PyImportError::new_err(format!(
                "{name} comes too late: ziggurat has loaded its own native half already; import {name} before anything from ziggurat is used"
            )));
        }
        let ours = env!("CARGO_PKG_VERSION");
        if let Some(theirs) = version_of_package(py)?
            && theirs != ours
        {
            return Err(PyImportError::new_err(format!(
                "{name} was built with the crate ziggurat {ours}, and the package ziggurat is {theirs}; install the same version of both"
            )));
        }
        super::register(module)?;
        modules.set_item(NATIVE, module)?;
        Ok(Self { module })
    }

    /// Registers a layer: `make` makes it of the settings that a class derived from `ziggurat.layers.Layer` holds, which has the same
    /// name. See [`register_layer`].
    ///
    /// # Errors
    /// A `ValueError` when there is a layer of this name.
    pub fn layer<S: DeserializeOwned>(
        self,
        name: &str,
        make: impl Fn(S) -> Result<BuiltLayer, ConfigError> + Send + Sync + 'static,
    ) -> PyResult<Self> {
        register_layer(name, make).map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(self)
    }

    /// Adds a handler to the module, under a name: any Tower service, as a function by `tower::service_fn` or a router of Axum whose body
    /// became a [`Body`](crate::Body). `app.native(path, module.name)` mounts it.
    ///
    /// # Errors
    /// What adding to a module raises.
    pub fn service<S>(self, name: &str, service: S) -> PyResult<Self>
    where
        S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
    {
        let service = NativeService { name: name.to_owned(), route: Route::new(service) };
        self.module.add(name, Py::new(self.module.py(), service)?)?;
        Ok(self)
    }

    /// Registers a store by the scheme of its URL: `Ziggurat(store="vault://orders")`. See [`AnyStore::register_scheme`].
    ///
    /// # Errors
    /// A `ValueError` when the scheme is taken, or is none.
    pub fn store<F>(self, scheme: &str, open: impl Fn(String) -> F + Send + Sync + 'static) -> PyResult<Self>
    where
        F: Future<Output = Result<AnyStore, OpenError>> + Send + 'static,
    {
        AnyStore::register_scheme(scheme, open).map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(self)
    }
}

/// The version of the installed package; none where it runs from its sources.
fn version_of_package(py: Python<'_>) -> PyResult<Option<String>> {
    let metadata = py.import("importlib.metadata")?;
    match metadata.call_method1("version", ("ziggurat",)) {
        Ok(version) => version.extract().map(Some),
        Err(error) if error.is_instance(py, &metadata.getattr("PackageNotFoundError")?) => Ok(None),
        Err(error) => Err(error),
    }
}
