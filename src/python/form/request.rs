//! `request.form()`.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyList, PyString, PyType};

use super::limits::Limits;
use super::read::{self, Kind};
use super::{Form, UploadFile, Value};
use crate::Body;
use crate::service::{Location, Problem};

/// What is in a form, as `ziggurat.FormData`.
pub(in crate::python) fn data_of(py: Python<'_>, form: &Form) -> PyResult<Py<PyAny>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let pairs = PyList::empty(py);
    for (name, value) in &form.pairs {
        let value = match value {
            Value::Text(text) => PyString::new(py, text).into_any(),
            Value::File(file) => Bound::new(py, UploadFile::new(file.clone()))?.into_any(),
        };
        pairs.append((&**name, value))?;
    }
    Ok(CLASS.import(py, "ziggurat._forms", "FormData")?.call1((pairs,))?.unbind())
}

/// Makes something that is awaited, or entered with `async with`, of something that is awaited.
pub(in crate::python) fn opened(py: Python<'_>, awaited: Py<PyAny>) -> PyResult<Py<PyAny>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    Ok(CLASS.import(py, "ziggurat._forms", "FormOpening")?.call1((awaited,))?.unbind())
}

/// The form in a body that is in memory.
pub(in crate::python) fn of_bytes(headers: &HeaderMap, bytes: &Bytes, limits: &Limits) -> Result<Arc<Form>, Problem> {
    let kind = Kind::of(headers, bytes.is_empty())?;
    checked(read::of_bytes(bytes, &kind, limits))
}

/// The form in a body that is still to be read.
pub(in crate::python) async fn of_body(
    body: Body,
    kind: &Kind,
    limits: &Limits,
    max_body: usize,
) -> Result<Arc<Form>, Problem> {
    checked(read::read(body, kind, limits, &[], max_body).await)
}

/// Whoever asks for all of a form wants texts that are texts.
fn checked(read: Result<Form, Problem>) -> Result<Arc<Form>, Problem> {
    let form = read?;
    if form.wrong.is_empty() {
        return Ok(Arc::new(form));
    }
    let names = form.wrong.iter().filter_map(|wrong| match &wrong.at {
        Location::Pointer(pointer) => Some(pointer.as_str()),
        _ => None,
    });
    let names: Vec<&str> = names.take(10).collect();
    let detail = format!("fields of the form are not UTF-8: {}", names.join(", "));
    Err(Problem::of(StatusCode::UNPROCESSABLE_ENTITY).detail(detail).errors(form.wrong))
}

/// Why there are no bytes.
pub(in crate::python) const READ_AS_FORM: &str = "the body was read as a form; await request.form()";
