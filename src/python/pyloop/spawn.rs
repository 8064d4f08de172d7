//! Futures and tasks of a loop: the interpreter's own classes, made without a frame of Python's.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyType};

use super::core::LoopCore;

/// What `loop.create_future()` gives.
pub(super) fn future<'py>(event_loop: &Bound<'py, LoopCore>) -> PyResult<Bound<'py, PyAny>> {
    static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let py = event_loop.py();
    // Looked up each time: tests and tools put a class of their own there.
    let class = module(py, &MODULE, "asyncio.futures")?.getattr(intern!(py, "Future"))?;
    let options = PyDict::new(py);
    options.set_item(intern!(py, "loop"), event_loop)?;
    class.call((), Some(&options))
}

/// What `loop.create_task(coro, **options)` gives.
///
/// With a task factory or in debug mode the base class does it, which differs between versions.
pub(super) fn task<'py>(
    event_loop: &Bound<'py, LoopCore>,
    coro: &Bound<'py, PyAny>,
    options: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    static BASE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let py = event_loop.py();
    let known = [intern!(py, "name"), intern!(py, "context")];
    let usual = match options {
        None => true,
        Some(options) => options.keys().iter().all(|key| known.iter().any(|name| key.eq(name).unwrap_or(false))),
    };
    if !usual || event_loop.get().is_debug() || !event_loop.getattr(intern!(py, "_task_factory"))?.is_none() {
        let base = BASE.import(py, "asyncio.base_events", "BaseEventLoop")?;
        return base.call_method(intern!(py, "create_task"), (event_loop, coro), options);
    }
    let class = module(py, &MODULE, "asyncio.tasks")?.getattr(intern!(py, "Task"))?;
    let all = match options {
        Some(options) => options.copy()?,
        None => PyDict::new(py),
    };
    all.set_item(intern!(py, "loop"), event_loop)?;
    class.call((coro,), Some(&all))
}

fn module<'a, 'py>(
    py: Python<'py>,
    cell: &'a PyOnceLock<Py<PyModule>>,
    name: &str,
) -> PyResult<&'a Bound<'py, PyModule>> {
    Ok(cell.get_or_try_init(py, || py.import(name).map(Bound::unbind))?.bind(py))
}
