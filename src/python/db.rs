//! Work on whole stores, for the command line.

use std::path::PathBuf;
use std::sync::Arc;

use pyo3::prelude::*;
use serde_json::{Value as Json, json};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use super::attach;
use super::errors::config_error;
use crate::ConfigError;
use crate::crud::store::sqlite;
use crate::crud::store::{AnyStore, Step};
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
    let runtime = started(py)?;
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

fn started(py: Python<'_>) -> PyResult<&'static Runtime> {
    runtime()
        .map_err(|error| config_error(py, &ConfigError::new(format!("the Tokio runtime cannot be started: {error}"))))
}

fn opened(error: OpenError) -> ConfigError {
    match error {
        OpenError::Config(error) => error,
        OpenError::Store(error) => ConfigError::new(error.to_string()),
    }
}

fn schemas(descriptions: &[String]) -> Result<Vec<Arc<Schema>>, ConfigError> {
    descriptions.iter().map(|text| Schema::from_description(text).map(Arc::new)).collect()
}

fn as_json(steps: &[Step]) -> Vec<Json> {
    let one = |step: &Step| {
        json!({
            "model": step.model,
            "field": step.field,
            "kind": step.kind.as_str(),
            "safety": step.safety.as_str(),
            "what": step.what(),
            "rows": step.rows,
            "ids": step.ids.iter().map(|id| serde_json::from_str(id).unwrap_or_else(|_| id.clone().into())).collect::<Vec<Json>>(),
            "cure": step.cure,
        })
    };
    steps.iter().map(one).collect()
}

/// In what a store differs from the described models, as JSON: `{"store": "sqlite shop.db", "steps": [...]}`. Nothing is written.
#[pyfunction]
pub(super) fn plan_store(py: Python<'_>, descriptions: Vec<String>, store: &str) -> PyResult<String> {
    let runtime = started(py)?;
    let planned = py.detach(|| {
        let schemas = schemas(&descriptions)?;
        runtime.block_on(AnyStore::plan_url(store, &schemas)).map_err(opened)
    });
    let plan = planned.map_err(|error| config_error(py, &error))?;
    Ok(json!({ "store": plan.store, "steps": as_json(&plan.steps) }).to_string())
}

/// Brings a store in line with the described models. `told(model, rows, steps)` is told how many rows of a model were written, and
/// what was done when all of it is, as JSON.
#[pyfunction]
pub(super) fn apply_store(py: Python<'_>, descriptions: Vec<String>, store: &str, told: Py<PyAny>) -> PyResult<()> {
    let runtime = started(py)?;
    let mut raised = None;
    let mut tell = |model: &str, rows: u64, steps: Option<String>| {
        if raised.is_none() {
            raised = attach::at(LeafKind::Python, |py| told.call1(py, (model, rows, steps)).map(drop)).err();
        }
    };
    let done = py.detach(|| runtime.block_on(apply(&descriptions, store, &mut tell)));
    if let Some(error) = raised {
        return Err(error);
    }
    done.map_err(|error| config_error(py, &error))
}

async fn apply(
    descriptions: &[String],
    url: &str,
    tell: &mut impl FnMut(&str, u64, Option<String>),
) -> Result<(), ConfigError> {
    let schemas = schemas(descriptions)?;
    let store = AnyStore::open_url(url).await.map_err(opened)?;
    for schema in &schemas {
        // Who writes is no thread that may attach to Python.
        let (heard, mut written) = mpsc::unbounded_channel();
        let hear = move |rows| {
            // It is listened to as long as there is something to tell.
            let _ = heard.send(rows);
        };
        let mut applying = std::pin::pin!(store.apply(Arc::clone(schema), hear));
        let applied = loop {
            tokio::select! {
                applied = &mut applying => break applied,
                Some(rows) = written.recv() => tell(&schema.name, rows, None),
            }
        };
        let steps = match applied {
            Ok(steps) => steps,
            Err(error) => {
                store.close().await;
                return Err(opened(error));
            }
        };
        let rows = steps.iter().map(|step| step.rows).max().unwrap_or(0);
        tell(&schema.name, rows, Some(json!(as_json(&steps)).to_string()));
    }
    store.close().await;
    Ok(())
}
