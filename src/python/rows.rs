//! The store from Python: what `ziggurat.Model` reads and writes through.

use std::sync::Arc;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use tokio::sync::Mutex;

use super::bridge::{RustFuture, spawn_bringing};
use super::errors::config_error;
use crate::crud::store::AnyCollection;
use crate::crud::{self, Expr, Outcome, Row, RowsError, StoreError};

/// The rows of one model. Documents are JSON; a row comes as its version and its JSON.
#[pyclass(frozen, module = "ziggurat._ziggurat")]
pub(super) struct Rows(crud::Rows<AnyCollection>);

impl Rows {
    pub(super) const fn new(rows: crud::Rows<AnyCollection>) -> Self {
        Self(rows)
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

    /// Raises as `replace` does.
    #[pyo3(signature = (id, version = None))]
    fn delete<'py>(&self, py: Python<'py>, id: Vec<u8>, version: Option<i64>) -> PyResult<Bound<'py, RustFuture>> {
        let work = |rows: crud::Rows<_>| async move { rows.delete(&id, version).await };
        let model = self.0.schema().clone();
        self.does(py, work, move |py, outcome| done(py, outcome, &model.name).map(|()| py.None()))
    }

    /// Raises as `replace` does.
    #[pyo3(signature = (id, version = None))]
    fn purge<'py>(&self, py: Python<'py>, id: Vec<u8>, version: Option<i64>) -> PyResult<Bound<'py, RustFuture>> {
        let work = |rows: crud::Rows<_>| async move { rows.purge(&id, version).await };
        let model = self.0.schema().clone();
        self.does(py, work, move |py, outcome| done(py, outcome, &model.name).map(|()| py.None()))
    }

    /// The same with rows that are marked as deleted.
    fn with_deleted(&self) -> Self {
        Self(self.0.clone().with_deleted())
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
        Outcome::NotFound => Err(exception(py, "RowNotFound", &format!("there is no {model} with this id"), &[])),
        Outcome::Changed => {
            let detail = format!("the {model} was changed since it was read; read it again");
            Err(exception(py, "RowChanged", &detail, &[]))
        }
    }
}

/// What Python raises for `error`. Those of which a client may learn say so in words for it.
fn raised(py: Python<'_>, error: RowsError) -> PyErr {
    let store = match error {
        RowsError::Store(error) => error,
        other => return exception(py, "InvalidRow", &other.to_string(), &[]),
    };
    match &store {
        StoreError::Duplicate { field } => exception(py, "DuplicateValue", &store.to_string(), &[("field", field)]),
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
    let made = || -> PyResult<PyErr> {
        let class = py.import(intern!(py, "ziggurat.exceptions"))?.getattr(class)?;
        let kwargs = PyDict::new(py);
        for (name, value) in more {
            kwargs.set_item(name, value)?;
        }
        Ok(PyErr::from_value(class.call((detail,), Some(&kwargs))?))
    };
    made().unwrap_or_else(|error| error)
}
