//! Native halves of the transports.
//!
//! A transport is the interpreter's own class with its hot paths replaced: reading, writing and flow of bytes are here,
//! and what happens once in a connection's life (set-up, limits, closing, reports) is inherited. `python/ziggurat/_transports.py` joins
//! the two.

mod queue;
mod scratch;
mod stream;

pub(super) use scratch::Scratch;
pub(super) use stream::StreamCore;

use std::os::fd::{BorrowedFd, RawFd};

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use rustix::io::Errno;

/// The exception for an error number, of the class that Python has for it.
fn os_error(errno: Errno) -> PyErr {
    let text = std::io::Error::from(errno).to_string();
    // Rust adds the number to the text; Python has it in front.
    let text = text.split(" (os error").next().unwrap_or_default().to_owned();
    PyOSError::new_err((errno.raw_os_error(), text))
}

/// The descriptor of a transport.
///
/// # Safety
///
/// It must be open for as long as the borrow lives. A transport holds its socket open until it has let go of the number.
#[allow(unsafe_code)] // The number comes from a Python socket.
unsafe fn borrow<'a>(fd: RawFd) -> BorrowedFd<'a> {
    // SAFETY: the caller's promise.
    unsafe { BorrowedFd::borrow_raw(fd) }
}
