//! Header fields as Python sees them.

use std::borrow::Cow;
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::header::{HeaderMap, HeaderName, HeaderValue};
use pyo3::exceptions::{PyKeyError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyIterator, PyList};

/// Header fields by case-insensitive name; the headers of a request cannot be changed.
#[pyclass(frozen, module = "ziggurat")]
pub(super) struct Headers {
    // Never locked while Python runs.
    map: Mutex<HeaderMap>,
    writable: bool,
}

impl Headers {
    pub(super) fn of_request(map: HeaderMap) -> Self {
        Self { map: Mutex::new(map), writable: false }
    }

    pub(super) fn of_response(map: HeaderMap) -> Self {
        Self { map: Mutex::new(map), writable: true }
    }

    pub(super) fn snapshot(&self) -> HeaderMap {
        self.lock().clone()
    }

    /// Appends a field to those of a response.
    pub(super) fn add(&self, name: HeaderName, value: HeaderValue) {
        self.lock().append(name, value);
    }

    fn lock(&self) -> MutexGuard<'_, HeaderMap> {
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn writable(&self) -> PyResult<MutexGuard<'_, HeaderMap>> {
        if self.writable {
            return Ok(self.lock());
        }
        Err(PyTypeError::new_err("the headers of a request cannot be changed"))
    }
}

/// A field name.
pub(super) fn header_name(name: &str) -> PyResult<HeaderName> {
    HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| PyValueError::new_err(format!("{name:?} is not the name of a header")))
}

/// A field value; line breaks and NUL would let a value smuggle in other headers, so they are refused.
pub(super) fn header_value(name: &str, value: &str) -> PyResult<HeaderValue> {
    HeaderValue::from_bytes(value.as_bytes())
        .map_err(|_| PyValueError::new_err(format!("the value of the header {name} has a control character")))
}

pub(super) fn text(value: &HeaderValue) -> String {
    text_of(value).into_owned()
}

/// Fields are bytes; what is not UTF-8 is read as Latin-1, as HTTP once said.
pub(super) fn text_of(value: &HeaderValue) -> Cow<'_, str> {
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => text.into(),
        Err(_) => value.as_bytes().iter().map(|&byte| char::from(byte)).collect::<String>().into(),
    }
}

/// Fills a map from a mapping, or from pairs, which may name a field more than once.
pub(super) fn collect(given: &Bound<'_, PyAny>) -> PyResult<HeaderMap> {
    let mut map = HeaderMap::new();
    if let Ok(headers) = given.cast::<Headers>() {
        return Ok(headers.get().snapshot());
    }
    let pairs = match given.cast::<PyDict>() {
        Ok(dict) => dict.items().into_any(),
        Err(_) if given.hasattr("items")? => given.call_method0("items")?,
        Err(_) => given.clone(),
    };
    for pair in pairs.try_iter()? {
        let (name, value): (String, String) = pair?
            .extract()
            .map_err(|_| PyTypeError::new_err("headers are a mapping from str to str, or pairs of str"))?;
        map.append(header_name(&name)?, header_value(&name, &value)?);
    }
    Ok(map)
}

#[pymethods]
impl Headers {
    fn __getitem__(&self, name: &str) -> PyResult<String> {
        self.lock().get(name).map(text).ok_or_else(|| PyKeyError::new_err(name.to_owned()))
    }

    fn __setitem__(&self, name: &str, value: &str) -> PyResult<()> {
        let (key, value) = (header_name(name)?, header_value(name, value)?);
        self.writable()?.insert(key, value);
        Ok(())
    }

    fn __delitem__(&self, name: &str) -> PyResult<()> {
        match self.writable()?.remove(name) {
            Some(_) => Ok(()),
            None => Err(PyKeyError::new_err(name.to_owned())),
        }
    }

    fn __contains__(&self, name: &Bound<'_, PyAny>) -> bool {
        name.extract::<&str>().is_ok_and(|name| self.lock().contains_key(name))
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        PyList::new(py, self.keys())?.try_iter()
    }

    fn __len__(&self) -> usize {
        self.lock().keys_len()
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        match other.cast::<Self>() {
            Ok(other) => self.snapshot() == other.get().snapshot(),
            Err(_) => collect(other).is_ok_and(|other| self.snapshot() == other),
        }
    }

    fn __repr__(&self) -> String {
        // Names only: values may be secrets.
        format!("Headers({})", self.keys().join(", "))
    }

    /// The value of the field of that name, the first of several; `default` where there is none.
    #[pyo3(signature = (name, default = None))]
    fn get(&self, name: &str, default: Option<String>) -> Option<String> {
        self.lock().get(name).map(text).or(default)
    }

    /// The values of all fields of that name.
    fn getlist(&self, name: &str) -> Vec<String> {
        self.lock().get_all(name).iter().map(text).collect()
    }

    /// Adds a field beside those of that name.
    fn append(&self, name: &str, value: &str) -> PyResult<()> {
        let (key, value) = (header_name(name)?, header_value(name, value)?);
        self.writable()?.append(key, value);
        Ok(())
    }

    /// The value of the field of that name, which is added with `value` where there is none.
    fn setdefault(&self, name: &str, value: &str) -> PyResult<String> {
        let (key, value) = (header_name(name)?, header_value(name, value)?);
        Ok(text(self.writable()?.entry(key).or_insert(value)))
    }

    /// The names, in lower case, each once.
    fn keys(&self) -> Vec<String> {
        self.lock().keys().map(|name| name.as_str().to_owned()).collect()
    }

    /// The values of all fields.
    fn values(&self) -> Vec<String> {
        self.lock().values().map(text).collect()
    }

    /// Names and values of all fields.
    fn items(&self) -> Vec<(String, String)> {
        self.lock().iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
    }
}
