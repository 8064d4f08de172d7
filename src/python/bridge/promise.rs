//! What a Rust future and the Python object that stands for it share: where its outcome is laid down.
//!
//! The outcome stays Rust data until the loop thread asks for it. Whoever comes second takes the next step: the future
//! tells the loop when somebody waits already, and who begins to wait looks whether the future has ended. A future that
//! nobody waits for tells nobody.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;

use crate::python::pyloop::LoopHandle;
use crate::python::release::release;

/// Makes the Python object of an outcome, on the loop thread.
pub(super) type Convert = Box<dyn FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send>;

/// How a Rust future ended.
pub(super) struct Outcome {
    pub(super) convert: Convert,
    /// Whether it is an error, which somebody should look at.
    pub(super) failed: bool,
}

/// Nobody waits, and the future runs.
const RUNNING: u8 = 0;
/// Somebody waits.
const AWAITED: u8 = 1;
/// The outcome is there.
const ENDED: u8 = 2;
/// Nobody wants the outcome any longer.
const ABANDONED: u8 = 3;

pub(super) struct Shared {
    state: AtomicU8,
    outcome: Mutex<Option<Outcome>>,
}

impl Shared {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { state: AtomicU8::new(RUNNING), outcome: Mutex::new(None) })
    }

    fn outcome(&self) -> std::sync::MutexGuard<'_, Option<Outcome>> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The outcome, once, when the future has ended.
    pub(super) fn take(&self) -> Option<Outcome> {
        if self.state.load(Ordering::Acquire) != ENDED {
            return None;
        }
        self.outcome().take()
    }

    /// Asks to be told of the end; false when the future has ended already.
    pub(super) fn wait(&self) -> bool {
        match self.state.compare_exchange(RUNNING, AWAITED, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => true,
            Err(state) => state != ENDED,
        }
    }

    /// Nobody wants the outcome any longer; false when it is there already.
    pub(super) fn abandon(&self) -> bool {
        self.state
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |state| (state != ENDED).then_some(ABANDONED))
            .is_ok()
    }
}

/// The future's side: lays the outcome down, on any thread and without the interpreter.
pub(super) struct Promise {
    shared: Arc<Shared>,
    home: LoopHandle,
    id: u64,
    kept: bool,
}

impl Promise {
    pub(super) fn new(shared: Arc<Shared>, home: LoopHandle, id: u64) -> Self {
        Self { shared, home, id, kept: false }
    }

    pub(super) fn keep(mut self, outcome: Outcome) {
        self.kept = true;
        self.lay_down(outcome);
    }

    fn lay_down(&self, outcome: Outcome) {
        *self.shared.outcome() = Some(outcome);
        let before = self
            .shared
            .state
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |state| (state != ABANDONED).then_some(ENDED));
        match before {
            Ok(AWAITED) => self.home.ended(self.id),
            Ok(_) => {}
            Err(_) => {
                let unwanted = self.shared.outcome().take();
                release(unwanted, &self.home);
            }
        }
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        if !self.kept {
            // The task was dropped before it ended, by whoever holds its abort handle or with its runtime.
            let convert: Convert = Box::new(|py| Err(super::asyncio::cancelled_error(py, None)));
            self.lay_down(Outcome { convert, failed: false });
        }
    }
}
