//! The Python objects of an app, in one place that the app owns.
//!
//! Services keep a `Weak` and indices: whatever thread drops a service, no Python object is released there. The one strong
//! reference is in the native app, which the interpreter itself drops.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use pyo3::types::PyDict;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tokio_util::task::TaskTracker;

use super::asgi::AsgiApp;
use super::form::Limits;
use super::handler::{Callable, Plan, SyncPool};
use super::pyloop::LoopHandle;
use super::stream::Pieces;

/// Everything that Python gave the app.
#[derive(Default)]
pub(super) struct Objects {
    pub(super) handlers: Vec<Callable>,
    /// What stands in for handlers; their numbers go on where those of handlers end.
    stand_ins: RwLock<Vec<Arc<Callable>>>,
    /// `ziggurat.Ziggurat`.
    pub(super) app: OnceLock<Py<PyAny>>,
    pub(super) middleware: Vec<Py<PyAny>>,
    /// `ziggurat.hooks.Hooks` of resources.
    pub(super) hooks: Vec<Py<PyAny>>,
    /// `ziggurat._catches.Catcher` of routes.
    pub(super) catchers: Vec<Py<PyAny>>,
    /// What makes the texts that are made when they are asked for.
    pub(super) documents: Vec<Py<PyAny>>,
    /// Applications of other frameworks.
    pub(super) apps: Vec<AsgiApp>,
    /// What is lent to requests further in.
    lent: Mutex<HashMap<u64, Surroundings>>,
    next: AtomicU64,
    /// What forms may hold that are asked for by name.
    pub(super) forms: OnceLock<Arc<Limits>>,
    /// Set when the app is built.
    pub(super) shared: OnceLock<Arc<Shared>>,
}

/// Context variables and request state of a middleware, and what was raised inside of it.
pub(super) struct Surroundings {
    pub(super) context: Py<PyAny>,
    pub(super) state: Py<PyDict>,
    /// With the name of what raised it.
    pub(super) raised: Option<(PyErr, String)>,
}

/// A response extension: the answer stands for an exception that is kept with the surroundings of its request.
#[derive(Debug, Clone, Copy)]
pub(super) struct HasRaised;

/// A request extension: names the surroundings that a middleware outside left.
#[derive(Debug, Clone, Copy)]
pub(super) struct SurroundingsId(pub(super) u64);

impl Objects {
    // Never locked while Python runs, nor while a reference is dropped.
    fn lent(&self) -> MutexGuard<'_, HashMap<u64, Surroundings>> {
        self.lent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What becomes of bodies in pieces: a middleware may look at each.
    pub(super) fn pieces(&self) -> Pieces {
        if self.middleware.is_empty() { Pieces::Joined } else { Pieces::Apart }
    }

    /// What forms may hold, where no route says otherwise.
    pub(super) fn form_limits(&self) -> Arc<Limits> {
        self.forms.get().cloned().unwrap_or_default()
    }

    pub(super) fn lend(&self, surroundings: Surroundings) -> u64 {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let replaced = self.lent().insert(id, surroundings);
        drop(replaced);
        id
    }

    #[must_use = "dropping it may run Python code"]
    pub(super) fn take_back(&self, id: u64) -> Option<Surroundings> {
        self.lent().remove(&id)
    }

    /// The context variables that a middleware left.
    pub(super) fn context(&self, py: Python<'_>, id: u64) -> Option<Py<PyAny>> {
        self.lent().get(&id).map(|lent| lent.context.clone_ref(py))
    }

    /// The state of its request.
    pub(super) fn state(&self, py: Python<'_>, id: u64) -> Option<Py<PyDict>> {
        self.lent().get(&id).map(|lent| lent.state.clone_ref(py))
    }

    /// The handler of this number.
    pub(super) fn handler(&self, number: usize) -> HandlerRef<'_> {
        match self.handlers.get(number) {
            Some(handler) => HandlerRef::Own(handler),
            None => {
                let stand_ins = self.stand_ins.read().unwrap_or_else(PoisonError::into_inner);
                HandlerRef::StandIn(stand_ins[number - self.handlers.len()].clone())
            }
        }
    }

    /// Has `callable` stand in for the handler of this number.
    ///
    /// # Errors
    /// Gives it back when there is no such handler.
    pub(super) fn stand_in(&self, number: usize, plan: Arc<Plan>, callable: Callable) -> Result<(), Callable> {
        let Some(handler) = self.handlers.get(number) else { return Err(callable) };
        let mut stand_ins = self.stand_ins.write().unwrap_or_else(PoisonError::into_inner);
        stand_ins.push(Arc::new(callable));
        let own = self.handlers.len() + stand_ins.len() - 1;
        drop(stand_ins);
        handler.switch.set(plan, own);
        Ok(())
    }

    /// The loop that runs the app's coroutines now.
    pub(super) fn event_loop(&self) -> PyResult<LoopHandle> {
        let event_loop = self.shared.get().and_then(|shared| shared.event_loop());
        event_loop.ok_or_else(|| PyRuntimeError::new_err("the event loop of the app does not run"))
    }

    /// Keeps an exception for the middleware that left these surroundings.
    ///
    /// # Errors
    /// Gives it back where nobody waits for it any longer.
    pub(super) fn keep_raised(&self, id: u64, error: PyErr, whose: &str) -> Result<(), PyErr> {
        let mut lent = self.lent();
        let Some(surroundings) = lent.get_mut(&id) else { return Err(error) };
        let before = surroundings.raised.replace((error, whose.to_owned()));
        drop(lent);
        drop(before);
        Ok(())
    }

    /// The exception that was kept with these surroundings.
    pub(super) fn take_raised(&self, id: u64) -> Option<(PyErr, String)> {
        self.lent().get_mut(&id)?.raised.take()
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        for callable in &self.handlers {
            callable.traverse(visit)?;
        }
        self.apps.iter().try_for_each(|app| app.traverse(visit))?;
        if let Ok(stand_ins) = self.stand_ins.try_read() {
            stand_ins.iter().try_for_each(|callable| callable.traverse(visit))?;
        }
        if let Some(app) = self.app.get() {
            visit.call(app)?;
        }
        let functions = self.middleware.iter().chain(&self.hooks).chain(&self.catchers);
        functions.chain(&self.documents).try_for_each(|function| visit.call(function))
    }
}

/// A handler of an app.
pub(super) enum HandlerRef<'a> {
    Own(&'a Callable),
    StandIn(Arc<Callable>),
}

impl Deref for HandlerRef<'_> {
    type Target = Callable;

    fn deref(&self) -> &Callable {
        match self {
            Self::Own(callable) => callable,
            Self::StandIn(callable) => callable,
        }
    }
}

/// What the services of an app share and that is not Python's.
pub(super) struct Shared {
    event_loop: RwLock<Option<LoopHandle>>,
    pub(super) sync: SyncPool,
    /// What runs on after its request was answered.
    pub(super) background: TaskTracker,
    /// Cancelled when the app begins to stop.
    stopping: RwLock<CancellationToken>,
}

impl Shared {
    pub(super) fn new(sync_threads: usize) -> Arc<Self> {
        Arc::new(Self {
            event_loop: RwLock::new(None),
            sync: SyncPool::new(sync_threads),
            background: TaskTracker::new(),
            stopping: RwLock::default(),
        })
    }

    /// The loop that runs the app's coroutines now.
    pub(super) fn event_loop(&self) -> Option<LoopHandle> {
        self.event_loop.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Is ready when the app begins to stop, for answers that have no end.
    pub(super) fn stopping(&self) -> WaitForCancellationFutureOwned {
        self.stopping.read().unwrap_or_else(PoisonError::into_inner).clone().cancelled_owned()
    }

    pub(super) fn stop(&self) {
        self.stopping.read().unwrap_or_else(PoisonError::into_inner).cancel();
    }

    pub(super) fn set_event_loop(&self, handle: Option<LoopHandle>) {
        if handle.is_some() {
            // It may have stopped before.
            *self.stopping.write().unwrap_or_else(PoisonError::into_inner) = CancellationToken::new();
        }
        *self.event_loop.write().unwrap_or_else(PoisonError::into_inner) = handle;
    }
}
