#![allow(unsafe_code)] // PyO3 has no words for what the garbage collector looks at.
//! What the garbage collector looks at, and what nobody else holds.
//!
//! A handle that waits in a running loop is alive, so the collector has no need to look at it, and most handles are made,
//! run and gone before it could: they are hidden from it. One that somebody else still holds when the loop lets go of it,
//! or that is left in a loop that does not run, may be part of a cycle, and is shown. The same goes for the copy of the current
//! context that a handle is made with: thousands of them may wait in a queue, and each collection would walk them all.

use std::cell::Cell;

use pyo3::ffi;
use pyo3::prelude::*;

/// Hides a new object, to which only its maker has a reference.
#[inline]
pub(super) fn hide(object: &Bound<'_, PyAny>) {
    // SAFETY: the object is alive, and its type is one that the collector knows.
    unsafe { ffi::PyObject_GC_UnTrack(object.as_ptr().cast()) };
}

/// Shows an object; nothing changes for one that is shown already.
pub(super) fn show(object: &Bound<'_, PyAny>) {
    // SAFETY: the object is alive, and its type is one that the collector knows; it is whole, so that it can be traversed.
    unsafe {
        if ffi::PyObject_GC_IsTracked(object.as_ptr()) == 0 {
            ffi::PyObject_GC_Track(object.as_ptr().cast());
        }
    }
}

/// Whether the caller's reference is the only one, so that nobody can come to see the object any more.
#[inline]
pub(super) fn is_sole(object: &Bound<'_, PyAny>) -> bool {
    // Without a global lock the count is spread over threads, and another one may look at this very moment.
    if cfg!(Py_GIL_DISABLED) {
        return false;
    }
    let object = object.as_ptr();
    // SAFETY: the object is alive, and its type says where it keeps its list of weak references.
    unsafe {
        let offset = (*ffi::Py_TYPE(object)).tp_weaklistoffset;
        ffi::Py_REFCNT(object) == 1
            && (offset <= 0 || (*object.byte_offset(offset).cast::<*mut ffi::PyObject>()).is_null())
    }
}

/// The context of a handle. A copy that was made for it is hidden while the handle waits in a running loop.
pub(super) struct Context {
    object: Py<PyAny>,
    hidden: Cell<bool>,
}

// SAFETY: only attached threads touch it, and contexts are not hidden where those are not alone.
unsafe impl Sync for Context {}

impl Context {
    /// A context that others know of.
    #[inline]
    pub(super) fn shared(context: Bound<'_, PyAny>) -> Self {
        Self { object: context.unbind(), hidden: Cell::new(false) }
    }

    /// A new copy; to be hidden while the loop runs.
    #[inline]
    pub(super) fn copied(context: Bound<'_, PyAny>, hidden: bool) -> Self {
        let hidden = hidden && is_sole(&context);
        if hidden {
            hide(&context);
        }
        Self { object: context.unbind(), hidden: Cell::new(hidden) }
    }

    #[inline]
    pub(super) fn get(&self) -> &Py<PyAny> {
        &self.object
    }

    #[inline]
    pub(super) fn show(&self) {
        if self.hidden.replace(false) {
            // SAFETY: handles are used and dropped by attached threads only; the object is alive, whole and hidden.
            unsafe { ffi::PyObject_GC_Track(self.object.as_ptr().cast()) };
        }
    }
}

impl Drop for Context {
    #[inline]
    fn drop(&mut self) {
        // The interpreter expects to see a context that it frees.
        self.show();
    }
}
