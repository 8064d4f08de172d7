//! `Handle` and `TimerHandle`: what `call_soon` and `call_later` give back.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::basic::CompareOp;
use pyo3::exceptions::{PyKeyboardInterrupt, PySystemExit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use pyo3::types::{PyDict, PyList, PyTuple};

use super::core::LoopCore;
use crate::python::context;

/// A callback with its arguments and context; the same face as `asyncio.Handle`.
#[pyclass(subclass, frozen, weakref, module = "ziggurat._ziggurat")]
pub(super) struct Handle {
    /// None once cancelled.
    call: Mutex<Option<Call>>,
    cancelled: AtomicBool,
    context: Py<PyAny>,
    event_loop: Py<LoopCore>,
    /// Where it was made, in debug mode.
    traceback: Option<Py<PyAny>>,
    /// What it looked like before it was cancelled, in debug mode.
    last_repr: Mutex<Option<String>>,
}

struct Call {
    callback: Py<PyAny>,
    args: Py<PyTuple>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Handle {
    /// A handle that runs in `context`, or in a copy of the current one.
    pub(super) fn new(
        event_loop: &Bound<'_, LoopCore>,
        callback: Py<PyAny>,
        args: Py<PyTuple>,
        context: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let py = event_loop.py();
        let context = match context {
            Some(context) => context,
            None => context::copy_current(py)?.unbind(),
        };
        let traceback = if event_loop.get().is_debug() { Some(extract_stack(py)?) } else { None };
        Ok(Self {
            call: Mutex::new(Some(Call { callback, args })),
            cancelled: AtomicBool::new(false),
            context,
            event_loop: event_loop.clone().unbind(),
            traceback,
            last_repr: Mutex::new(None),
        })
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    fn call(&self, py: Python<'_>) -> Option<(Py<PyAny>, Py<PyTuple>)> {
        lock(&self.call).as_ref().map(|call| (call.callback.clone_ref(py), call.args.clone_ref(py)))
    }

    /// Runs the callback. What it raises goes to the loop's exception handler, except what must leave the loop.
    pub(super) fn run(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        let Some((callback, args)) = this.call(py) else { return Ok(()) };
        let result = context::run(this.context.bind(py), || callback.bind(py).call1(args.bind(py)));
        match result {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) | Err(error) if leaves_the_loop(py, &error) => Err(error),
            Ok(Err(error)) | Err(error) => this.report(slf, callback.bind(py), args.bind(py), error),
        }
    }

    fn report(
        &self,
        slf: &Bound<'_, Self>,
        callback: &Bound<'_, PyAny>,
        args: &Bound<'_, PyTuple>,
        error: PyErr,
    ) -> PyResult<()> {
        let py = slf.py();
        let about = PyDict::new(py);
        about.set_item("message", format!("Exception in callback {}", self.describe_call(callback, args)?))?;
        about.set_item("exception", error)?;
        about.set_item("handle", slf)?;
        if let Some(traceback) = &self.traceback {
            about.set_item("source_traceback", traceback)?;
        }
        self.event_loop.bind(py).call_method1(intern!(py, "call_exception_handler"), (about,)).map(drop)
    }

    fn describe_call(&self, callback: &Bound<'_, PyAny>, args: &Bound<'_, PyTuple>) -> PyResult<String> {
        let py = callback.py();
        let helpers = py.import("asyncio.format_helpers")?;
        let describe = helpers.getattr("_format_callback_source")?;
        // From 3.13 on arguments are only shown in debug mode.
        if py.version_info() < (3, 13) {
            return describe.call1((callback, args))?.extract();
        }
        let kwargs = PyDict::new(py);
        kwargs.set_item("debug", self.event_loop.get().is_debug())?;
        describe.call((callback, args), Some(&kwargs))?.extract()
    }

    /// Marks it cancelled and lets go of the callback; false when it was cancelled before.
    fn cancel_once(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let this = slf.get();
        if this.cancelled.swap(true, Ordering::Relaxed) {
            return Ok(false);
        }
        if this.event_loop.get().is_debug() {
            let text = slf.repr()?.extract()?;
            *lock(&this.last_repr) = Some(text);
        }
        let call = lock(&this.call).take();
        drop(call);
        Ok(true)
    }
}

#[pymethods]
impl Handle {
    /// Keeps the callback from running.
    fn cancel(slf: &Bound<'_, Self>) -> PyResult<()> {
        match slf.cast::<TimerHandle>() {
            Ok(timer) => TimerHandle::cancel_timer(timer),
            Err(_) => Self::cancel_once(slf).map(drop),
        }
    }

    /// Whether it was cancelled.
    fn cancelled(&self) -> bool {
        self.is_cancelled()
    }

    /// The context that the callback runs in.
    fn get_context(&self, py: Python<'_>) -> Py<PyAny> {
        self.context.clone_ref(py)
    }

    fn _run(slf: &Bound<'_, Self>) -> PyResult<()> {
        Self::run(slf)
    }

    #[getter]
    fn _callback(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.call(py).map(|(callback, _)| callback)
    }

    #[getter]
    fn _args(&self, py: Python<'_>) -> Option<Py<PyTuple>> {
        self.call(py).map(|(_, args)| args)
    }

    #[getter]
    fn _cancelled(&self) -> bool {
        self.is_cancelled()
    }

    #[getter]
    fn _context(&self, py: Python<'_>) -> Py<PyAny> {
        self.context.clone_ref(py)
    }

    #[getter]
    fn _loop(&self, py: Python<'_>) -> Py<LoopCore> {
        self.event_loop.clone_ref(py)
    }

    #[getter]
    fn _source_traceback(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.traceback.as_ref().map(|traceback| traceback.clone_ref(py))
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let (py, this) = (slf.py(), slf.get());
        if let Some(text) = &*lock(&this.last_repr) {
            return Ok(text.clone());
        }
        let mut parts = vec![slf.get_type().name()?.to_string()];
        // In debug mode this text is kept on the way to being cancelled, when the flag is up and the callback still here.
        if this.is_cancelled() {
            parts.push("cancelled".to_owned());
        }
        if let Ok(timer) = slf.cast::<TimerHandle>() {
            parts.push(format!("when={}", timer.get().when.into_pyobject(py)?.repr()?));
        }
        if let Some((callback, args)) = this.call(py) {
            parts.push(this.describe_call(callback.bind(py), args.bind(py))?);
        }
        if let Some(traceback) = &this.traceback
            && let Ok(frame) = traceback.bind(py).get_item(-1)
        {
            parts.push(format!("created at {}:{}", frame.get_item(0)?, frame.get_item(1)?));
        }
        Ok(format!("<{}>", parts.join(" ")))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if let Some(call) = &*lock(&self.call) {
            visit.call(&call.callback)?;
            visit.call(&call.args)?;
        }
        visit.call(&self.context)?;
        visit.call(&self.event_loop)?;
        visit.call(&self.traceback)
    }

    fn __clear__(&self) {
        let call = lock(&self.call).take();
        drop(call);
    }
}

/// A handle with a deadline; the same face as `asyncio.TimerHandle`.
#[pyclass(extends = Handle, frozen, module = "ziggurat._ziggurat")]
pub(super) struct TimerHandle {
    when: f64,
    scheduled: AtomicBool,
    /// A copy of the flag of the handle, which the heap reads without the interpreter.
    cancelled: AtomicBool,
}

impl TimerHandle {
    pub(super) fn new(py: Python<'_>, handle: Handle, when: f64) -> PyResult<Py<Self>> {
        let timer = Self { when, scheduled: AtomicBool::new(true), cancelled: AtomicBool::new(false) };
        Py::new(py, PyClassInitializer::from(handle).add_subclass(timer))
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// The heap has let go of it.
    pub(super) fn unschedule(&self) {
        self.scheduled.store(false, Ordering::Relaxed);
    }

    fn cancel_timer(slf: &Bound<'_, Self>) -> PyResult<()> {
        let handle = slf.as_super();
        if Handle::cancel_once(handle)? {
            let this = slf.get();
            this.cancelled.store(true, Ordering::Relaxed);
            if this.scheduled.load(Ordering::Relaxed) {
                handle.get().event_loop.get().timers().cancelled();
            }
        }
        Ok(())
    }
}

#[pymethods]
impl TimerHandle {
    /// The deadline, on the clock of `loop.time()`.
    fn when(&self) -> f64 {
        self.when
    }

    #[getter]
    fn _when(&self) -> f64 {
        self.when
    }

    #[getter]
    fn _scheduled(&self) -> bool {
        self.scheduled.load(Ordering::Relaxed)
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.when.to_bits().hash(&mut hasher);
        hasher.finish()
    }

    fn __richcmp__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>, op: CompareOp) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let Ok(other) = other.cast::<Self>() else { return Ok(py.NotImplemented()) };
        let (mine, theirs) = (slf.get().when, other.get().when);
        let answer = match op {
            CompareOp::Lt => mine < theirs,
            CompareOp::Gt => mine > theirs,
            CompareOp::Le => mine < theirs || Self::is_like(slf, other)?,
            CompareOp::Ge => mine > theirs || Self::is_like(slf, other)?,
            CompareOp::Eq => Self::is_like(slf, other)?,
            CompareOp::Ne => !Self::is_like(slf, other)?,
        };
        Ok(answer.into_pyobject(py)?.to_owned().into_any().unbind())
    }
}

impl TimerHandle {
    /// As `asyncio.TimerHandle` compares: deadline, callback, arguments and whether it is cancelled.
    fn is_like(slf: &Bound<'_, Self>, other: &Bound<'_, Self>) -> PyResult<bool> {
        let py = slf.py();
        let (mine, theirs) = (slf.as_super().get(), other.as_super().get());
        if slf.get().when != other.get().when || mine.is_cancelled() != theirs.is_cancelled() {
            return Ok(false);
        }
        match (mine.call(py), theirs.call(py)) {
            (Some((callback, args)), Some((their_callback, their_args))) => {
                Ok(callback.bind(py).eq(their_callback)? && args.bind(py).eq(their_args)?)
            }
            (None, None) => Ok(true),
            _ => Ok(false),
        }
    }
}

/// `KeyboardInterrupt` and `SystemExit` end the run; everything else is reported and the loop goes on.
pub(super) fn leaves_the_loop(py: Python<'_>, error: &PyErr) -> bool {
    error.is_instance_of::<PyKeyboardInterrupt>(py) || error.is_instance_of::<PySystemExit>(py)
}

/// The stack of whoever calls into the loop, as asyncio keeps it in debug mode.
fn extract_stack(py: Python<'_>) -> PyResult<Py<PyAny>> {
    // Native calls have no frame, so frame 0 is the caller's.
    let frame = py.import("sys")?.call_method1("_getframe", (0,))?;
    let stack = py.import("asyncio.format_helpers")?.call_method1("extract_stack", (frame,))?;
    debug_assert!(stack.is_instance_of::<PyList>());
    Ok(stack.unbind())
}
