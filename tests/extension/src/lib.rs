//! An extension module of somebody else's: Rust futures for Python, by ziggurat's own functions and by those of
//! pyo3-async-runtimes.

#![allow(clippy::panic, reason = "a test of panics")]

#[path = "../../support/memory.rs"]
#[allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a store of tests"
)]
mod memory;

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::StatusCode;
use http::header::{CONNECTION, HeaderValue, UPGRADE};
use hyper_util::rt::TokioIo;
use pyo3::exceptions::{PyStopIteration, PyValueError};
use pyo3::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use ziggurat::crud::store::{AnyStore, OpenError};
use ziggurat::python::{Raised, current_loop, future_into_py, into_future, into_future_with};
use ziggurat::{ConfigError, Request, Response};

use self::memory::Memory;

/// How many futures of `pause` were dropped before their time.
static ABORTED: AtomicUsize = AtomicUsize::new(0);

struct Sentinel {
    ended: bool,
}

impl Sentinel {
    fn end(&mut self) {
        self.ended = true;
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        if !self.ended {
            ABORTED.fetch_add(1, Ordering::SeqCst);
        }
    }
}

fn thread_name() -> String {
    std::thread::current().name().unwrap_or_default().to_owned()
}

#[pyfunction]
fn aborted() -> usize {
    ABORTED.load(Ordering::SeqCst)
}

/// Gives `value` after a while.
#[pyfunction]
fn pause(py: Python<'_>, seconds: f64, value: i64) -> PyResult<Bound<'_, PyAny>> {
    let mut sentinel = Sentinel { ended: false };
    future_into_py(py, async move {
        if seconds > 0.0 {
            tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
        }
        sentinel.end();
        PyResult::Ok(value)
    })
}

#[pyfunction]
fn at_once(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    future_into_py(py, async { PyResult::Ok(1) })
}

#[pyfunction]
fn worker(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    future_into_py(py, async { PyResult::Ok(thread_name()) })
}

#[pyfunction]
fn fail(py: Python<'_>, words: String) -> PyResult<Bound<'_, PyAny>> {
    future_into_py(py, async move { Err::<(), _>(PyValueError::new_err(words)) })
}

#[pyfunction]
fn stop(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    future_into_py(py, async move { Err::<(), _>(PyStopIteration::new_err("x")) })
}

#[pyfunction]
fn panics(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    future_into_py(py, async move {
        tokio::task::yield_now().await;
        if true {
            panic!("on purpose");
        }
        PyResult::Ok(())
    })
}

struct Unconvertible;

impl<'py> IntoPyObject<'py> for Unconvertible {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    fn into_pyobject(self, _: Python<'py>) -> PyResult<Self::Output> {
        panic!("cannot be converted")
    }
}

#[pyfunction]
fn unconvertible(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    future_into_py(py, async { PyResult::Ok(Unconvertible) })
}

/// Sends a Python object through the runtime and back.
#[pyfunction]
fn there_and_back(object: Bound<'_, PyAny>, seconds: f64) -> PyResult<Bound<'_, PyAny>> {
    let py = object.py();
    let object = current_loop(py)?.keep(object.unbind());
    future_into_py(py, async move {
        tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
        PyResult::Ok(object)
    })
}

/// Awaits an awaitable from Rust; gives its result.
#[pyfunction]
fn via_rust(awaitable: Bound<'_, PyAny>) -> PyResult<Bound<'_, PyAny>> {
    let py = awaitable.py();
    let value = into_future(awaitable)?;
    future_into_py(py, value)
}

/// Awaits an awaitable that gives a number from Rust; gives one more.
#[pyfunction]
fn one_more(awaitable: Bound<'_, PyAny>) -> PyResult<Bound<'_, PyAny>> {
    let py = awaitable.py();
    let number = into_future_with(awaitable, |_, value| value.extract::<i64>())?;
    future_into_py(py, async move { Ok::<_, Raised>(number.await? + 1) })
}

/// What an exception looks like to Rust, which then drops it.
#[pyfunction]
fn shown(awaitable: Bound<'_, PyAny>) -> PyResult<Bound<'_, PyAny>> {
    let py = awaitable.py();
    let value = into_future(awaitable)?;
    future_into_py(py, async move {
        PyResult::Ok(match value.await {
            Ok(value) => {
                drop(value);
                ("value".to_owned(), false)
            }
            Err(raised) => (raised.to_string(), raised.is_cancelled()),
        })
    })
}

/// Waits for an awaitable for at most so long, and drops it then.
#[pyfunction]
fn at_most(awaitable: Bound<'_, PyAny>, seconds: f64) -> PyResult<Bound<'_, PyAny>> {
    let py = awaitable.py();
    let value = into_future(awaitable)?;
    future_into_py(py, async move {
        PyResult::Ok(tokio::time::timeout(Duration::from_secs_f64(seconds), value).await.is_ok())
    })
}

/// Calls a function on the loop, from a worker, and awaits what it gives if it is to be awaited.
#[pyfunction]
fn ask(function: Bound<'_, PyAny>, awaits: bool) -> PyResult<Bound<'_, PyAny>> {
    let py = function.py();
    let event_loop = current_loop(py)?;
    let function = event_loop.keep(function.unbind());
    future_into_py(py, async move {
        if awaits {
            event_loop.run(move |py| function.get(py).bind(py).call0(), |_, value| value.extract::<i64>()).await
        } else {
            event_loop.call(move |py| function.get(py).bind(py).call0()?.extract::<i64>()).await
        }
    })
}

/// Awaits an awaitable in a task of Rust's that nothing of Python's knows; `told` is called with what it learned, if a loop is
/// left to call it.
#[pyfunction]
fn detached(awaitable: Bound<'_, PyAny>) -> PyResult<Learned> {
    let value = into_future(awaitable)?;
    let learned = Learned::default();
    let told = learned.0.clone();
    let runtime = ziggurat::service::server::runtime()?;
    runtime.spawn(async move {
        let words = match value.await {
            Ok(_) => "value".to_owned(),
            Err(raised) => raised.to_string(),
        };
        if let Ok(mut told) = told.lock() {
            *told = Some(words);
        }
    });
    Ok(learned)
}

#[pyclass(frozen)]
#[derive(Default)]
struct Learned(std::sync::Arc<std::sync::Mutex<Option<String>>>);

#[pymethods]
impl Learned {
    fn get(&self) -> Option<String> {
        self.0.lock().ok()?.clone()
    }
}

/// The name of the thread that a future of pyo3-async-runtimes runs on.
#[pyfunction]
fn plain_worker(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    pyo3_async_runtimes::tokio::future_into_py(py, async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        Ok(thread_name())
    })
}

#[pyfunction]
fn plain_at_once(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    pyo3_async_runtimes::tokio::future_into_py(py, async { Ok(1) })
}

/// Awaits an awaitable by pyo3-async-runtimes.
#[pyfunction]
fn plain_via_rust(awaitable: Bound<'_, PyAny>) -> PyResult<Bound<'_, PyAny>> {
    let py = awaitable.py();
    let value = pyo3_async_runtimes::tokio::into_future(awaitable)?;
    pyo3_async_runtimes::tokio::future_into_py(py, value)
}

/// Takes the socket over and sends back in capitals what comes.
async fn upgrade(mut request: Request) -> Result<Response, Infallible> {
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Ok(upgraded) = upgraded.await else { return };
        let mut io = TokioIo::new(upgraded);
        let mut buffer = [0; 1024];
        while let Ok(count @ 1..) = io.read(&mut buffer).await {
            if io.write_all(&buffer[..count].to_ascii_uppercase()).await.is_err() {
                return;
            }
        }
    });
    let mut response = Response::default();
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
    response.headers_mut().insert(UPGRADE, HeaderValue::from_static("capitals"));
    Ok(response)
}

/// A store in memory, of a type of its own; `memory://none` is none.
async fn open(url: String) -> Result<AnyStore, OpenError> {
    match url.as_str() {
        "memory://none" => Err(ConfigError::new("memory://none holds nothing").cure("name another one").into()),
        _ => Ok(AnyStore::new(Memory::default())),
    }
}

#[pymodule]
mod ziggurat_extension {
    #[pymodule_export]
    use super::{
        Learned, aborted, ask, at_most, at_once, detached, fail, one_more, panics, pause, plain_at_once,
        plain_via_rust, plain_worker, shown, stop, there_and_back, unconvertible, via_rust, worker,
    };
    use pyo3::prelude::*;
    use ziggurat::python::Extension;

    use super::{open, upgrade};

    /// Makes the native half of the package `ziggurat` the one in this module, which shares its runtime.
    #[pyfunction]
    fn provide(py: Python<'_>) -> PyResult<()> {
        let native = PyModule::new(py, "ziggurat._ziggurat")?;
        Extension::new(&native)?.service("upgrade", tower::service_fn(upgrade))?.store("memory", open)?;
        Ok(())
    }
}
