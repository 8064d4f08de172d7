//! `TimerHandle`: what `call_later` and `call_at` give back.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use pyo3::basic::CompareOp;
use pyo3::prelude::*;

use super::call::Call;
use super::collect;
use super::core::LoopCore;
use super::handle::{Handle, State};

/// A handle with a deadline; the same face as `asyncio.TimerHandle`.
#[pyclass(extends = Handle, frozen, freelist = 1024, module = "ziggurat._ziggurat")]
pub(super) struct TimerHandle {
    /// The bits of an `f64`.
    when: AtomicU64,
    /// Whether it waits in the schedule.
    scheduled: AtomicBool,
    /// A copy of the flag of the handle, which the schedule reads without the interpreter.
    cancelled: AtomicBool,
}

impl TimerHandle {
    /// A handle for the schedule of the loop.
    pub(super) fn new<'py>(
        event_loop: &Bound<'py, LoopCore>,
        when: f64,
        call: Call,
        context: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Self>> {
        let (py, core) = (event_loop.py(), event_loop.get());
        let state = State::new(event_loop, call, context)?;
        if let Some(spare) = core.spares().timer(py) {
            spare.as_super().get().fill(py, state);
            let this = spare.get();
            this.when.store(when.to_bits(), Ordering::Relaxed);
            this.scheduled.store(true, Ordering::Relaxed);
            this.cancelled.store(false, Ordering::Relaxed);
            return Ok(spare);
        }
        let timer = Self {
            when: AtomicU64::new(when.to_bits()),
            scheduled: AtomicBool::new(true),
            cancelled: AtomicBool::new(false),
        };
        let timer = PyClassInitializer::from(Handle::with_state(event_loop, state)).add_subclass(timer);
        let timer = Bound::new(py, timer)?;
        timer.as_super().get().show_or_hide(timer.as_any(), !core.is_turning());
        Ok(timer)
    }

    /// The loop has run it, or will not; it is used again if nobody else holds it.
    pub(super) fn release(slf: Bound<'_, Self>, core: &LoopCore) {
        let handle = slf.as_super().get();
        if !collect::is_sole(slf.as_any()) {
            Handle::show(slf.as_super());
        } else if core.is_turning() && handle.is_of(core) {
            handle.hide(slf.as_any());
            handle.empty(slf.py());
            core.spares().keep_timer(slf);
        }
    }

    pub(super) fn deadline(&self) -> f64 {
        f64::from_bits(self.when.load(Ordering::Relaxed))
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// The heap has let go of it.
    pub(super) fn unschedule(&self) {
        self.scheduled.store(false, Ordering::Relaxed);
    }

    pub(super) fn cancel_timer(slf: &Bound<'_, Self>) -> PyResult<()> {
        let handle = slf.as_super();
        if Handle::cancel_once(handle)? {
            let this = slf.get();
            this.cancelled.store(true, Ordering::Relaxed);
            if this.scheduled.load(Ordering::Relaxed) {
                let core = handle.get().core();
                core.timers().cancelled(slf.py(), core);
            }
        }
        Ok(())
    }
}

#[pymethods]
impl TimerHandle {
    /// The deadline, on the clock of `loop.time()`.
    fn when(&self) -> f64 {
        self.deadline()
    }

    #[getter]
    fn _when(&self) -> f64 {
        self.deadline()
    }

    #[getter]
    fn _scheduled(&self) -> bool {
        self.scheduled.load(Ordering::Relaxed)
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.deadline().to_bits().hash(&mut hasher);
        hasher.finish()
    }

    fn __richcmp__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>, op: CompareOp) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let Ok(other) = other.cast::<Self>() else { return Ok(py.NotImplemented()) };
        let (mine, theirs) = (slf.get().deadline(), other.get().deadline());
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
        if slf.get().deadline() != other.get().deadline() || mine.is_cancelled() != theirs.is_cancelled() {
            return Ok(false);
        }
        match (mine.call(py), theirs.call(py)) {
            (Some(call), Some(their_call)) => {
                Ok(call.callback.bind(py).eq(&their_call.callback)? && call.args(py)?.eq(their_call.args(py)?)?)
            }
            (None, None) => Ok(true),
            _ => Ok(false),
        }
    }
}
