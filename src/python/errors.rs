//! Exceptions as answers, and start-up errors as exceptions.

use std::sync::Arc;

use http::StatusCode;
use pyo3::exceptions::{PyException, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde_json::value::RawValue;

use super::convert::{classes, to_json};
use super::headers::{header_name, header_value, text};
use super::interrupt;
use super::invalid::{self, Invalid};
use super::objects::{HasRaised, Objects};
use super::pages::failures::{self, Noted};
use crate::ConfigError;
use crate::service::{ErrorFormat, OwnWords, Problem};

/// `ziggurat.ConfigError` with the words of `error`.
pub(super) fn config_error(py: Python<'_>, error: &ConfigError) -> PyErr {
    let raised = || PyResult::Ok(PyErr::from_value(classes(py)?.config_error.bind(py).call1((error.to_string(),))?));
    raised().unwrap_or_else(|error| error)
}

/// The `AttributeError` for a member that an object does not have, with what is written here in the place of other frameworks'.
pub(super) fn missing(object: &Bound<'_, PyAny>, name: &str) -> PyErr {
    let py = object.py();
    let raised = || {
        let error =
            py.import(intern!(py, "ziggurat._elsewhere"))?.call_method1(intern!(py, "missing"), (object, name))?;
        PyResult::Ok(PyErr::from_value(error))
    };
    raised().unwrap_or_else(|error| error)
}

/// What the client is told about an exception. What nobody expected is logged with its traceback, and the client learns
/// nothing of it.
pub(super) fn answer(py: Python<'_>, error: PyErr, whose: &str) -> crate::Response {
    answer_outside(py, &error, whose, ErrorFormat::Problem)
}

/// The same in any format, and with what is kept of it for the layers outside.
fn answer_outside(py: Python<'_>, error: &PyErr, whose: &str, format: ErrorFormat) -> crate::Response {
    if let Some(told) = http_exception(py, error) {
        return told.into_response(format);
    }
    let mut response = format.response(Problem::internal());
    if let Some(noted) = noted(py, error, whose) {
        response.extensions_mut().insert(noted);
    }
    response
}

/// The same inside of a middleware, which is raised an exception that nobody expected: it may know what to answer, and if not it is
/// logged where it leaves the outermost one.
pub(super) fn answer_inside(
    py: Python<'_>,
    error: PyErr,
    whose: &str,
    outside: Option<(&Objects, u64)>,
) -> crate::Response {
    answer_as(py, error, whose, outside, ErrorFormat::Problem)
}

/// The same in another format.
pub(super) fn answer_as(
    py: Python<'_>,
    error: PyErr,
    whose: &str,
    outside: Option<(&Objects, u64)>,
    format: ErrorFormat,
) -> crate::Response {
    let Some((objects, id)) = outside else { return answer_outside(py, &error, whose, format) };
    if let Some(told) = http_exception(py, &error) {
        return told.into_response(format);
    }
    match objects.keep_raised(id, error, whose) {
        Ok(()) => {
            let mut response = format.response(Problem::internal());
            response.extensions_mut().insert(HasRaised);
            response
        }
        Err(error) => answer_outside(py, &error, whose, format),
    }
}

/// The same before it is an answer.
pub(super) fn problem(py: Python<'_>, error: PyErr, whose: &str) -> Problem {
    http_exception(py, &error).map_or_else(
        || {
            log(py, &error, whose);
            Problem::internal()
        },
        Invalid::into_problem,
    )
}

/// What an exception says that is an answer; None for one that nobody expected, as which one counts that was tampered with until it no longer
/// fits.
fn http_exception(py: Python<'_>, error: &PyErr) -> Option<Invalid> {
    let value = error.value(py);
    let classes = classes(py).ok()?;
    if !value.is_instance(classes.http_exception.bind(py)).ok()? {
        return None;
    }
    let status: u16 = value.getattr(intern!(py, "status")).ok()?.extract().ok()?;
    let status = StatusCode::from_u16(status).ok().filter(|s| s.is_client_error() || s.is_server_error())?;
    let told = if value.is_instance(classes.request_validation_error.bind(py)).ok()? {
        // Its errors may have been changed since it was made.
        let told = invalid::of_raised(value).map_err(|why| note(py, error, &format!("It cannot be answered: {why}")));
        told.ok()?
    } else {
        Problem::of(status).into()
    };
    told.with(|problem| worded(problem, value))
}

/// `problem` in the words of an exception, with its headers.
fn worded(mut problem: Problem, error: &Bound<'_, PyAny>) -> Option<Problem> {
    let py = error.py();
    let mut words = own_words(error).ok()?;
    let detail = error.getattr(intern!(py, "detail")).ok()?;
    match detail.extract::<Option<String>>() {
        Ok(Some(text)) => problem = problem.detail(text),
        Ok(None) => {}
        Err(_) => words.details = Some(raw(&detail).ok()?),
    }
    problem = problem.in_own_words(words);
    let headers = error.getattr(intern!(py, "headers")).ok()?.cast_into::<PyDict>().ok()?;
    for (name, text) in headers.iter() {
        let (name, text): (String, String) = (name.extract().ok()?, text.extract().ok()?);
        problem = problem.header(header_name(&name).ok()?, header_value(&name, &text).ok()?);
    }
    Some(problem)
}

/// What the app itself says of the problem.
fn own_words(error: &Bound<'_, PyAny>) -> PyResult<OwnWords> {
    let py = error.py();
    let mut words = OwnWords {
        kind: error.getattr(intern!(py, "type"))?.extract()?,
        title: error.getattr(intern!(py, "_title"))?.extract()?,
        instance: error.getattr(intern!(py, "instance"))?.extract()?,
        details: None,
        members: Vec::new(),
    };
    // Whoever derives a class from it may not call its constructor.
    let Some(members) = error.getattr_opt(intern!(py, "members"))? else { return Ok(words) };
    for (name, value) in members.cast_into::<PyDict>().map_err(PyErr::from)?.iter() {
        words.members.push((name.extract()?, raw(&value)?));
    }
    Ok(words)
}

/// A value as JSON.
fn raw(value: &Bound<'_, PyAny>) -> PyResult<Box<RawValue>> {
    let json = String::from_utf8(to_json(value)?).map_err(|error| PyValueError::new_err(error.to_string()))?;
    RawValue::from_string(json).map_err(|error| PyValueError::new_err(error.to_string()))
}

/// Tells Python's `ziggurat` logger about an exception, with its traceback, and keeps it where an app shows them.
pub(super) fn log(py: Python<'_>, error: &PyErr, whose: &str) {
    noted(py, error, whose);
}

/// The same, and what is kept.
pub(super) fn noted(py: Python<'_>, error: &PyErr, whose: &str) -> Option<Arc<Noted>> {
    note_whose(py, error);
    let tell = || -> PyResult<()> {
        let kwargs = PyDict::new(py);
        let info = (error.get_type(py), error.value(py), error.traceback(py));
        kwargs.set_item(intern!(py, "exc_info"), info)?;
        let logger = classes(py)?.logger.bind(py);
        logger.call_method(intern!(py, "error"), ("%s raised an exception", whose), Some(&kwargs))?;
        Ok(())
    };
    if let Err(failure) = interrupt::noting(py, tell()) {
        // A broken logging handler must not turn one failure into two.
        tracing::error!(handler = whose, %error, logging = %failure, "a handler failed, and so did logging it");
    }
    failures::note(py, error, whose)
}

/// Says of an `HTTPException` that is another framework's why it is no answer.
fn note_whose(py: Python<'_>, error: &PyErr) {
    let kind = error.get_type(py);
    let ours = classes(py).is_ok_and(|classes| error.is_instance(py, classes.http_exception.bind(py)));
    if ours || kind.name().is_ok_and(|name| name != "HTTPException") {
        return;
    }
    let Ok(module) = kind.module() else { return };
    let text = format!(
        "This is HTTPException of {module}; import HTTPException from ziggurat, or answer it by a function with @app.exception_handler"
    );
    note(py, error, &text);
}

/// The same exception, whose traceback says whose it is: for one that is raised where none of the user's code runs.
pub(super) fn with_note(py: Python<'_>, error: PyErr, text: &str) -> PyErr {
    note(py, &error, text);
    error
}

fn note(py: Python<'_>, error: &PyErr, text: &str) {
    // It is an exception all the same where it takes no note.
    let _ = error.value(py).call_method1(intern!(py, "add_note"), (text,));
}

/// Whether a task ended because it was cancelled.
pub(super) fn is_cancelled(py: Python<'_>, error: &PyErr) -> bool {
    classes(py).is_ok_and(|classes| error.get_type(py).is_subclass(classes.cancelled.bind(py)).unwrap_or(false))
}

/// `ziggurat.HTTPException` with the status, detail and headers of `problem`, for a middleware to catch or let through.
pub(super) fn http_error(py: Python<'_>, problem: &Problem) -> PyErr {
    let raised = || {
        let (detail, fields) = problem.told();
        let headers = PyDict::new(py);
        for (name, value) in fields {
            headers.set_item(name.as_str(), text(value))?;
        }
        let class = classes(py)?.http_exception.bind(py);
        PyResult::Ok(PyErr::from_value(class.call1((problem.status().as_u16(), detail, headers))?))
    };
    raised().unwrap_or_else(|error| error)
}

/// For what only a bug of ours could cause.
pub(super) fn bug(what: &str) -> PyErr {
    PyException::new_err(what.to_owned())
}
