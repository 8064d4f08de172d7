//! Server-sent events (WHATWG HTML, 9.2).

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use pyo3::types::PyString;

use super::form::json;

/// One event of a `text/event-stream`.
#[pyclass(frozen, module = "ziggurat")]
pub(in crate::python) struct ServerSentEvent {
    data: Option<Py<PyAny>>,
    /// The type that a client listens for.
    #[pyo3(get)]
    event: Option<String>,
    /// What comes back as `Last-Event-ID`.
    #[pyo3(get)]
    id: Option<String>,
    /// After how many milliseconds a client that lost its connection comes again.
    #[pyo3(get)]
    retry: Option<u64>,
    /// For people who look at the connection.
    #[pyo3(get)]
    comment: Option<String>,
}

impl ServerSentEvent {
    pub(super) fn encode(&self, py: Python<'_>) -> PyResult<Vec<u8>> {
        let mut out = Vec::with_capacity(128);
        if let Some(comment) = &self.comment {
            field(&mut out, "", comment);
        }
        for (name, value) in [("event", &self.event), ("id", &self.id)] {
            if let Some(value) = value {
                field(&mut out, name, value);
            }
        }
        if let Some(retry) = self.retry {
            field(&mut out, "retry", itoa::Buffer::new().format(retry));
        }
        if let Some(data) = &self.data {
            write_data(&mut out, data.bind(py), None)?;
        }
        out.push(b'\n');
        Ok(out)
    }

    /// An event of nothing but data.
    pub(super) fn encode_data(data: &Bound<'_, PyAny>, write: Option<&Py<PyAny>>) -> PyResult<Vec<u8>> {
        let mut out = Vec::with_capacity(128);
        write_data(&mut out, data, write)?;
        out.push(b'\n');
        Ok(out)
    }
}

/// A text as it is, and anything else as JSON.
fn write_data(out: &mut Vec<u8>, data: &Bound<'_, PyAny>, write: Option<&Py<PyAny>>) -> PyResult<()> {
    if let Ok(text) = data.cast_exact::<PyString>() {
        field(out, "data", text.to_str()?);
        return Ok(());
    }
    let json = json(data, write)?;
    // What another encoder has written may have line breaks.
    field(
        out,
        "data",
        std::str::from_utf8(&json).map_err(|_| PyValueError::new_err("the data of an event is not UTF-8"))?,
    );
    Ok(())
}

/// A line for each line of `value`, whichever line breaks it has: each of them would begin another field.
fn field(out: &mut Vec<u8>, name: &str, value: &str) {
    let mut rest = value;
    loop {
        let end = rest.find(['\r', '\n']).unwrap_or(rest.len());
        let (line, more) = rest.split_at(end);
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(line.as_bytes());
        out.push(b'\n');
        rest = match more.strip_prefix("\r\n").or_else(|| more.strip_prefix(['\r', '\n'])) {
            Some(rest) => rest,
            None => return,
        };
    }
}

#[pymethods]
impl ServerSentEvent {
    #[new]
    #[pyo3(signature = (data = None, *, event = None, id = None, retry = None, comment = None))]
    fn new(
        data: Option<Py<PyAny>>,
        event: Option<String>,
        id: Option<String>,
        retry: Option<u64>,
        comment: Option<String>,
    ) -> PyResult<Self> {
        for (name, value, refused) in [("event", &event, &['\r', '\n'][..]), ("id", &id, &['\r', '\n', '\0'][..])] {
            if value.as_ref().is_some_and(|value| value.contains(refused)) {
                return Err(PyValueError::new_err(format!("the {name} of an event has a line break or NUL")));
            }
        }
        Ok(Self { data, event, id, retry, comment })
    }

    /// What is told; `str` as it is, anything else as JSON.
    #[getter]
    fn data(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.data.as_ref().map(|data| data.clone_ref(py))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.data)
    }

    fn __repr__(&self) -> String {
        format!("<ServerSentEvent event={:?} id={:?}>", self.event, self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_a_field() {
        for (value, expected) in [
            ("", "data: \n"),
            ("a", "data: a\n"),
            (" a", "data:  a\n"),
            ("a\nb", "data: a\ndata: b\n"),
            ("a\r\nb\rc\n", "data: a\ndata: b\ndata: c\ndata: \n"),
            ("\n\r", "data: \ndata: \ndata: \n"),
        ] {
            let mut out = Vec::new();
            field(&mut out, "data", value);
            assert_eq!(String::from_utf8_lossy(&out), expected, "{value:?}");
        }
    }
}
