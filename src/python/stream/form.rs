//! How what an iterator yields becomes bytes.

use std::borrow::Cow;

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use pyo3::types::{PyBytes, PyString};

use super::ServerSentEvent;
use crate::python::convert::to_json;

/// What a body in pieces is made of.
pub(in crate::python) enum Form {
    /// `bytes` and `str`, as they are.
    Chunks,
    /// A line of JSON for each. What was declared of it is written by the function, if there is one.
    Lines(Option<Py<PyAny>>),
    /// Server-sent events, or what is their data.
    Events(Option<Py<PyAny>>),
}

impl Form {
    pub(in crate::python) fn new(name: &str, write: Option<Py<PyAny>>) -> PyResult<Self> {
        match name {
            "chunks" => Ok(Self::Chunks),
            "lines" => Ok(Self::Lines(write)),
            "events" => Ok(Self::Events(write)),
            _ => Err(PyValueError::new_err(format!("{name:?} is no form of a body"))),
        }
    }

    pub(in crate::python) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Self::Lines(Some(write)) | Self::Events(Some(write)) => visit.call(write),
            _ => Ok(()),
        }
    }

    /// The bytes of one thing that was yielded.
    pub(super) fn bytes<'a>(&self, item: &'a Bound<'_, PyAny>) -> PyResult<Cow<'a, [u8]>> {
        match self {
            Self::Chunks => bytes_of(item),
            Self::Lines(write) => {
                let mut line = json(item, write.as_ref())?;
                line.push(b'\n');
                Ok(line.into())
            }
            Self::Events(write) => match item.cast::<ServerSentEvent>() {
                Ok(event) => event.get().encode(item.py()).map(Cow::Owned),
                Err(_) => ServerSentEvent::encode_data(item, write.as_ref()).map(Cow::Owned),
            },
        }
    }
}

/// `item` as JSON in one line: by the function, or by the encoder that writes what handlers return.
pub(super) fn json(item: &Bound<'_, PyAny>, write: Option<&Py<PyAny>>) -> PyResult<Vec<u8>> {
    match write {
        Some(write) => {
            let made = write.bind(item.py()).call1((item,))?;
            Ok(made.cast::<PyBytes>()?.as_bytes().to_vec())
        }
        None => to_json(item),
    }
}

fn bytes_of<'a>(chunk: &'a Bound<'_, PyAny>) -> PyResult<Cow<'a, [u8]>> {
    if let Ok(bytes) = chunk.cast::<PyBytes>() {
        return Ok(bytes.as_bytes().into());
    }
    if let Ok(text) = chunk.cast::<PyString>() {
        return Ok(text.to_str()?.as_bytes().into());
    }
    if let Ok(buffer) = PyBuffer::<u8>::get(chunk) {
        return Ok(buffer.to_vec(chunk.py())?.into());
    }
    let class = chunk.get_type().name().map_or_else(|_| "an object".to_owned(), |name| name.to_string());
    Err(PyTypeError::new_err(format!("a body was given {class} as a chunk; yield bytes or str")))
}
