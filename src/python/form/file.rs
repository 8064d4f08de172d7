//! A file of a form, as Python sees it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use pyo3::exceptions::{PyOSError, PyStopAsyncIteration, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyType};
use rustix::io::Errno;
use tokio::task::spawn_blocking;

use super::upload::{Content, Upload, read_at, save};
use crate::python::bridge::spawn_bringing;
use crate::python::headers::{self, Headers, header_value};
use crate::python::ready::{ready, ready_late};

/// What `async for` gives at a time.
const CHUNK: u64 = 256 << 10;

/// A file of a form. Small ones are in memory, great ones in a temporary file that has no name.
///
/// It can be read while its request is answered, and by the tasks that run behind the answer; then it is closed, and gone.
#[pyclass(frozen, module = "ziggurat")]
pub(in crate::python) struct UploadFile {
    upload: Arc<Upload>,
    /// Where the next read begins. Never locked while Python runs.
    position: Mutex<u64>,
    headers: PyOnceLock<Py<Headers>>,
    /// Never locked while Python runs.
    file: Mutex<Option<Py<PyAny>>>,
}

impl UploadFile {
    pub(in crate::python) fn new(upload: Arc<Upload>) -> Self {
        Self { upload, position: Mutex::new(0), headers: PyOnceLock::new(), file: Mutex::default() }
    }

    fn open(&self) -> PyResult<Content> {
        self.upload.content().ok_or_else(|| {
            PyValueError::new_err("I/O operation on closed file: an upload is closed when its request was answered")
        })
    }

    fn made_file(&self) -> MutexGuard<'_, Option<Py<PyAny>>> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn position(&self) -> MutexGuard<'_, u64> {
        self.position.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the next bytes, `most` at most: where they begin and how many there are.
    fn advance(&self, most: u64) -> PyResult<(u64, usize)> {
        let mut position = self.position();
        let length = self.upload.size().saturating_sub(*position).min(most);
        let taken = (*position, usize::try_from(length).map_err(|_| PyValueError::new_err("the file is too large"))?);
        *position += length;
        Ok(taken)
    }

    fn read_next(&self, py: Python<'_>, content: Content, at: u64, length: usize) -> PyResult<Py<PyAny>> {
        match content {
            Content::Memory(bytes) => ready(py, PyBytes::new(py, within(&bytes, at, length)).into_any().unbind()),
            Content::Disk(_) if length == 0 => ready(py, PyBytes::new(py, b"").into_any().unbind()),
            Content::Disk(file) => {
                let read = spawn_bringing(py, async move {
                    let read = blocking(move || read_at(&file, at, length)).await;
                    move |py: Python<'_>| match read {
                        Ok(bytes) => Ok(PyBytes::new(py, &bytes).into_any().unbind()),
                        Err(error) => Err(os_error(&error, None)),
                    }
                })?;
                Ok(read.into_any().unbind())
            }
        }
    }
}

#[pymethods]
impl UploadFile {
    /// A file as a test wants to hand it to a handler; `file` is read to its end.
    #[new]
    #[pyo3(signature = (file, *, filename = None, headers = None, content_type = None))]
    fn made(
        file: &Bound<'_, PyAny>,
        filename: Option<String>,
        headers: Option<&Bound<'_, PyAny>>,
        content_type: Option<&str>,
    ) -> PyResult<Self> {
        let content = match file.cast::<PyBytes>() {
            Ok(bytes) => bytes.clone(),
            Err(_) => {
                let read = file.call_method0(intern!(file.py(), "read"))?;
                read.cast_into().map_err(|_| PyTypeError::new_err("an upload is made of bytes, or of a binary file"))?
            }
        };
        let mut map = headers.map_or_else(|| Ok(HeaderMap::new()), headers::collect)?;
        if let Some(content_type) = content_type {
            map.insert(CONTENT_TYPE, header_value("content-type", content_type)?);
        }
        let content = Bytes::copy_from_slice(content.as_bytes());
        Ok(Self::new(Arc::new(Upload::in_memory(filename, map, content))))
    }

    /// As the client says it, without directories and control characters; None where that leaves nothing.
    #[getter]
    fn filename(&self) -> Option<&str> {
        self.upload.filename.as_deref()
    }

    /// As the client says it, which need not be true.
    #[getter]
    fn content_type(&self) -> Option<&str> {
        self.upload.content_type()
    }

    /// How many bytes it has.
    #[getter]
    fn size(&self) -> u64 {
        self.upload.size()
    }

    /// Those of its part.
    #[getter]
    fn headers(&self, py: Python<'_>) -> PyResult<Py<Headers>> {
        let made =
            self.headers.get_or_try_init(py, || Py::new(py, Headers::of_request(self.upload.headers.clone())))?;
        Ok(made.clone_ref(py))
    }

    /// Whether it can be read no more.
    #[getter]
    fn closed(&self) -> bool {
        self.upload.content().is_none()
    }

    /// What libraries want that read a file by themselves; it blocks, and has a place of its own.
    #[getter]
    fn file(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        static BYTES: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        static READER: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        let content = self.open()?;
        if let Some(made) = &*self.made_file() {
            return Ok(made.clone_ref(py));
        }
        let made = match content {
            Content::Memory(bytes) => {
                BYTES.import(py, "ziggurat._forms", "UploadBytes")?.call1((PyBytes::new(py, &bytes),))?
            }
            Content::Disk(_) => {
                // One of its own, so that neither holds the other.
                let reader = READER.import(py, "ziggurat._forms", "UploadReader")?;
                let raw = reader.call1((Self::new(self.upload.clone()),))?;
                py.import(intern!(py, "io"))?.call_method1(intern!(py, "BufferedReader"), (raw,))?
            }
        };
        // Whoever was first.
        let made = self.made_file().get_or_insert(made.unbind()).clone_ref(py);
        Ok(made)
    }

    /// The next `size` bytes, or all that are left, to be awaited.
    #[pyo3(signature = (size = -1), text_signature = "($self, size=-1)")]
    fn read(&self, py: Python<'_>, size: i64) -> PyResult<Py<PyAny>> {
        let content = self.open()?;
        let (at, length) = self.advance(u64::try_from(size).unwrap_or(u64::MAX))?;
        self.read_next(py, content, at, length)
    }

    /// Reads from a place at once, for what blocks anyway.
    fn _read_at<'py>(&self, py: Python<'py>, at: u64, most: u64) -> PyResult<Bound<'py, PyBytes>> {
        let content = self.open()?;
        let length = usize::try_from(self.upload.size().saturating_sub(at).min(most)).unwrap_or(usize::MAX);
        match content {
            Content::Disk(file) if length > 0 => {
                let read = py.detach(|| read_at(&file, at, length));
                Ok(PyBytes::new(py, &read.map_err(|error| os_error(&error, None))?))
            }
            Content::Memory(bytes) if length > 0 => Ok(PyBytes::new(py, within(&bytes, at, length))),
            _ => Ok(PyBytes::new(py, b"")),
        }
    }

    /// Puts bytes where the next read would begin, and goes on behind them.
    fn write(&self, py: Python<'_>, data: PyBackedBytes) -> PyResult<Py<PyAny>> {
        let content = self.open()?;
        let mut position = self.position();
        let at = *position;
        let end = i64::try_from(data.len()).ok().and_then(|length| at.checked_add_signed(length));
        *position = end.ok_or_else(|| os_error(&io::ErrorKind::FileTooLarge.into(), None))?;
        drop(position);
        // What was made of it would go on with what it had.
        let stale = self.made_file().take();
        drop(stale);
        match content {
            Content::Memory(held) => {
                drop(held);
                self.upload.write_in_memory(at, &data).map_err(|error| os_error(&error, None))?;
                ready(py, py.None())
            }
            Content::Disk(file) => {
                let upload = self.upload.clone();
                // `data` is Python's, and is let go of where that may be done.
                let bytes = Bytes::copy_from_slice(&data);
                let written = spawn_bringing(py, async move {
                    let written = blocking(move || upload.write_on_disk(&file, at, &bytes)).await;
                    move |py: Python<'_>| written.map(|()| py.None()).map_err(|error| os_error(&error, None))
                })?;
                Ok(written.into_any().unbind())
            }
        }
    }

    /// Goes on at `offset`, from the beginning, or with `whence` 1 from here, or with 2 from the end; to be awaited.
    #[pyo3(signature = (offset, whence = 0))]
    fn seek(&self, py: Python<'_>, offset: i64, whence: u8) -> PyResult<Py<PyAny>> {
        self.open()?;
        let mut position = self.position();
        let from = match whence {
            0 => 0,
            1 => *position,
            2 => self.upload.size(),
            _ => return Err(PyValueError::new_err("whence is 0, 1 or 2")),
        };
        let to =
            from.checked_add_signed(offset).ok_or_else(|| PyValueError::new_err("before the beginning of the file"))?;
        *position = to;
        drop(position);
        ready(py, to.into_pyobject(py)?.into_any().unbind())
    }

    /// Copies it to `path`, where all of it is at once or nothing.
    #[pyo3(signature = (path, *, overwrite = true))]
    fn save(&self, py: Python<'_>, path: PathBuf, overwrite: bool) -> PyResult<Py<PyAny>> {
        let (content, size) = (self.open()?, self.upload.size());
        let saved = spawn_bringing(py, async move {
            let to = path.clone();
            let saved = blocking(move || save(&content, size, &to, overwrite)).await;
            move |py: Python<'_>| match saved {
                Ok(()) => Ok(py.None()),
                Err(error) => Err(os_error(&error, Some(&path))),
            }
        })?;
        Ok(saved.into_any().unbind())
    }

    /// Closes it before its request has ended, to be awaited.
    fn close(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.upload.close();
        ready(py, py.None())
    }

    fn __aiter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __anext__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let content = self.open()?;
        let (at, length) = self.advance(CHUNK)?;
        if length == 0 {
            return ready_late(py, |_| Err(PyStopAsyncIteration::new_err(())));
        }
        self.read_next(py, content, at, length)
    }

    /// Models may have it as a field.
    #[classmethod]
    fn __get_pydantic_core_schema__<'py>(
        cls: &Bound<'py, PyType>,
        _source: &Bound<'py, PyAny>,
        _handler: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = cls.py();
        py.import(intern!(py, "pydantic_core.core_schema"))?.call_method1(intern!(py, "is_instance_schema"), (cls,))
    }

    #[classmethod]
    fn __get_pydantic_json_schema__<'py>(
        cls: &Bound<'py, PyType>,
        _schema: &Bound<'py, PyAny>,
        _handler: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let schema = PyDict::new(cls.py());
        schema.set_item("type", "string")?;
        schema.set_item("format", "binary")?;
        Ok(schema)
    }

    fn __repr__(&self) -> String {
        let name = self.upload.filename.as_deref().map_or_else(|| "None".to_owned(), |name| format!("{name:?}"));
        format!("UploadFile(filename={name}, size={})", self.upload.size())
    }
}

/// The bytes from this place on, as far as there are so many.
fn within(bytes: &[u8], at: u64, length: usize) -> &[u8] {
    let at = usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
    &bytes[at..at.saturating_add(length).min(bytes.len())]
}

/// Off the loop and off the workers.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    spawn_blocking(work).await.unwrap_or_else(|_| Err(io::Error::other("the runtime is going down")))
}

/// The system's number of an error; where one is told with its path, only its kind is known.
fn number_of(error: &io::Error) -> Option<i32> {
    error.raw_os_error().or_else(|| {
        let number = match error.kind() {
            io::ErrorKind::NotFound => Errno::NOENT,
            io::ErrorKind::PermissionDenied => Errno::ACCESS,
            io::ErrorKind::NotADirectory => Errno::NOTDIR,
            io::ErrorKind::ReadOnlyFilesystem => Errno::ROFS,
            io::ErrorKind::StorageFull => Errno::NOSPC,
            io::ErrorKind::FileTooLarge => Errno::FBIG,
            _ => return None,
        };
        Some(number.raw_os_error())
    })
}

/// The `OSError` of its kind.
fn os_error(error: &io::Error, path: Option<&Path>) -> PyErr {
    let Some(number) = number_of(error) else { return PyErr::from(io::Error::new(error.kind(), error.to_string())) };
    // As Python words it, without the number.
    let text = io::Error::from_raw_os_error(number).to_string();
    let text = text.split(" (os error").next().unwrap_or(&text).to_owned();
    match path {
        Some(path) => PyOSError::new_err((number, text, path.to_string_lossy().into_owned())),
        None => PyOSError::new_err((number, text)),
    }
}
