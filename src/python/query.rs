//! The query string as Python sees it.

use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::{PyIterator, PyList};

/// Names and values of a query string, decoded as forms are: `+` is a space.
///
/// Bytes that are not UTF-8 become U+FFFD: whoever looks at the whole query wants to see it as it is. Parameters of a
/// handler are read strictly.
fn pairs(query: &str) -> impl Iterator<Item = (String, String)> + '_ {
    query.split('&').filter(|part| !part.is_empty()).map(|part| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        (decode(name), decode(value))
    })
}

fn decode(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

/// The decoded query string; a name may stand there more than once.
#[pyclass(frozen, module = "ziggurat")]
pub(super) struct QueryParams(Vec<(String, String)>);

impl QueryParams {
    pub(super) fn new(query: &str) -> Self {
        Self(pairs(query).collect())
    }

    /// The last one counts, as in Starlette.
    fn last(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(own, _)| own == name).map(|(_, value)| &**value)
    }
}

#[pymethods]
impl QueryParams {
    fn __getitem__(&self, name: &str) -> PyResult<&str> {
        self.last(name).ok_or_else(|| PyKeyError::new_err(name.to_owned()))
    }

    fn __contains__(&self, name: &Bound<'_, PyAny>) -> bool {
        name.extract::<&str>().is_ok_and(|name| self.last(name).is_some())
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        PyList::new(py, self.keys())?.try_iter()
    }

    fn __len__(&self) -> usize {
        self.keys().len()
    }

    fn __repr__(&self) -> String {
        format!("QueryParams({:?})", self.0)
    }

    /// The value of that name, the last of several; `default` where there is none.
    #[pyo3(signature = (name, default = None))]
    fn get(&self, name: &str, default: Option<String>) -> Option<String> {
        self.last(name).map(str::to_owned).or(default)
    }

    /// All values of that name.
    fn getlist(&self, name: &str) -> Vec<&str> {
        self.0.iter().filter(|(own, _)| own == name).map(|(_, value)| &**value).collect()
    }

    /// The names, each once.
    fn keys(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for (name, _) in &self.0 {
            if !names.contains(&&**name) {
                names.push(name);
            }
        }
        names
    }

    /// The value of each name, the last of several.
    fn values(&self) -> Vec<&str> {
        self.keys().into_iter().filter_map(|name| self.last(name)).collect()
    }

    /// Each name with its value, the last of several.
    fn items(&self) -> Vec<(&str, &str)> {
        self.keys().into_iter().filter_map(|name| Some((name, self.last(name)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_decoded() {
        let got: Vec<_> = pairs("a=1&b=x+y%21&a=2&c&&%ff=z").collect();
        let want = [("a", "1"), ("b", "x y!"), ("a", "2"), ("c", ""), ("\u{fffd}", "z")];
        assert_eq!(got, want.map(|(a, b)| (a.to_owned(), b.to_owned())));
    }
}
