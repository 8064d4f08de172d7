//! `_ziggurat.LayerHandle`: by which the settings of a layer reach what was built of them.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use crate::layers::spec;

/// Of one layer of one app. The app has it for as long as it lives; settings hold it weakly.
#[pyclass(frozen, weakref, module = "ziggurat._ziggurat")]
pub(super) struct LayerHandle(spec::LayerHandle);

impl From<spec::LayerHandle> for LayerHandle {
    fn from(handle: spec::LayerHandle) -> Self {
        Self(handle)
    }
}

/// The class of the settings offers what its layer has, so only a handle of another one gets here.
fn wrong(what: &str) -> PyErr {
    PyTypeError::new_err(format!("this layer has no {what}"))
}

#[pymethods]
impl LayerHandle {
    /// What is counted, as text.
    fn render(&self, py: Python<'_>) -> PyResult<String> {
        match &self.0 {
            spec::LayerHandle::Metrics(metrics) => Ok(py.detach(|| metrics.render())),
            _ => Err(wrong("render")),
        }
    }

    /// Forgets everything.
    fn clear(&self, py: Python<'_>) -> PyResult<()> {
        match &self.0 {
            spec::LayerHandle::Cache(cache) => {
                py.detach(|| cache.clear());
                Ok(())
            }
            _ => Err(wrong("clear")),
        }
    }

    /// Forgets what is kept for a path.
    fn invalidate(&self, path: &str) -> PyResult<()> {
        match &self.0 {
            spec::LayerHandle::Cache(cache) => {
                cache.invalidate(path);
                Ok(())
            }
            _ => Err(wrong("invalidate")),
        }
    }
}
