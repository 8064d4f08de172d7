//! The native halves of the pipe transports: pipes, FIFOs, sockets and character devices, read from or written to.
//!
//! What has arrived is read into the loop's scratch buffer and handed on as bytes of the size that came. The first write
//! of a turn is sent at once; what comes after it in the same turn, or does not fit into the pipe, waits for the end of
//! the turn and leaves with one system call.

use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyAssertionError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use pyo3::types::PyBytes;
use rustix::event::epoll::EventFlags;
use rustix::io::{Errno, read, write, writev};

use super::super::core::LoopCore;
use super::descriptor::{Descriptor, Owner};
use super::queue::WriteQueue;
use super::{READS_PER_TURN, SEND_EARLY, bytes, os_error, warn_of_lost};

/// Reads for a transport that is written in Python.
#[pyclass(frozen, module = "ziggurat._ziggurat")]
pub(in crate::python::pyloop) struct PipeReader {
    descriptor: Descriptor,
    protocol: Mutex<Option<Py<PyAny>>>,
}

impl Owner for PipeReader {
    const FATAL: &str = "Fatal error on pipe transport";

    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn ready(&self, py: Python<'_>, _flags: EventFlags) -> PyResult<()> {
        for _ in 0..READS_PER_TURN {
            if !self.descriptor.waits_for(EventFlags::IN) || !self.read(py)? {
                break;
            }
        }
        Ok(())
    }
}

impl PipeReader {
    fn protocol(&self) -> MutexGuard<'_, Option<Py<PyAny>>> {
        self.protocol.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads once; true when there may be more.
    fn read(&self, py: Python<'_>) -> PyResult<bool> {
        let Some(protocol) = self.protocol().as_ref().map(|protocol| protocol.bind(py).clone()) else {
            return Ok(false);
        };
        let came = self.descriptor.core().scratch().with(|buffer| {
            let size = buffer.len();
            let count = self.descriptor.with(|fd| read(fd, &mut *buffer))?;
            Ok((count > 0).then(|| (PyBytes::new(py, &buffer[..count]), count == size)))
        });
        match came {
            Ok(Some((data, more))) => {
                let result = protocol.call_method1(intern!(py, "data_received"), (data,));
                self.descriptor.report(py, result)?;
                Ok(more)
            }
            Ok(None) => {
                if let Some(transport) = self.descriptor.transport(py) {
                    transport.call_method0(intern!(py, "_end_of_pipe"))?;
                }
                Ok(false)
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(false),
            Err(errno) => {
                self.descriptor.fatal(py, os_error(errno), "Fatal read error on pipe transport")?;
                Ok(false)
            }
        }
    }
}

#[pymethods]
impl PipeReader {
    #[new]
    fn new(event_loop: &Bound<'_, LoopCore>, fd: RawFd) -> PyResult<Self> {
        Ok(Self { descriptor: Descriptor::new(event_loop, fd)?, protocol: Mutex::default() })
    }

    /// Takes the descriptor over for `transport`.
    fn open(slf: &Bound<'_, Self>, transport: &Bound<'_, PyAny>) -> PyResult<()> {
        slf.get().descriptor.claim(slf, transport)
    }

    /// Lets go of the descriptor, which may be closed then, and of everything of Python's.
    fn release(&self) {
        self.descriptor.release();
        let protocol = self.protocol().take();
        drop(protocol);
    }

    /// Who is told what arrives.
    fn set_protocol(&self, protocol: Py<PyAny>) {
        let before = self.protocol().replace(protocol);
        drop(before);
    }

    fn start_reading(&self) -> PyResult<()> {
        self.descriptor.change_interest(EventFlags::IN, EventFlags::empty())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.descriptor.traverse(&visit)?;
        visit.call(&*self.protocol())
    }

    fn __clear__(&self) {
        self.descriptor.clear();
        let protocol = self.protocol().take();
        drop(protocol);
    }
}

/// Writes for a transport that is written in Python. That the other end hangs up is the transport's affair, which has a
/// callback of its own on the descriptor.
#[pyclass(frozen, module = "ziggurat._ziggurat")]
pub(in crate::python::pyloop) struct PipeWriter {
    descriptor: Descriptor,
    queue: Mutex<WriteQueue>,
    /// The turn in which something was written at once.
    sent_in: AtomicU64,
    /// It is to be flushed at the end of this turn.
    dirty: AtomicBool,
    closing: AtomicBool,
    lost: AtomicUsize,
}

impl Owner for PipeWriter {
    const FATAL: &str = "Fatal error on pipe transport";

    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn ready(&self, py: Python<'_>, flags: EventFlags) -> PyResult<()> {
        let wanted = EventFlags::OUT | EventFlags::HUP | EventFlags::ERR;
        if flags.intersects(wanted) && self.descriptor.waits_for(EventFlags::OUT) {
            self.send_queued(py)?;
        }
        Ok(())
    }

    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        self.dirty.store(false, Ordering::Relaxed);
        self.send_queued(py)
    }
}

impl PipeWriter {
    fn queue(&self) -> MutexGuard<'_, WriteQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what could not be written, and sees to it that it is.
    fn enqueue(slf: &Bound<'_, Self>, data: Bound<'_, PyBytes>, from: usize, pipe_is_full: bool) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        let len = {
            let mut queue = this.queue();
            queue.push(py, data.unbind(), from);
            queue.len()
        };
        if pipe_is_full {
            this.descriptor.change_interest(EventFlags::OUT, EventFlags::empty())?;
        } else if !this.descriptor.waits_for(EventFlags::OUT) {
            if len >= SEND_EARLY {
                return this.send_queued(py);
            }
            if !this.dirty.swap(true, Ordering::Relaxed) {
                this.descriptor.flush_later(slf);
            }
        }
        this.descriptor.limit(py, len)
    }

    /// Writes what is queued, and ends the transport when nothing is left and it was to end then.
    fn send_queued(&self, py: Python<'_>) -> PyResult<()> {
        if !self.descriptor.is_claimed() || self.queue().is_empty() {
            return Ok(());
        }
        if let Err(errno) = self.send_all(py) {
            self.clear();
            self.descriptor.change_interest(EventFlags::empty(), EventFlags::OUT)?;
            return self.fail(py, errno);
        }
        // It may write more.
        self.descriptor.unlimit(py)?;
        let queued = self.queue().len();
        if queued > 0 {
            self.descriptor.change_interest(EventFlags::OUT, EventFlags::empty())?;
            return self.descriptor.limit(py, queued);
        }
        self.descriptor.change_interest(EventFlags::empty(), EventFlags::OUT)?;
        if self.closing.load(Ordering::Relaxed)
            && let Some(transport) = self.descriptor.transport(py)
        {
            transport.call_method0(intern!(py, "_all_written"))?;
        }
        Ok(())
    }

    fn send_all(&self, py: Python<'_>) -> Result<(), Errno> {
        let mut queue = self.queue();
        while !queue.is_empty() {
            let result = queue.gathered(py, |slices| {
                let wanted: usize = slices.iter().map(|slice| slice.len()).sum();
                self.descriptor.with(|fd| writev(fd, slices)).map(|count| (count, count == wanted))
            });
            match result {
                Ok((count, all)) => {
                    // Plain bytes: dropping them runs no code.
                    drop(queue.advance(py, count));
                    if !all {
                        break;
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    fn fail(&self, py: Python<'_>, errno: Errno) -> PyResult<()> {
        self.lost.fetch_add(1, Ordering::Relaxed);
        self.descriptor.fatal(py, os_error(errno), "Fatal write error on pipe transport")
    }
}

#[pymethods]
impl PipeWriter {
    #[new]
    fn new(event_loop: &Bound<'_, LoopCore>, fd: RawFd) -> PyResult<Self> {
        Ok(Self {
            descriptor: Descriptor::new(event_loop, fd)?,
            queue: Mutex::default(),
            sent_in: AtomicU64::new(u64::MAX),
            dirty: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            lost: AtomicUsize::new(0),
        })
    }

    /// Takes the descriptor over for `transport`.
    fn open(slf: &Bound<'_, Self>, transport: &Bound<'_, PyAny>) -> PyResult<()> {
        slf.get().descriptor.claim(slf, transport)
    }

    /// Lets go of the descriptor, which may be closed then, and of everything of Python's.
    fn release(&self) {
        self.descriptor.release();
        self.clear();
    }

    /// Writes data, or keeps it until it can be written.
    fn write(slf: &Bound<'_, Self>, data: Bound<'_, PyAny>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        let data = match bytes(data.clone()) {
            Ok(data) => data,
            // The base class asserts it, and shows what came.
            Err(_) => return Err(PyAssertionError::new_err(data.repr()?.unbind())),
        };
        let unsent = data.as_bytes();
        if unsent.is_empty() {
            return Ok(());
        }
        let is_ending = this.closing.load(Ordering::Relaxed) || this.lost.load(Ordering::Relaxed) > 0;
        if is_ending || !this.descriptor.is_claimed() {
            return warn_of_lost(py, &this.lost, "pipe closed by peer or os.write(pipe, data) raised exception.");
        }
        if !this.queue().is_empty() || this.descriptor.core().writes_again(&this.sent_in) {
            return Self::enqueue(slf, data, 0, false);
        }
        match this.descriptor.with(|fd| write(fd, unsent)) {
            Ok(count) if count == unsent.len() => Ok(()),
            Ok(count) => Self::enqueue(slf, data, count, true),
            Err(Errno::AGAIN | Errno::INTR) => Self::enqueue(slf, data, 0, true),
            Err(errno) => this.fail(py, errno),
        }
    }

    /// How many bytes wait to be written.
    fn queued(&self) -> usize {
        self.queue().len()
    }

    /// Forgets what waits to be written; the base class calls it on what it takes for its buffer.
    fn clear(&self) {
        let queue = std::mem::take(&mut *self.queue());
        drop(queue);
    }

    fn __bool__(&self) -> bool {
        !self.queue().is_empty()
    }

    #[getter]
    fn conn_lost(&self) -> usize {
        self.lost.load(Ordering::Relaxed)
    }

    #[setter]
    fn set_conn_lost(&self, count: usize) {
        self.lost.store(count, Ordering::Relaxed);
    }

    #[getter]
    fn closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    #[setter]
    fn set_closing(&self, closing: bool) {
        self.closing.store(closing, Ordering::Relaxed);
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.descriptor.traverse(&visit)
    }

    fn __clear__(&self) {
        self.descriptor.clear();
    }
}
