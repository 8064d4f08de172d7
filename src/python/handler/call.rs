//! Calls without a tuple and a dict for the arguments.
#![allow(unsafe_code, reason = "PyO3 has no safe vectorcall for a number of arguments known only at run time")]

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// Calls `function` with `args`, of which the last `keywords.len()` are passed by these names.
// A function of its own, so that who calls it sees it unwind; see `attach::staying`.
#[inline(never)]
pub(super) fn vectorcall<'py>(
    function: &Bound<'py, PyAny>,
    args: &[Bound<'py, PyAny>],
    keywords: Option<&Bound<'py, PyTuple>>,
) -> PyResult<Bound<'py, PyAny>> {
    const INLINE: usize = 8;
    let named = keywords.map_or(0, |names| names.len());
    debug_assert!(named <= args.len());
    let mut inline = [std::ptr::null_mut(); INLINE + 1];
    let mut heap;
    // The slot before the first argument belongs to the callee (PY_VECTORCALL_ARGUMENTS_OFFSET), which saves bound
    // methods a copy.
    let slots: &mut [*mut ffi::PyObject] = if args.len() <= INLINE {
        &mut inline
    } else {
        heap = vec![std::ptr::null_mut(); args.len() + 1];
        &mut heap
    };
    for (slot, arg) in slots[1..].iter_mut().zip(args) {
        *slot = arg.as_ptr();
    }
    let positional = (args.len() - named) | ffi::PY_VECTORCALL_ARGUMENTS_OFFSET;
    // SAFETY: attached, since `function` is bound. `slots[1..]` begins with `args.len()` borrowed references that live as
    // long as `args`, one writable slot stands before them, and `keywords` is a tuple of str or null. The result is a new
    // reference, or null with an exception set.
    unsafe {
        let result = ffi::PyObject_Vectorcall(
            function.as_ptr(),
            slots.as_ptr().add(1),
            positional,
            keywords.map_or(std::ptr::null_mut(), |names| names.as_ptr()),
        );
        Bound::from_owned_ptr_or_err(function.py(), result)
    }
}
