//! Futures and tasks of a loop: the interpreter's own classes, made without a frame of Python's.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyType};

use super::core::LoopCore;

/// What `loop.create_future()` gives.
pub(super) fn future<'py>(event_loop: &Bound<'py, LoopCore>) -> PyResult<Bound<'py, PyAny>> {
    static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let py = event_loop.py();
    let class = class(py, &MODULE, "asyncio.futures", intern!(py, "Future"))?;
    class.call((), Some(&LoopCore::loop_keyword(event_loop)?))
}

/// What `loop.create_task(coro, **options)` gives; `options` are the call's own.
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
    let known = match options {
        None => true,
        Some(options) => {
            let names = [intern!(py, "name"), intern!(py, "context")];
            let known = names.into_iter().map(|name| options.contains(name)).collect::<PyResult<Vec<_>>>()?;
            known.into_iter().filter(|known| *known).count() == options.len()
        }
    };
    if !known || event_loop.get().is_debug() || event_loop.get().has_task_factory() {
        let base = BASE.import(py, "asyncio.base_events", "BaseEventLoop")?;
        return base.call_method(intern!(py, "create_task"), (event_loop, coro), options);
    }
    let class = class(py, &MODULE, "asyncio.tasks", intern!(py, "Task"))?;
    let Some(options) = options else {
        return class.call((coro,), Some(&LoopCore::loop_keyword(event_loop)?));
    };
    options.set_item(intern!(py, "loop"), event_loop)?;
    class.call((coro,), Some(options))
}

/// A class of asyncio's, looked up in its module each time: tests and tools put one of their own there.
fn class<'py>(
    py: Python<'py>,
    module: &PyOnceLock<Py<PyModule>>,
    path: &str,
    name: &Bound<'py, PyString>,
) -> PyResult<Bound<'py, PyAny>> {
    module.get_or_try_init(py, || py.import(path).map(Bound::unbind))?.bind(py).getattr(name)
}
