//! The body of a request: what is taken of it, and what it has to be.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use memchr::memmem;
use pyo3::exceptions::{PyRecursionError, PyUnicodeDecodeError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use serde::de::IgnoredAny;

use super::callable::{Callable, Failed};
use super::plan::{BodyDefault, BodyPlan, Decoder};
use super::scalar::is_media_type;
use crate::python::{errors, invalid};
use crate::service::{Location, Problem, Violation};

const JSON: &str = "application/json";

impl BodyPlan {
    /// Whether a body of this type and content is taken, as far as that can be told without Python.
    pub(super) fn check(&self, headers: &HeaderMap, body: &Bytes) -> Result<(), Problem> {
        if body.is_empty() {
            // Nothing is a text and a file, too.
            let is_raw = matches!(self.decoder, Decoder::Bytes | Decoder::Str);
            return if self.required && !is_raw { Err(missing()) } else { Ok(()) };
        }
        self.check_media_type(headers)?;
        match self.decoder {
            Decoder::Str if std::str::from_utf8(body).is_err() => {
                Err(Problem::bad_request("the body is not UTF-8, which texts are sent as"))
            }
            Decoder::Pydantic => json_numbers(body),
            _ => Ok(()),
        }
    }

    /// For JSON any type that ends with `+json` will do. None said is refused too, but where any is taken: a page of another site may
    /// send a body without a type, and must not get through by that.
    fn check_media_type(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let text = headers.get(CONTENT_TYPE).and_then(|given| given.to_str().ok()).unwrap_or_default();
        let given = text.split(';').next().unwrap_or_default().trim();
        let is = |part: Option<&str>, wanted: &str| part.is_some_and(|part| part.eq_ignore_ascii_case(wanted));
        let begins = |start: &str| is(given.get(..start.len()), start);
        let ends = |end: &str| is(given.len().checked_sub(end.len()).and_then(|at| given.get(at..)), end);
        let fits = |taken: &String| match taken.as_str() {
            "*/*" => true,
            JSON => given.eq_ignore_ascii_case(JSON) || (begins("application/") && ends("+json")),
            taken => is_media_type(given, taken),
        };
        if self.media_types.iter().any(fits) {
            return Ok(());
        }
        let taken = self.media_types.join(", ");
        Err(Problem::of(StatusCode::UNSUPPORTED_MEDIA_TYPE).detail(format!("this route takes {taken}")))
    }
}

/// pydantic reads `NaN` and `Infinity` as numbers, which JSON does not have (RFC 8259, section 6), and few others read again.
fn json_numbers(body: &Bytes) -> Result<(), Problem> {
    if memmem::find(body, b"NaN").is_none() && memmem::find(body, b"Infinity").is_none() {
        return Ok(());
    }
    // It may stand in a text.
    match serde_json::from_slice::<IgnoredAny>(body) {
        Ok(_) => Ok(()),
        Err(error) => Err(invalid::not_json(&error.to_string(), body)),
    }
}

fn missing() -> Problem {
    Problem::validation(vec![Violation::new(Location::Pointer(String::new()), "missing", "a JSON body is needed")])
}

/// A default, made anew where a handler might change it.
fn made<'py>(py: Python<'py>, of: &Callable, (index, is_maker): BodyDefault) -> Result<Bound<'py, PyAny>, Failed> {
    let object = of.objects[index].bind(py);
    Ok(if is_maker { object.call0()? } else { object.clone() })
}

/// The body of one request, read once.
pub(super) struct Decoded<'a, 'py> {
    bytes: &'a Bytes,
    /// All of it, where members are taken.
    value: Option<Bound<'py, PyAny>>,
}

impl<'a, 'py> Decoded<'a, 'py> {
    pub(super) fn new(bytes: &'a Bytes) -> Self {
        Self { bytes, value: None }
    }

    pub(super) fn whole(&self, py: Python<'py>, of: &Callable) -> Result<Bound<'py, PyAny>, Failed> {
        let plan = plan(of)?;
        if self.bytes.is_empty()
            && let Some(default) = plan.default
        {
            return made(py, of, default);
        }
        self.decode(py, of, plan)
    }

    /// The member at `index`.
    pub(super) fn field(&mut self, py: Python<'py>, of: &Callable, index: usize) -> Result<Bound<'py, PyAny>, Failed> {
        let plan = plan(of)?;
        let field = plan.fields.as_ref().and_then(|fields| fields.get(index));
        let (name, default) = field.ok_or_else(|| errors::bug("a body has the members that are taken"))?;
        if self.value.is_none() && !self.bytes.is_empty() {
            self.value = Some(self.decode(py, of, plan)?);
        }
        let found = match &self.value {
            Some(value) => value.cast::<pyo3::types::PyDict>().map_err(PyErr::from)?.get_item(name)?,
            None => None,
        };
        match (found, default) {
            (Some(found), _) => Ok(found),
            (None, Some(default)) => made(py, of, *default),
            (None, None) => Err(errors::bug("a member that is needed was missed").into()),
        }
    }

    fn decode(&self, py: Python<'py>, of: &Callable, plan: &BodyPlan) -> Result<Bound<'py, PyAny>, Failed> {
        let Some(decode) = plan.decode else {
            return match plan.decoder {
                Decoder::Str => {
                    let text = std::str::from_utf8(self.bytes).map_err(|_| errors::bug("a text was checked before"))?;
                    Ok(PyString::new(py, text).into_any())
                }
                _ => Ok(PyBytes::new(py, self.bytes).into_any()),
            };
        };
        let decode = of.objects[decode].bind(py);
        decode.call1((PyBytes::new(py, self.bytes),)).map_err(|error| match invalid::of_body(py, &error, self.bytes) {
            Ok(Some(invalid)) => Failed::refused(invalid),
            Ok(None) => match not_decoded(py, &error) {
                Some(why) => Failed::refused(invalid::not_json(why, self.bytes)),
                None => Failed::Raised(error),
            },
            Err(failure) => Failed::Raised(failure),
        })
    }
}

/// What msgspec says of some bodies by exceptions of the interpreter. Those that code of the user raises have a traceback.
fn not_decoded(py: Python<'_>, error: &PyErr) -> Option<&'static str> {
    if error.traceback(py).is_some() {
        return None;
    }
    if error.is_instance_of::<PyUnicodeDecodeError>(py) {
        return Some("a text in it is not UTF-8");
    }
    error.is_instance_of::<PyRecursionError>(py).then_some("it is nested too deep")
}

fn plan(of: &Callable) -> PyResult<&BodyPlan> {
    of.plan.body.as_ref().ok_or_else(|| errors::bug("a body has a plan"))
}
