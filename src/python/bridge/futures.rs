//! What waits across the bridge, by its id: the Rust futures that Python waits for, and what in Rust waits for Python.
//!
//! It keeps a Rust future alive and lets the loop find it when it ends; and when the loop is closed, everything that waits
//! learns of that at once.

use std::collections::HashMap;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};

use super::RustFuture;
use super::awaiting::Finish;
use crate::python::pyloop::LoopCore;

/// The locks are never held while Python runs or a reference is dropped.
#[derive(Default)]
pub(in crate::python) struct Futures {
    futures: Mutex<HashMap<u64, Py<RustFuture>>>,
    finishes: Mutex<HashMap<u64, Finish>>,
}

impl Futures {
    fn futures(&self) -> MutexGuard<'_, HashMap<u64, Py<RustFuture>>> {
        self.futures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn finishes(&self) -> MutexGuard<'_, HashMap<u64, Finish>> {
        self.finishes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rust waits for the task with this id. Ids are never used twice.
    pub(super) fn expect(&self, id: u64, finish: Finish) {
        let replaced = self.finishes().insert(id, finish);
        drop(replaced);
    }

    #[must_use = "who waits for it is told nothing"]
    pub(super) fn finish(&self, id: u64) -> Option<Finish> {
        self.finishes().remove(&id)
    }

    #[must_use = "dropping it may run Python code"]
    pub(super) fn insert(&self, id: u64, future: Py<RustFuture>) -> Option<Py<RustFuture>> {
        self.futures().insert(id, future)
    }

    #[must_use = "dropping it may run Python code"]
    pub(super) fn remove(&self, id: u64) -> Option<Py<RustFuture>> {
        self.futures().remove(&id)
    }

    /// The future with this id has ended: whoever waits for it is called back.
    pub(in crate::python) fn ended(&self, event_loop: &Bound<'_, LoopCore>, id: u64) {
        // Nobody waits any longer when it is not there.
        if let Some(future) = self.remove(id) {
            RustFuture::settle(future.bind(event_loop.py()));
        }
    }

    /// The loop is closed: the futures end, whoever holds them, and whoever waits in Rust learns of it.
    pub(in crate::python) fn clear(&self) {
        let (futures, finishes) = (mem::take(&mut *self.futures()), mem::take(&mut *self.finishes()));
        futures.values().for_each(|future| future.get().abort_handle().abort());
        drop((futures, finishes));
    }

    pub(in crate::python) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.futures().values().try_for_each(|future| visit.call(future))
    }
}
