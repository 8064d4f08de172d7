//! Native halves of the transports.
//!
//! A transport is the interpreter's own class with its hot paths replaced: reading, writing and flow of bytes are here,
//! and what happens once in a connection's life (set-up, limits, closing, reports) is inherited. `_transports.py` and its
//! siblings in `python/ziggurat/` join the two. Beside them are the operations on sockets that have no transport.

mod address;
mod datagram;
mod datagrams;
mod descriptor;
mod operation;
mod pipe;
mod queue;
mod scratch;
mod stream;
mod tls;

pub(super) use datagram::DatagramCore;
pub(super) use operation::{SocketOperation, add_operations};
pub(super) use pipe::{PipeReader, PipeWriter};
pub(super) use scratch::Scratch;
pub(super) use stream::StreamCore;
pub(super) use tls::TlsCore;

use std::os::fd::{BorrowedFd, RawFd};
use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::exceptions::{PyOSError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyMemoryView};
use rustix::io::Errno;

/// What always has more is read so often in one turn, so that the others get theirs.
const READS_PER_TURN: usize = 4;
/// What has gathered up to this size is sent before the turn ends.
const SEND_EARLY: usize = 64 * 1024;
/// From so many writes on a lost connection each is worth a warning, as `asyncio.constants` has it.
const WARN_FROM: usize = 5;

/// Counts a write on a lost connection.
fn warn_of_lost(py: Python<'_>, lost: &AtomicUsize, message: &str) -> PyResult<()> {
    if lost.fetch_add(1, Ordering::Relaxed) >= WARN_FROM {
        let logger = py.import("asyncio.log")?.getattr("logger")?;
        logger.call_method1("warning", (message,))?;
    }
    Ok(())
}

/// The bytes of what is to be written; what may change is copied.
fn bytes(data: Bound<'_, PyAny>) -> PyResult<Bound<'_, PyBytes>> {
    let py = data.py();
    let data = match data.cast_into_exact::<PyBytes>() {
        Ok(bytes) => return Ok(bytes),
        Err(error) => error.into_inner(),
    };
    if data.is_instance_of::<PyBytes>() || data.is_instance_of::<PyByteArray>() || data.is_instance_of::<PyMemoryView>()
    {
        return Ok(py.get_type::<PyBytes>().call1((data,))?.cast_into_exact::<PyBytes>()?);
    }
    let name = data.get_type().name()?.repr()?;
    Err(PyTypeError::new_err(format!("data argument must be a bytes-like object, not {name}")))
}

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
