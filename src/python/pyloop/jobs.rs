//! The tasks of jobs that are suspended, by the id of the job: what keeps them alive, and how they are cancelled.

use std::collections::HashMap;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};

/// The lock is never held while Python runs or a reference is dropped.
#[derive(Default)]
pub(in crate::python) struct Jobs(Mutex<HashMap<u64, Py<PyAny>>>);

impl Jobs {
    fn tasks(&self) -> MutexGuard<'_, HashMap<u64, Py<PyAny>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::python) fn insert(&self, id: u64, task: Py<PyAny>) {
        // Ids are never used twice.
        let replaced = self.tasks().insert(id, task);
        drop(replaced);
    }

    #[must_use = "dropping it may run Python code"]
    pub(in crate::python) fn remove(&self, id: u64) -> Option<Py<PyAny>> {
        self.tasks().remove(&id)
    }

    pub(in crate::python) fn get(&self, py: Python<'_>, id: u64) -> Option<Py<PyAny>> {
        self.tasks().get(&id).map(|task| task.clone_ref(py))
    }

    pub(in crate::python) fn all(&self, py: Python<'_>) -> Vec<Py<PyAny>> {
        self.tasks().values().map(|task| task.clone_ref(py)).collect()
    }

    pub(in crate::python) fn clear(&self) {
        let tasks = mem::take(&mut *self.tasks());
        drop(tasks);
    }

    pub(in crate::python) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.tasks().values().try_for_each(|task| visit.call(task))
    }
}
