//! The one place that enters the interpreter, and the tally of who did.
//!
//! Native leaves must never reach Python, and a runtime worker must never wait for the GIL. Both are promises that a
//! test can only check if every entry goes through here: `clippy.toml` forbids [`Python::attach`] elsewhere.

use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::prelude::*;

use crate::service::LeafKind;

static ENTRIES: [AtomicU64; LeafKind::ALL.len()] = [const { AtomicU64::new(0) }; LeafKind::ALL.len()];

/// How often the interpreter was entered on behalf of a leaf, in the order of [`LeafKind::ALL`].
pub fn counts() -> [u64; LeafKind::ALL.len()] {
    ENTRIES.each_ref().map(|entries| entries.load(Ordering::Relaxed))
}

/// Attaches this thread to the interpreter and runs `f` on behalf of a leaf of this kind.
///
/// For threads of our own that run Python and nothing else. Never call it on a runtime worker.
#[allow(clippy::disallowed_methods, reason = "this is the place")]
pub(crate) fn at<R>(kind: LeafKind, f: impl for<'py> FnOnce(Python<'py>) -> R) -> R {
    debug_assert!(!on_io_worker(), "a runtime worker must not wait for the interpreter");
    count(kind);
    Python::attach(f)
}

/// The same on a thread that may outlive the interpreter; none when that is going down.
#[allow(clippy::disallowed_methods, reason = "this is the place")]
pub(super) fn try_at<R>(kind: LeafKind, f: impl for<'py> FnOnce(Python<'py>) -> R) -> Option<R> {
    debug_assert!(!on_io_worker(), "a runtime worker must not wait for the interpreter");
    count(kind);
    Python::try_attach(f)
}

/// The same on behalf of no leaf, as for what is made before anybody asks for it.
#[allow(clippy::disallowed_methods, reason = "this is the place")]
pub(super) fn try_aside<R>(f: impl for<'py> FnOnce(Python<'py>) -> R) -> Option<R> {
    debug_assert!(!on_io_worker(), "a runtime worker must not wait for the interpreter");
    Python::try_attach(f)
}

/// Runs `f` on behalf of a leaf of this kind on the loop thread, which is attached already.
pub(crate) fn on_loop<'py, R>(py: Python<'py>, kind: LeafKind, f: impl FnOnce(Python<'py>) -> R) -> R {
    count(kind);
    f(py)
}

/// Attaches this thread and drops `value`; leaks it when the interpreter is going down.
#[allow(clippy::disallowed_methods, reason = "this is the place")]
pub(super) fn drop_attached<T>(value: T) {
    debug_assert!(!on_io_worker(), "a runtime worker must not wait for the interpreter");
    let mut value = Some(value);
    if Python::try_attach(|_| drop(value.take())).is_none() {
        std::mem::forget(value);
    }
}

/// Calls code of the user that may still run when the interpreter goes down.
///
/// Before Python 3.14 a thread that then asks for the interpreter is ended in the midst of that, by unwinding, and nothing of Rust's may
/// be passed so: it would be dropped without the interpreter. The thread stays here instead, until the process has ended.
pub(super) fn staying<R>(f: impl FnOnce() -> R) -> R {
    let stay = Stay;
    let result = f();
    std::mem::forget(stay);
    result
}

struct Stay;

impl Drop for Stay {
    fn drop(&mut self) {
        // A panic of ours goes its way.
        while !std::thread::panicking() {
            std::thread::park();
        }
    }
}

/// Whether this thread is attached to the interpreter.
#[allow(unsafe_code)]
pub(super) fn is_attached() -> bool {
    // SAFETY: the call may be made from any thread, attached or not, while the interpreter is initialized.
    unsafe { pyo3::ffi::Py_IsInitialized() != 0 && pyo3::ffi::PyGILState_Check() == 1 }
}

fn count(kind: LeafKind) {
    ENTRIES[kind as usize].fetch_add(1, Ordering::Relaxed);
}

/// Whether this thread is a worker of the runtime.
pub(super) fn on_io_worker() -> bool {
    std::thread::current().name().is_some_and(|name| name.starts_with("ziggurat-io-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Other tests of this binary may enter too, so only growth can be asserted.
    #[test]
    fn entries_are_counted_by_kind() {
        Python::initialize();
        let before = counts();
        at(LeafKind::Crud, |py| on_loop(py, LeafKind::Python, |_| ()));
        let after = counts();
        assert!(after[LeafKind::Crud as usize] > before[LeafKind::Crud as usize]);
        assert!(after[LeafKind::Python as usize] > before[LeafKind::Python as usize]);
    }

    #[test]
    fn a_panic_does_not_stay() {
        assert!(std::thread::spawn(|| staying(|| panic!("it is meant"))).join().is_err());
        assert_eq!(staying(|| 1), 1);
    }

    #[test]
    #[cfg(debug_assertions)]
    fn a_runtime_worker_may_not_enter() {
        let worker = std::thread::Builder::new().name("ziggurat-io-7".into()).spawn(|| at(LeafKind::Native, |_| ()));
        assert!(worker.unwrap().join().is_err());
    }
}
