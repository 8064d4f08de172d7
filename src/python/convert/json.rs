//! Python values to JSON bytes, in one pass.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::exceptions::{PyRecursionError, PyRuntimeError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyBytes, PyDate, PyDateTime, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PySet, PyString, PyTime, PyTuple,
};

use super::classes::{Classes, classes};

/// How deep lists and objects may stand in each other.
const MAX_DEPTH: usize = 200;

/// Encodes `value`.
///
/// A pydantic model encodes itself, by its aliases, as does a `msgspec.Struct`; msgspec encodes classes of attrs, too. NaN and the infinities, which JSON does not
/// have, become `null`, as pydantic writes them; `Decimal` becomes a string, so that no digit is lost.
///
/// # Errors
/// When it holds something that JSON cannot say, refers to itself, is nested too deep, or changes meanwhile.
pub(in crate::python) fn to_json(value: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    let mut encoder = Encoder { out: Vec::with_capacity(128), open: Vec::new(), classes: classes(value.py())? };
    // PyO3 panics when a dict changes while it is walked through, which code of the values, or of another thread while
    // that runs, may do.
    catch_unwind(AssertUnwindSafe(|| encoder.value(value)))
        .unwrap_or_else(|_| Err(PyRuntimeError::new_err("the answer changed while it was made JSON")))?;
    Ok(encoder.out)
}

struct Encoder<'a> {
    out: Vec<u8>,
    /// The containers that are being written, by address: what stands in itself is found here.
    open: Vec<usize>,
    classes: &'a Classes,
}

/// The JSON of a type that pydantic knows by itself.
fn pydantic_json<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = value.py();
    let kwargs = PyDict::new(py);
    kwargs.set_item(intern!(py, "inf_nan_mode"), intern!(py, "null"))?;
    py.import(intern!(py, "pydantic_core"))?.call_method(intern!(py, "to_json"), (value,), Some(&kwargs))
}

impl Encoder<'_> {
    fn value(&mut self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        // The exact types first: comparing one pointer tells them apart.
        if let Ok(text) = value.cast_exact::<PyString>() {
            return self.text(text);
        }
        if value.is_none() {
            self.out.extend_from_slice(b"null");
            return Ok(());
        }
        if let Ok(truth) = value.cast_exact::<PyBool>() {
            self.out.extend_from_slice(if truth.is_true() { b"true" } else { b"false" });
            return Ok(());
        }
        if let Ok(int) = value.cast_exact::<PyInt>() {
            return self.int(int);
        }
        if let Ok(float) = value.cast_exact::<PyFloat>() {
            self.float(float.value());
            return Ok(());
        }
        if let Ok(dict) = value.cast_exact::<PyDict>() {
            return self.dict(dict);
        }
        if let Ok(list) = value.cast_exact::<PyList>() {
            return self.array(value, list.iter());
        }
        if let Ok(tuple) = value.cast_exact::<PyTuple>() {
            return self.array(value, tuple.iter());
        }
        self.other(value)
    }

    fn other(&mut self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = value.py();
        let class = value.get_type();
        if let Some(serializer) = class.getattr_opt(intern!(py, "__pydantic_serializer__"))? {
            let kwargs = PyDict::new(py);
            kwargs.set_item(intern!(py, "by_alias"), true)?;
            let json = serializer.call_method(intern!(py, "to_json"), (value,), Some(&kwargs))?;
            self.out.extend_from_slice(json.cast::<PyBytes>()?.as_bytes());
            return Ok(());
        }
        // Before str and int: a member of a StrEnum is also a str.
        if value.is_instance(self.classes.r#enum.bind(py))? {
            return self.nested(value, |this| this.value(&value.getattr(intern!(py, "value"))?));
        }
        if value.is_instance(self.classes.uuid.bind(py))? || value.is_instance(self.classes.decimal.bind(py))? {
            return self.text(&value.str()?);
        }
        if value.is_instance_of::<PyDateTime>() || value.is_instance_of::<PyTime>() || value.is_instance_of::<PyDate>()
        {
            return self.moment(value);
        }
        if let Ok(text) = value.cast::<PyString>() {
            return self.text(text);
        }
        if let Ok(int) = value.cast::<PyInt>() {
            return self.int(int);
        }
        if let Ok(float) = value.cast::<PyFloat>() {
            self.float(float.value());
            return Ok(());
        }
        if let Ok(dict) = value.cast::<PyDict>() {
            return self.dict(dict);
        }
        if value.is_instance_of::<PyList>()
            || value.is_instance_of::<PyTuple>()
            || value.is_instance_of::<PySet>()
            || value.is_instance_of::<PyFrozenSet>()
        {
            let items = value.try_iter()?.collect::<PyResult<Vec<_>>>()?;
            return self.array(value, items.into_iter());
        }
        if let Ok(bytes) = value.cast::<PyBytes>() {
            let text = std::str::from_utf8(bytes.as_bytes())
                .map_err(|_| PyTypeError::new_err("bytes that are not UTF-8 cannot be JSON; encode them as text"))?;
            string(&mut self.out, text);
            return Ok(());
        }
        if class.hasattr(intern!(py, "__dataclass_fields__"))? {
            let fields = self.classes.dataclass_fields.bind(py).call1((value,))?;
            return self.dataclass(value, &fields);
        }
        if class.hasattr(intern!(py, "__struct_fields__"))? || class.hasattr(intern!(py, "__attrs_attrs__"))? {
            let json = py.import(intern!(py, "msgspec.json"))?.call_method1(intern!(py, "encode"), (value,))?;
            self.out.extend_from_slice(json.cast::<PyBytes>()?.as_bytes());
            return Ok(());
        }
        // What else pydantic knows, as it writes it in models: durations, addresses, paths, deques. A generator would be run to its end here.
        if !class.hasattr(intern!(py, "__next__"))?
            && let Ok(json) = pydantic_json(value)
        {
            self.out.extend_from_slice(json.cast::<PyBytes>()?.as_bytes());
            return Ok(());
        }
        let elsewhere = py.import(intern!(py, "ziggurat._elsewhere"))?;
        let cure: String = elsewhere.call_method1(intern!(py, "to_answer"), (&class,))?.extract()?;
        Err(PyTypeError::new_err(format!("{} cannot be answered as JSON; {cure}", class.fully_qualified_name()?)))
    }

    fn nested(&mut self, value: &Bound<'_, PyAny>, write: impl FnOnce(&mut Self) -> PyResult<()>) -> PyResult<()> {
        let address = value.as_ptr() as usize;
        if self.open.contains(&address) {
            return Err(PyRecursionError::new_err(format!(
                "a {} that stands in itself cannot be answered as JSON",
                value.get_type().name()?
            )));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(PyRecursionError::new_err(format!("more than {MAX_DEPTH} levels cannot be answered as JSON")));
        }
        self.open.push(address);
        write(self)?;
        self.open.pop();
        Ok(())
    }

    fn array<'py>(
        &mut self,
        whole: &Bound<'py, PyAny>,
        items: impl Iterator<Item = Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        self.nested(whole, |this| {
            this.out.push(b'[');
            for (index, item) in items.enumerate() {
                if index > 0 {
                    this.out.push(b',');
                }
                this.value(&item)?;
            }
            this.out.push(b']');
            Ok(())
        })
    }

    fn dict(&mut self, dict: &Bound<'_, PyDict>) -> PyResult<()> {
        self.nested(dict, |this| {
            this.out.push(b'{');
            for (index, (key, value)) in dict.iter().enumerate() {
                if index > 0 {
                    this.out.push(b',');
                }
                this.key(&key)?;
                this.out.push(b':');
                this.value(&value)?;
            }
            this.out.push(b'}');
            Ok(())
        })
    }

    fn dataclass(&mut self, value: &Bound<'_, PyAny>, fields: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = value.py();
        self.nested(value, |this| {
            this.out.push(b'{');
            for (index, field) in fields.try_iter()?.enumerate() {
                if index > 0 {
                    this.out.push(b',');
                }
                let name = field?.getattr(intern!(py, "name"))?.cast_into::<PyString>()?;
                this.text(&name)?;
                this.out.push(b':');
                this.value(&value.getattr(&name)?)?;
            }
            this.out.push(b'}');
            Ok(())
        })
    }

    /// Keys as `json.dumps` and pydantic write them: always text.
    fn key(&mut self, key: &Bound<'_, PyAny>) -> PyResult<()> {
        if let Ok(text) = key.cast_exact::<PyString>() {
            return self.text(text);
        }
        let start = self.out.len();
        if key.is_none() || key.is_instance_of::<PyInt>() || key.is_instance_of::<PyFloat>() {
            self.out.push(b'"');
            self.value(key)?;
            // A member of an IntEnum or StrEnum comes out as its value, which may have quotes already.
            if self.out.get(start + 1) == Some(&b'"') {
                self.out.remove(start);
            } else {
                self.out.push(b'"');
            }
            return Ok(());
        }
        self.value(key)?;
        if self.out.get(start) == Some(&b'"') {
            return Ok(());
        }
        Err(PyTypeError::new_err(format!(
            "{} cannot be a key of a JSON object",
            key.get_type().fully_qualified_name()?
        )))
    }

    fn text(&mut self, text: &Bound<'_, PyString>) -> PyResult<()> {
        string(&mut self.out, text.to_str()?);
        Ok(())
    }

    fn int(&mut self, int: &Bound<'_, PyInt>) -> PyResult<()> {
        match int.extract::<i64>() {
            Ok(small) => self.out.extend_from_slice(itoa::Buffer::new().format(small).as_bytes()),
            // `int.__repr__`, so that a subclass cannot write what is not a number.
            Err(_) => {
                let py = int.py();
                let digits = py.get_type::<PyInt>().call_method1(intern!(py, "__repr__"), (int,))?;
                self.out.extend_from_slice(digits.cast::<PyString>()?.to_str()?.as_bytes());
            }
        }
        Ok(())
    }

    fn float(&mut self, float: f64) {
        if float.is_finite() {
            self.out.extend_from_slice(ryu::Buffer::new().format_finite(float).as_bytes());
        } else {
            self.out.extend_from_slice(b"null");
        }
    }

    /// ISO 8601; UTC is `Z`, as pydantic writes it.
    fn moment(&mut self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let text = value.call_method0(intern!(value.py(), "isoformat"))?;
        let text = text.cast::<PyString>()?.to_str()?;
        self.out.push(b'"');
        match text.strip_suffix("+00:00") {
            Some(head) => {
                self.out.extend_from_slice(head.as_bytes());
                self.out.push(b'Z');
            }
            None => self.out.extend_from_slice(text.as_bytes()),
        }
        self.out.push(b'"');
        Ok(())
    }
}

/// Writes `text` in quotes. Runs of plain bytes are copied whole.
fn string(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let bytes = text.as_bytes();
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    let mut copied = 0;
    for (index, &byte) in bytes.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[copied..index]);
        copied = index + 1;
        let short = match byte {
            b'"' | b'\\' => byte,
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x08 => b'b',
            0x0c => b'f',
            _ => {
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 15)]);
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', short]);
    }
    out.extend_from_slice(&bytes[copied..]);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_read_back_the_same() {
        for text in ["", "plain", "a\"b\\c", "\n\r\t\u{8}\u{c}\u{1}\u{1f}", "grüße 🦀", "\u{7f}\u{2028}"] {
            let mut out = Vec::new();
            string(&mut out, text);
            assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }
}
