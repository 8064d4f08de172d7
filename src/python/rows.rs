//! The store from Python: what `ziggurat.Model` reads and writes through.

use std::sync::Arc;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};
use tokio::sync::Mutex;

use super::bridge::{RustFuture, spawn_bringing};
use super::errors::config_error;
use crate::crud::store::{AnyCollection, AnyStore, Refusal, Store};
use crate::crud::{self, Expr, Outcome, Row, RowsError, StoreError};

/// The rows of one model. Documents are JSON; a row comes as its version and its JSON.
#[pyclass(frozen, module = "ziggurat._ziggurat")]
pub(super) struct Rows(crud::Rows<AnyCollection>, AnyStore);

impl Rows {
    pub(super) const fn new(rows: crud::Rows<AnyCollection>, store: AnyStore) -> Self {
        Self(rows, store)
    }

    /// Does `work` on the runtime; Python awaits what it brings.
    fn does<'py, T, Fut>(
        &self,
        py: Python<'py>,
        work: impl FnOnce(crud::Rows<AnyCollection>) -> Fut,
        bring: impl FnOnce(Python<'_>, T) -> PyResult<Py<PyAny>> + Send + 'static,
    ) -> PyResult<Bound<'py, RustFuture>>
    where
        T: Send + 'static,
        Fut: Future<Output = Result<T, RowsError>> + Send + 'static,
    {
        let work = work(self.0.clone());
        spawn_bringing(py, async move {
            let done = work.await;
            move |py: Python<'_>| match done {
                Ok(value) => bring(py, value),
                Err(error) => Err(raised(py, error)),
            }
        })
    }

    fn filter(&self, py: Python<'_>, filter: &str) -> PyResult<Expr> {
        Expr::from_description(self.0.schema(), filter).map_err(|error| config_error(py, &error))
    }
}

#[pymethods]
impl Rows {
    /// The row with this id, or None.
    fn get<'py>(&self, py: Python<'py>, id: Vec<u8>) -> PyResult<Bound<'py, RustFuture>> {
        self.does(
            py,
            |rows| async move { rows.get(&id).await },
            |py, row| match row {
                Some(row) => row_of(py, &row),
                None => Ok(py.None()),
            },
        )
    }

    fn insert<'py>(&self, py: Python<'py>, document: Vec<u8>) -> PyResult<Bound<'py, RustFuture>> {
        self.does(py, |rows| async move { rows.insert(&document).await }, |py, row| row_of(py, &row))
    }

    /// All rows or none.
    fn insert_all<'py>(&self, py: Python<'py>, documents: Vec<Vec<u8>>) -> PyResult<Bound<'py, RustFuture>> {
        self.does(
            py,
            |rows| async move { rows.insert_all(&documents).await },
            |py, rows: Vec<Row>| {
                let rows = rows.iter().map(|row| row_of(py, row)).collect::<PyResult<Vec<_>>>()?;
                Ok(rows.into_pyobject(py)?.into_any().unbind())
            },
        )
    }

    /// The row as it is now; raises when it is not there, or of another version than one that is given.
    #[pyo3(signature = (document, version = None))]
    fn replace<'py>(
        &self,
        py: Python<'py>,
        document: Vec<u8>,
        version: Option<i64>,
    ) -> PyResult<Bound<'py, RustFuture>> {
        let work = |rows: crud::Rows<_>| async move { rows.replace(&document, version).await };
        let model = self.0.schema().clone();
        self.does(py, work, move |py, outcome| row_of(py, &done(py, outcome, &model.name)?))
    }

    /// Raises as `replace` does. `shard` is what the shard key of the row holds, if the model has one.
    #[pyo3(signature = (id, version = None, shard = None))]
    fn delete<'py>(
        &self,
        py: Python<'py>,
        id: Vec<u8>,
        version: Option<i64>,
        shard: Option<Vec<u8>>,
    ) -> PyResult<Bound<'py, RustFuture>> {
        let work = |rows: crud::Rows<_>| async move { of_shard(rows, shard)?.delete(&id, version).await };
        let model = self.0.schema().clone();
        self.does(py, work, move |py, outcome| done(py, outcome, &model.name).map(|()| py.None()))
    }

    /// As `delete`.
    #[pyo3(signature = (id, version = None, shard = None))]
    fn purge<'py>(
        &self,
        py: Python<'py>,
        id: Vec<u8>,
        version: Option<i64>,
        shard: Option<Vec<u8>>,
    ) -> PyResult<Bound<'py, RustFuture>> {
        let work = |rows: crud::Rows<_>| async move { of_shard(rows, shard)?.purge(&id, version).await };
        let model = self.0.schema().clone();
        self.does(py, work, move |py, outcome| done(py, outcome, &model.name).map(|()| py.None()))
    }

    /// The field that is the shard key, where it is not the id.
    #[getter]
    fn shard_key(&self) -> Option<&str> {
        let schema = self.0.schema();
        schema.shard_beside_id().map(|key| &*schema.fields[key].name)
    }

    /// The same with rows that are marked as deleted.
    fn with_deleted(&self) -> Self {
        Self(self.0.clone().with_deleted(), self.1.clone())
    }

    fn count<'py>(&self, py: Python<'py>, filter: &str) -> PyResult<Bound<'py, RustFuture>> {
        let filter = self.filter(py, filter)?;
        self.does(
            py,
            |rows| async move { rows.count(filter).await },
            |py, count| Ok(count.into_pyobject(py)?.into_any().unbind()),
        )
    }

    /// The rows that hold, `page` of them at once.
    fn find(
        &self,
        py: Python<'_>,
        filter: &str,
        sort: Vec<String>,
        offset: usize,
        limit: Option<usize>,
        page: usize,
    ) -> PyResult<Walk> {
        let filter = self.filter(py, filter)?;
        // A limit is a signed number to the stores.
        let limit = limit.unwrap_or(usize::MAX).min(i64::MAX as usize);
        let walk = self.0.find(filter, &sort, offset, limit, page).map_err(|error| config_error(py, &error))?;
        Ok(Walk(Arc::new(Mutex::new(walk))))
    }
}

/// Those of one shard, where that is known.
fn of_shard(rows: crud::Rows<AnyCollection>, key: Option<Vec<u8>>) -> Result<crud::Rows<AnyCollection>, RowsError> {
    match key {
        Some(key) => rows.in_shard(&key),
        None => Ok(rows),
    }
}

/// Rows, what is done, the document or the id, the version that the row must have, and its shard key.
type Noted<'py> = (PyRef<'py, Rows>, String, Vec<u8>, Option<i64>, Option<Vec<u8>>);

/// Does all of the writes or none: each is rows, what is done (`insert`, `save` or `delete`), the document, or the id of a row that is
/// deleted, the version that the row must have, and the shard key of a row that is deleted. A row comes as its version and its JSON, nothing where it was deleted.
#[pyfunction]
pub(super) fn transact<'py>(py: Python<'py>, writes: Vec<Noted<'py>>) -> PyResult<Bound<'py, RustFuture>> {
    let mut planned = Vec::with_capacity(writes.len());
    let mut meant = Vec::with_capacity(writes.len());
    let mut store: Option<AnyStore> = None;
    for (rows, kind, document, version, shard) in writes {
        if *store.get_or_insert_with(|| rows.1.clone()) != rows.1 {
            return Err(exception(py, "StoreFailure", "rows of different stores cannot be written as one", &[]));
        }
        let rows = of_shard(rows.0.clone(), shard).map_err(|error| raised(py, error))?;
        let write = match &*kind {
            "insert" => rows.to_insert(&document),
            "save" => rows.to_replace(&document, version),
            _ => rows.to_delete(&document, version),
        };
        let write = write.map_err(|error| raised(py, error))?;
        meant.push((rows.place(&write.1), rows));
        planned.push(write);
    }
    spawn_bringing(py, async move {
        let done = match store {
            Some(store) => store.transact(planned).await,
            None => Ok(Vec::new()),
        };
        let mut moved = Ok(());
        let mut model = String::from("row");
        if let Err(error) = &done
            && let Some((place, rows)) = meant.into_iter().nth(error.index)
        {
            model.clone_from(&rows.schema().name);
            if let (Refusal::NotFound, Some(place)) = (&error.why, place) {
                moved = rows.refuse_move(place).await;
            }
        }
        move |py: Python<'_>| match done {
            Ok(rows) => {
                let rows = rows.iter().map(|row| row.as_ref().map(|row| row_of(py, row)).transpose());
                Ok(rows.collect::<PyResult<Vec<_>>>()?.into_pyobject(py)?.into_any().unbind())
            }
            Err(error) => Err(match (error.why, moved) {
                (_, Err(moved)) => raised(py, moved),
                (Refusal::NotFound, _) => not_found(py, &model),
                (Refusal::Changed, _) => changed(py, &model),
                (Refusal::Store(error), _) => raised(py, error.into()),
            }),
        }
    })
}

/// A walk over rows.
#[pyclass(frozen, module = "ziggurat._ziggurat")]
pub(super) struct Walk(Arc<Mutex<crud::Walk<AnyCollection>>>);

#[pymethods]
impl Walk {
    /// The next rows as a JSON array and their versions, or None at the end.
    fn next<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, RustFuture>> {
        let walk = self.0.clone();
        spawn_bringing(py, async move {
            let page = walk.lock().await.next().await;
            move |py: Python<'_>| match page {
                Ok(Some(page)) => {
                    let json = [b"[", &page.items[..], b"]"].concat();
                    Ok((PyBytes::new(py, &json), page.versions).into_pyobject(py)?.into_any().unbind())
                }
                Ok(None) => Ok(py.None()),
                Err(error) => Err(raised(py, error.into())),
            }
        })
    }
}

fn row_of(py: Python<'_>, row: &Row) -> PyResult<Py<PyAny>> {
    Ok((row.version, PyBytes::new(py, &row.json)).into_pyobject(py)?.into_any().unbind())
}

fn done<T>(py: Python<'_>, outcome: Outcome<T>, model: &str) -> PyResult<T> {
    match outcome {
        Outcome::Done(done) => Ok(done),
        Outcome::NotFound => Err(not_found(py, model)),
        Outcome::Changed => Err(changed(py, model)),
    }
}

fn not_found(py: Python<'_>, model: &str) -> PyErr {
    exception(py, "RowNotFound", &format!("there is no {model} with this id"), &[])
}

fn changed(py: Python<'_>, model: &str) -> PyErr {
    exception(py, "RowChanged", &format!("the {model} was changed since it was read; read it again"), &[])
}

/// What Python raises for `error`. Those of which a client may learn say so in words for it.
fn raised(py: Python<'_>, error: RowsError) -> PyErr {
    let store = match error {
        RowsError::Store(error) => error,
        other => return exception(py, "InvalidRow", &other.to_string(), &[]),
    };
    match &store {
        StoreError::Duplicate { fields } => {
            raising(py, "DuplicateValue", &store.to_string(), |more| more.set_item("fields", PyTuple::new(py, fields)?))
        }
        StoreError::Unavailable { source, retry_after } => {
            tracing::warn!(error = %source, "the store is not available");
            let retry = [("retry_after", &*retry_after.to_string())];
            exception(py, "StoreUnavailable", "the store cannot be reached at the moment", &retry)
        }
        StoreError::Full => {
            tracing::error!("the store has no space left");
            exception(py, "StoreUnavailable", &store.to_string(), &[("retry_after", "60")])
        }
        StoreError::Timeout => exception(
            py,
            "StoreTimeout",
            "the store did not answer in time; whether a write was done is not known",
            &[],
        ),
        StoreError::TooLarge { .. } => exception(py, "InvalidRow", &store.to_string(), &[]),
        StoreError::Internal(_) => exception(py, "StoreFailure", &store.to_string(), &[]),
    }
}

/// An exception of `ziggurat.exceptions`.
fn exception(py: Python<'_>, class: &str, detail: &str, more: &[(&str, &str)]) -> PyErr {
    raising(py, class, detail, |kwargs| more.iter().try_for_each(|(name, value)| kwargs.set_item(name, value)))
}

/// The same with whatever `more` puts beside the text.
fn raising<'py>(
    py: Python<'py>,
    class: &str,
    detail: &str,
    more: impl FnOnce(&Bound<'py, PyDict>) -> PyResult<()>,
) -> PyErr {
    let made = || -> PyResult<PyErr> {
        let class = py.import(intern!(py, "ziggurat.exceptions"))?.getattr(class)?;
        let kwargs = PyDict::new(py);
        more(&kwargs)?;
        Ok(PyErr::from_value(class.call((detail,), Some(&kwargs))?))
    };
    made().unwrap_or_else(|error| error)
}
