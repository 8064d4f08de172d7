//! `Handle`: what `call_soon` gives back.

use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::exceptions::{PyKeyboardInterrupt, PySystemExit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use pyo3::types::{PyDict, PyList, PyTuple};

use super::call::Call;
use super::collect::{self, Context};
use super::core::LoopCore;
use super::guarded::Guarded;
use super::timer_handle::TimerHandle;
use crate::python::context;

/// A callback with its arguments and context; the same face as `asyncio.Handle`.
///
/// Most live for a part of a turn, so they are used again ([`spare`](super::spare)), and the garbage collector does not look
/// at them ([`collect`]).
#[pyclass(subclass, frozen, weakref, module = "ziggurat._ziggurat")]
pub(super) struct Handle {
    state: Guarded<State>,
    cancelled: AtomicBool,
    /// Whether the garbage collector looks at it.
    shown: AtomicBool,
    event_loop: Py<LoopCore>,
}

#[derive(Default)]
pub(super) struct State {
    /// None once cancelled.
    call: Option<Call>,
    /// None in a spare handle only.
    context: Option<Context>,
    debug: Option<Box<Debug>>,
}

/// What is kept in debug mode.
#[derive(Default)]
struct Debug {
    /// Where it was made.
    traceback: Option<Py<PyAny>>,
    /// What it looked like before it was cancelled.
    last_repr: Option<String>,
}

impl State {
    /// What a handle holds that runs in `context`, or in a copy of the current one.
    #[inline]
    pub(super) fn new(
        event_loop: &Bound<'_, LoopCore>,
        call: Call,
        context: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let py = event_loop.py();
        let context = match context {
            Some(context) => Context::shared(context),
            None => Context::copied(context::copy_current(py)?, event_loop.get().is_turning()),
        };
        let debug = if event_loop.get().is_debug() {
            Some(Box::new(Debug { traceback: Some(extract_stack(py)?), last_repr: None }))
        } else {
            None
        };
        Ok(Self { call: Some(call), context: Some(context), debug })
    }
}

impl Handle {
    pub(super) fn with_state(event_loop: &Bound<'_, LoopCore>, state: State) -> Self {
        Self {
            state: Guarded::new(state),
            cancelled: AtomicBool::new(false),
            shown: AtomicBool::new(true),
            event_loop: event_loop.clone().unbind(),
        }
    }

    /// A handle for the queue of the loop.
    #[inline]
    pub(super) fn new<'py>(
        event_loop: &Bound<'py, LoopCore>,
        call: Call,
        context: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Self>> {
        let (py, core) = (event_loop.py(), event_loop.get());
        let state = State::new(event_loop, call, context)?;
        if let Some(spare) = core.spares().handle(py) {
            spare.get().fill(py, state);
            return Ok(spare);
        }
        let handle = Bound::new(py, Self::with_state(event_loop, state))?;
        handle.get().show_or_hide(handle.as_any(), !core.is_turning());
        Ok(handle)
    }

    /// A handle that is called again and again while a descriptor is watched.
    pub(super) fn for_descriptor<'py>(event_loop: &Bound<'py, LoopCore>, call: Call) -> PyResult<Bound<'py, Self>> {
        let state = State::new(event_loop, call, None)?;
        let handle = Bound::new(event_loop.py(), Self::with_state(event_loop, state))?;
        // PyO3 does not show an object whose memory was used before.
        collect::show(handle.as_any());
        Ok(handle)
    }

    /// Shows the garbage collector this handle, which may be part of a cycle from now on.
    pub(super) fn show(slf: &Bound<'_, Self>) {
        let this = slf.get();
        this.state.with(slf.py(), |state| state.context.as_ref().inspect(|context| context.show()).map(drop));
        // Whoever is here holds the interpreter's lock, so no exchange is needed.
        if !this.shown.load(Ordering::Relaxed) {
            this.shown.store(true, Ordering::Relaxed);
            collect::show(slf.as_any());
        }
    }

    /// Tells the garbage collector of a new handle, which is `object`.
    pub(super) fn show_or_hide(&self, object: &Bound<'_, PyAny>, shown: bool) {
        self.shown.store(shown, Ordering::Relaxed);
        if shown {
            collect::show(object);
        } else {
            collect::hide(object);
        }
    }

    #[inline]
    pub(super) fn hide(&self, object: &Bound<'_, PyAny>) {
        if self.shown.load(Ordering::Relaxed) {
            self.shown.store(false, Ordering::Relaxed);
            collect::hide(object);
        }
    }

    /// Makes a spare handle a new one.
    #[inline]
    pub(super) fn fill(&self, py: Python<'_>, state: State) {
        self.cancelled.store(false, Ordering::Relaxed);
        // What is overwritten is empty.
        self.state.with(py, |place| *place = state);
    }

    /// Lets go of what it holds, so that it can be a spare one.
    #[inline]
    pub(super) fn empty(&self, py: Python<'_>) {
        let held = self.state.with(py, |state| state.context.is_some().then(|| mem::take(state)));
        if let Some(State { call, context, debug }) = held {
            if let Some(call) = call {
                call.drop_ref(py);
            }
            drop((context, debug));
        }
    }

    #[inline]
    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    pub(super) fn core(&self) -> &LoopCore {
        self.event_loop.get()
    }

    /// Somebody may have put a handle of another loop into the queue.
    #[inline]
    pub(super) fn is_of(&self, core: &LoopCore) -> bool {
        ptr::eq(self.event_loop.get(), core)
    }

    pub(super) fn call(&self, py: Python<'_>) -> Option<Call> {
        self.state.with(py, |state| state.call.as_ref().map(|call| call.clone_ref(py)))
    }

    fn context(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |state| state.context.as_ref().map(|context| context.get().clone_ref(py)))
    }

    fn traceback(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |state| state.debug.as_ref()?.traceback.as_ref().map(|traceback| traceback.clone_ref(py)))
    }

    /// Runs the callback. What it raises goes to the loop's exception handler, except what must leave the loop.
    pub(super) fn run(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        let (Some(call), Some(context)) = (this.call(py), this.context(py)) else { return Ok(()) };
        this.state.with(py, |state| state.context.as_ref().inspect(|context| context.show()).map(drop));
        match context::run(context.bind(py), || call.run(py)) {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) | Err(error) => this.failed(slf, &call, error),
        }
    }

    /// The same when nobody else can see the handle, which is empty after that.
    #[inline]
    pub(super) fn run_alone(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        let (call, context, debug) =
            this.state.with(py, |state| (state.call.take(), state.context.take(), state.debug.take()));
        let (Some(call), Some(context)) = (call, context) else { return Ok(()) };
        context.show();
        match context::run(context.get().bind(py), || call.run(py)) {
            Ok(Ok(_)) => {
                call.drop_ref(py);
                Ok(())
            }
            Ok(Err(error)) | Err(error) => {
                // Whoever is told of the error gets the handle to see.
                this.fill(py, State { call: Some(call.clone_ref(py)), context: Some(context), debug });
                this.failed(slf, &call, error)
            }
        }
    }

    #[cold]
    fn failed(&self, slf: &Bound<'_, Self>, call: &Call, error: PyErr) -> PyResult<()> {
        if leaves_the_loop(slf.py(), &error) { Err(error) } else { self.report(slf, call, error) }
    }

    /// The loop has run it, or will not; it is used again if nobody else holds it.
    #[inline]
    pub(super) fn release(slf: Bound<'_, Self>, core: &LoopCore) {
        if !collect::is_sole(slf.as_any()) {
            Self::show(&slf);
        } else if core.is_turning() && slf.get().is_of(core) {
            slf.get().hide(slf.as_any());
            slf.get().empty(slf.py());
            core.spares().keep_handle(slf);
        }
    }

    fn report(&self, slf: &Bound<'_, Self>, call: &Call, error: PyErr) -> PyResult<()> {
        let py = slf.py();
        let about = PyDict::new(py);
        about.set_item("message", format!("Exception in callback {}", self.describe_call(py, call)?))?;
        about.set_item("exception", error)?;
        about.set_item("handle", slf)?;
        if let Some(traceback) = self.traceback(py) {
            about.set_item("source_traceback", traceback)?;
        }
        self.event_loop.bind(py).call_method1(intern!(py, "call_exception_handler"), (about,)).map(drop)
    }

    fn describe_call(&self, py: Python<'_>, call: &Call) -> PyResult<String> {
        let (callback, args) = (call.callback.bind(py), call.args(py)?);
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
    pub(super) fn cancel_once(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let (py, this) = (slf.py(), slf.get());
        if this.cancelled.swap(true, Ordering::Relaxed) {
            return Ok(false);
        }
        if this.event_loop.get().is_debug() {
            let text: String = slf.repr()?.extract()?;
            this.state.with(py, |state| state.debug.get_or_insert_default().last_repr = Some(text));
        }
        let call = this.state.with(py, |state| state.call.take());
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
    fn get_context(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.context(py)
    }

    fn _run(slf: &Bound<'_, Self>) -> PyResult<()> {
        Self::run(slf)
    }

    #[getter]
    fn _callback(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.call(py).map(|call| call.callback)
    }

    #[getter]
    fn _args<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        self.call(py).map(|call| call.args(py)).transpose()
    }

    #[getter]
    fn _cancelled(&self) -> bool {
        self.is_cancelled()
    }

    #[getter]
    fn _context(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.context(py)
    }

    #[getter]
    fn _loop(&self, py: Python<'_>) -> Py<LoopCore> {
        self.event_loop.clone_ref(py)
    }

    #[getter]
    fn _source_traceback(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.traceback(py)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let (py, this) = (slf.py(), slf.get());
        if let Some(text) = this.state.with(py, |state| state.debug.as_ref()?.last_repr.clone()) {
            return Ok(text);
        }
        let mut parts = vec![slf.get_type().name()?.to_string()];
        // In debug mode this text is kept on the way to being cancelled, when the flag is up and the callback still here.
        if this.is_cancelled() {
            parts.push("cancelled".to_owned());
        }
        if let Ok(timer) = slf.cast::<TimerHandle>() {
            parts.push(format!("when={}", timer.get().deadline().into_pyobject(py)?.repr()?));
        }
        if let Some(call) = this.call(py) {
            parts.push(this.describe_call(py, &call)?);
        }
        if let Some(traceback) = this.traceback(py)
            && let Ok(frame) = traceback.bind(py).get_item(-1)
        {
            parts.push(format!("created at {}:{}", frame.get_item(0)?, frame.get_item(1)?));
        }
        Ok(format!("<{}>", parts.join(" ")))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let traverse = |state: &State| {
            state.call.as_ref().map_or(Ok(()), |call| call.traverse(&visit))?;
            state.context.as_ref().map_or(Ok(()), |context| visit.call(context.get()))?;
            state.debug.as_ref().map_or(Ok(()), |debug| visit.call(&debug.traceback))
        };
        self.state.during_traverse(traverse).unwrap_or(Ok(()))?;
        visit.call(&self.event_loop)
    }

    fn __clear__(&self, py: Python<'_>) {
        let call = self.state.with(py, |state| state.call.take());
        drop(call);
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
