//! What a thread of an executor does for the loop.

use std::mem;

use pyo3::exceptions::PyStopIteration;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use pyo3::sync::PyOnceLock;
use pyo3::types::PyTuple;

use super::call::Call;
use super::core::LoopCore;
use super::guarded::Guarded;

/// A call that waits in the queue of a `ThreadPoolExecutor`, and the future of a loop that waits for it.
///
/// It stands where the executor's own work items do, and has of theirs what the executor asks for. The future is only touched on the
/// loop's thread, but that a thread looks whether it is still waited for.
#[pyclass(frozen, module = "ziggurat._ziggurat")]
pub(super) struct Work {
    parts: Guarded<Parts>,
}

#[derive(Default)]
struct Parts {
    event_loop: Option<Py<LoopCore>>,
    future: Option<Py<PyAny>>,
    /// Taken when it begins.
    call: Option<(Py<PyAny>, Py<PyTuple>)>,
}

impl Work {
    /// Has a method of this called on the loop, unless that is closed: nobody waits there any more.
    fn tell(slf: &Bound<'_, Self>, method: Bound<'_, PyAny>, answer: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        let py = slf.py();
        let event_loop = slf.get().parts.with(py, |parts| parts.event_loop.take());
        let Some(event_loop) = event_loop else { return Ok(()) };
        let event_loop = event_loop.into_bound(py);
        if !event_loop.get().is_open() {
            return Ok(());
        }
        let args = PyTuple::new(py, answer)?;
        LoopCore::schedule_threadsafe(&event_loop, Call::with_tuple(method, &args)?, None).map(drop)
    }

    fn fail(slf: &Bound<'_, Self>, error: Bound<'_, PyAny>) -> PyResult<()> {
        Self::tell(slf, slf.getattr(intern!(slf.py(), "_fail"))?, Some(error))
    }

    /// The future, while somebody waits for it.
    fn waiting<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let future = self.parts.with(py, |parts| parts.future.as_ref().map(|future| future.bind(py).clone()));
        let Some(future) = future else { return Ok(None) };
        Ok(if future.call_method0(intern!(py, "done"))?.is_truthy()? { None } else { Some(future) })
    }
}

#[pymethods]
impl Work {
    #[new]
    fn new(event_loop: Py<LoopCore>, future: Py<PyAny>, function: Py<PyAny>, args: Py<PyTuple>) -> Self {
        let parts = Parts { event_loop: Some(event_loop), future: Some(future), call: Some((function, args)) };
        Self { parts: Guarded::new(parts) }
    }

    /// What a thread of the executor calls.
    fn run(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        let call = this.parts.with(py, |parts| parts.call.take());
        let Some((function, args)) = call else { return Ok(()) };
        // It was cancelled before it began.
        if this.waiting(py)?.is_none() {
            return Ok(());
        }
        let result = function.bind(py).call1(args.bind(py));
        // Here, before the loop can go on.
        drop((function, args));
        match result {
            Ok(answer) => Self::tell(slf, slf.getattr(intern!(py, "_settle"))?, Some(answer)),
            Err(error) => Self::fail(slf, error.into_value(py).into_bound(py).into_any()),
        }
    }

    /// On the loop: here is what the call gave.
    fn _settle(&self, answer: Bound<'_, PyAny>) -> PyResult<()> {
        let py = answer.py();
        match self.waiting(py)? {
            Some(future) => future.call_method1(intern!(py, "set_result"), (answer,)).map(drop),
            None => Ok(()),
        }
    }

    /// On the loop: this is what it raised.
    fn _fail(&self, error: Bound<'_, PyAny>) -> PyResult<()> {
        static CONVERT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let py = error.py();
        let Some(future) = self.waiting(py)? else { return Ok(()) };
        let error = if error.is_instance_of::<PyStopIteration>() {
            // A future takes none; from Python 3.12 on it says the same.
            let raised = PyErr::from_value(error);
            let told = pyo3::exceptions::PyRuntimeError::new_err("the function raised StopIteration");
            told.set_cause(py, Some(raised));
            told.into_value(py).into_bound(py).into_any()
        } else {
            CONVERT.import(py, "asyncio.futures", "_convert_future_exc")?.call1((error,))?
        };
        future.call_method1(intern!(py, "set_exception"), (error,)).map(drop)
    }

    /// On the loop: it will not be made.
    fn _cancel(&self, py: Python<'_>) -> PyResult<()> {
        match self.waiting(py)? {
            Some(future) => future.call_method0(intern!(py, "cancel")).map(drop),
            None => Ok(()),
        }
    }

    // What an executor asks of the future of a work item that it will not run.

    #[getter]
    fn future<'py>(slf: &Bound<'py, Self>) -> Bound<'py, Self> {
        slf.clone()
    }

    /// For an executor that is shut down and lets go of what waits.
    fn cancel(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let py = slf.py();
        let call = slf.get().parts.with(py, |parts| parts.call.take());
        if call.is_none() {
            return Ok(false);
        }
        Self::tell(slf, slf.getattr(intern!(py, "_cancel"))?, None)?;
        Ok(true)
    }

    /// For an executor whose threads cannot begin.
    fn set_exception(slf: &Bound<'_, Self>, error: Bound<'_, PyAny>) -> PyResult<()> {
        Self::fail(slf, error)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let visited = self.parts.during_traverse(|parts| {
            visit.call(&parts.event_loop)?;
            visit.call(&parts.future)?;
            if let Some((function, args)) = &parts.call {
                visit.call(function)?;
                visit.call(args)?;
            }
            Ok(())
        });
        visited.unwrap_or(Ok(()))
    }

    fn __clear__(&self, py: Python<'_>) {
        let parts = self.parts.with(py, mem::take);
        drop(parts);
    }
}
