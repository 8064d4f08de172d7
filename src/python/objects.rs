//! The Python objects of an app, in one place that the app owns.
//!
//! Services keep a `Weak` and indices: whatever thread drops a service, no Python object is released there. The one strong
//! reference is in the native app, which the interpreter itself drops.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use pyo3::types::PyDict;
use tokio_util::task::TaskTracker;

use super::handler::{Callable, SyncPool};
use super::pyloop::LoopHandle;

/// Everything that Python gave the app.
#[derive(Default)]
pub(super) struct Objects {
    pub(super) handlers: Vec<Callable>,
    pub(super) middleware: Vec<Py<PyAny>>,
    /// `ziggurat.hooks.Hooks` of resources.
    pub(super) hooks: Vec<Py<PyAny>>,
    /// What waits for an answer from the native side, or is lent to requests further in.
    slots: Mutex<HashMap<u64, Slot>>,
    next: AtomicU64,
}

/// A Python object that Rust code names by a number.
pub(super) enum Slot {
    /// What a middleware set before it called inward.
    Surroundings(Surroundings),
}

/// Context variables and request state of a middleware.
pub(super) struct Surroundings {
    pub(super) context: Py<PyAny>,
    pub(super) state: Py<PyDict>,
}

/// A request extension: names the surroundings that a middleware outside left.
#[derive(Debug, Clone, Copy)]
pub(super) struct SurroundingsId(pub(super) u64);

impl Objects {
    // Never locked while Python runs, nor while a reference is dropped.
    fn slots(&self) -> MutexGuard<'_, HashMap<u64, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn keep(&self, slot: Slot) -> u64 {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let replaced = self.slots().insert(id, slot);
        drop(replaced);
        id
    }

    #[must_use = "dropping it may run Python code"]
    pub(super) fn take(&self, id: u64) -> Option<Slot> {
        self.slots().remove(&id)
    }

    pub(super) fn surroundings(&self, py: Python<'_>, id: u64) -> Option<Surroundings> {
        match self.slots().get(&id) {
            Some(Slot::Surroundings(s)) => {
                Some(Surroundings { context: s.context.clone_ref(py), state: s.state.clone_ref(py) })
            }
            _ => None,
        }
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        for callable in &self.handlers {
            callable.traverse(visit)?;
        }
        self.middleware.iter().chain(&self.hooks).try_for_each(|function| visit.call(function))
    }
}

/// What the services of an app share and that is not Python's.
pub(super) struct Shared {
    event_loop: RwLock<Option<LoopHandle>>,
    pub(super) sync: SyncPool,
    /// What runs on after its request was answered.
    pub(super) background: TaskTracker,
}

impl Shared {
    pub(super) fn new(sync_threads: usize) -> Arc<Self> {
        Arc::new(Self {
            event_loop: RwLock::new(None),
            sync: SyncPool::new(sync_threads),
            background: TaskTracker::new(),
        })
    }

    /// The loop that runs the app's coroutines now.
    pub(super) fn event_loop(&self) -> Option<LoopHandle> {
        self.event_loop.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_event_loop(&self, handle: Option<LoopHandle>) {
        *self.event_loop.write().unwrap_or_else(PoisonError::into_inner) = handle;
    }
}
