#![allow(unsafe_code)] // One cell, shared by threads that take turns in holding the interpreter's lock.
//! State that only attached threads touch.
//!
//! Whoever is attached to an interpreter with a global lock is alone, so a lock of our own would only cost: a flag is
//! enough, and catches the one mistake that is left, touching the state again while it is in use. On an interpreter
//! without that lock a mutex stands in its place.

#[cfg(not(Py_GIL_DISABLED))]
use std::cell::{Cell, UnsafeCell};
#[cfg(Py_GIL_DISABLED)]
use std::sync::{Mutex, PoisonError};

use pyo3::Python;

/// A value behind the interpreter's lock.
///
/// What is given to [`with`](Self::with) must not run Python code: no call, no allocation of Python objects, and no reference dropped.
#[cfg(not(Py_GIL_DISABLED))]
#[derive(Default)]
pub(super) struct Guarded<T> {
    busy: Cell<bool>,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached only through `with`, by a thread that is attached and so alone, and through
// `during_traverse`, which the collector calls while it is.
#[cfg(not(Py_GIL_DISABLED))]
unsafe impl<T: Send> Sync for Guarded<T> {}

#[cfg(not(Py_GIL_DISABLED))]
impl<T> Guarded<T> {
    pub(super) const fn new(value: T) -> Self {
        Self { busy: Cell::new(false), value: UnsafeCell::new(value) }
    }

    /// Lends the value to `f`.
    #[inline]
    #[allow(clippy::panic, reason = "it would be a mistake of this crate, and going on would be unsound")]
    pub(super) fn with<R>(&self, _: Python<'_>, f: impl FnOnce(&mut T) -> R) -> R {
        struct Busy<'a>(&'a Cell<bool>);
        impl Drop for Busy<'_> {
            #[inline]
            fn drop(&mut self) {
                self.0.set(false);
            }
        }
        if self.busy.replace(true) {
            panic!("guarded state is in use already");
        }
        let _busy = Busy(&self.busy);
        // SAFETY: the flag was down and is up until this returns, and no other thread is attached meanwhile.
        f(unsafe { &mut *self.value.get() })
    }

    /// Shows the value to the collector; `None` when it is in use. To be called from `__traverse__` only.
    pub(super) fn during_traverse<R>(&self, f: impl FnOnce(&T) -> R) -> Option<R> {
        if self.busy.get() {
            return None;
        }
        // SAFETY: the thread that collects is attached, so no other one uses the value, and this one does not either;
        // a traversal runs no code that could change it.
        Some(f(unsafe { &*self.value.get() }))
    }
}

/// A value behind a lock.
#[cfg(Py_GIL_DISABLED)]
#[derive(Default)]
pub(super) struct Guarded<T>(Mutex<T>);

#[cfg(Py_GIL_DISABLED)]
impl<T> Guarded<T> {
    pub(super) const fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    /// Lends the value to `f`.
    pub(super) fn with<R>(&self, _: Python<'_>, f: impl FnOnce(&mut T) -> R) -> R {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Shows the value to the collector; `None` when it is in use. To be called from `__traverse__` only.
    pub(super) fn during_traverse<R>(&self, f: impl FnOnce(&T) -> R) -> Option<R> {
        self.0.try_lock().ok().map(|value| f(&value))
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::python::attach;
    use crate::service::LeafKind;

    #[test]
    fn it_is_lent_once_at_a_time_and_comes_back_after_a_panic() {
        Python::initialize();
        attach::at(LeafKind::Python, |py| {
            let guarded = Guarded::new(1);
            guarded.with(py, |value| *value += 1);
            let seen = guarded.with(py, |_| guarded.during_traverse(|value| *value));
            assert_eq!(seen, None);
            #[cfg(not(Py_GIL_DISABLED))]
            assert!(catch_unwind(AssertUnwindSafe(|| guarded.with(py, |_| guarded.with(py, |_| ())))).is_err());
            let failed = catch_unwind(AssertUnwindSafe(|| guarded.with(py, |_| panic!("on purpose"))));
            assert!(failed.is_err());
            assert_eq!(guarded.with(py, |value| *value), 2);
        });
    }
}
