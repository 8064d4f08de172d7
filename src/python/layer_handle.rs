//! `_ziggurat.LayerHandle`: by which the settings of a layer reach what was built of them.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use serde::de::DeserializeOwned;

use crate::ConfigError;
use crate::layers::api_key::ApiKeys;
use crate::layers::spec::{self, KeySpec};
use crate::python::errors::config_error;

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

    /// Says whether requests should come, and why not.
    #[pyo3(signature = (ready, reason))]
    fn set_ready(&self, ready: bool, reason: Option<&str>) -> PyResult<()> {
        match &self.0 {
            spec::LayerHandle::HealthCheck(readiness) => {
                match reason {
                    Some(reason) if !ready => readiness.set_not_ready(reason),
                    _ => readiness.set(ready),
                }
                Ok(())
            }
            _ => Err(wrong("set_ready")),
        }
    }

    /// Knows these keys, a list in JSON, and no others.
    fn replace_keys(&self, py: Python<'_>, keys: &str) -> PyResult<()> {
        let known = self.keys("replace_keys")?;
        told(py, || {
            let keys: Result<Vec<_>, _> = read::<Vec<KeySpec>>(keys)?.into_iter().map(KeySpec::key).collect();
            known.replace(keys?)
        })
    }

    /// Knows this key, in JSON, too.
    fn add_key(&self, py: Python<'_>, key: &str) -> PyResult<()> {
        let known = self.keys("add_key")?;
        told(py, || known.add(read::<KeySpec>(key)?.key()?))
    }

    /// Forgets keys of `subject`; tells how many.
    #[pyo3(signature = (subject, hash))]
    fn revoke_keys(&self, py: Python<'_>, subject: &str, hash: Option<&str>) -> PyResult<usize> {
        let known = self.keys("revoke_keys")?;
        told(py, || known.revoke(subject, hash))
    }
}

impl LayerHandle {
    fn keys(&self, what: &str) -> PyResult<&ApiKeys> {
        match &self.0 {
            spec::LayerHandle::ApiKey(keys) => Ok(keys),
            _ => Err(wrong(what)),
        }
    }
}

fn read<T: DeserializeOwned>(json: &str) -> Result<T, ConfigError> {
    serde_json::from_str(json).map_err(|error| ConfigError::new(format!("ApiKey: keys: {error}")))
}

fn told<T: Send>(py: Python<'_>, change: impl FnOnce() -> Result<T, ConfigError> + Send) -> PyResult<T> {
    py.detach(change).map_err(|error| config_error(py, &error))
}
