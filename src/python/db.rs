//! Work on whole stores, for the command line.

use std::path::PathBuf;
use std::sync::Arc;

use pyo3::prelude::*;

use super::attach;
use super::errors::config_error;
use crate::ConfigError;
use crate::crud::store::AnyStore;
use crate::crud::store::sqlite;
use crate::crud::{CopyError, OpenError, Schema, Store, copy_rows};
use crate::service::LeafKind;
use crate::service::server::runtime;

/// Copies a SQLite store to a new file while others may use it; the size of the copy in bytes.
#[pyfunction]
pub(super) fn backup_store(py: Python<'_>, source: PathBuf, target: PathBuf) -> PyResult<u64> {
    py.detach(|| sqlite::backup(source, target)).map_err(|error| config_error(py, &error))
}

/// Copies the rows of the described models from one store to another. `copied(model, rows)` is told how far it is.
#[pyfunction]
pub(super) fn copy_store(
    py: Python<'_>,
    descriptions: Vec<String>,
    source: &str,
    target: &str,
    copied: Py<PyAny>,
) -> PyResult<Vec<(String, u64)>> {
    let runtime = runtime().map_err(|error| {
        config_error(py, &ConfigError::new(format!("the Tokio runtime cannot be started: {error}")))
    })?;
    // The first thing that it raises ends the telling, and is raised when the work has come to its end.
    let mut raised = None;
    let mut tell = |model: &str, rows: u64| {
        if raised.is_none() {
            // The thread that called is the one that waits, and no worker of the runtime.
            raised = attach::at(LeafKind::Python, |py| copied.call1(py, (model, rows)).map(drop)).err();
        }
    };
    let done = py.detach(|| runtime.block_on(copy(&descriptions, source, target, &mut tell)));
    if let Some(error) = raised {
        return Err(error);
    }
    done.map_err(|error| config_error(py, &error))
}

async fn copy(
    descriptions: &[String],
    source: &str,
    target: &str,
    tell: &mut impl FnMut(&str, u64),
) -> Result<Vec<(String, u64)>, ConfigError> {
    let opened = |error: OpenError| match error {
        OpenError::Config(error) => error,
        OpenError::Store(error) => ConfigError::new(error.to_string()),
    };
    let from = AnyStore::open_url(source).await.map_err(opened)?;
    let to = AnyStore::open_url(target).await.map_err(opened)?;
    let mut done = Vec::new();
    for description in descriptions {
        let schema = Arc::new(Schema::from_description(description)?);
        let (rows, place) =
            (from.open(schema.clone()).await.map_err(opened)?, to.open(schema.clone()).await.map_err(opened)?);
        let copied = copy_rows(&schema, &rows, &place, |count| tell(&schema.name, count)).await;
        let count = copied.map_err(|error: CopyError| ConfigError::new(format!("{}: {error}", schema.name)))?;
        done.push((schema.name.clone(), count));
    }
    from.close().await;
    to.close().await;
    Ok(done)
}
