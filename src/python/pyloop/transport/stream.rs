#![allow(unsafe_code)] // The descriptor comes from a Python socket, which the transport holds open.
//! The native half of a stream transport: TCP and Unix sockets.
//!
//! What has arrived is read into the loop's scratch buffer and handed on as bytes of the size that came. The first write
//! of a turn is sent at once; what comes after it in the same turn, or does not fit into the socket, waits for the end
//! of the turn and leaves with one system call.

use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::buffer::PyUntypedBuffer;
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use pyo3::types::{PyBytes, PyString, PyWeakrefMethods, PyWeakrefReference};
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, recv, send, sendmsg, shutdown};

use super::super::core::LoopCore;
use super::super::handle::leaves_the_loop;
use super::super::source::Source;
use super::super::watch::Claim;
use super::queue::WriteQueue;
use super::tls::TlsCore;
use super::{READS_PER_TURN, SEND_EARLY, borrow, bytes, os_error, warn_of_lost};
use crate::python::context;

/// Reads and writes for a transport that is written in Python.
#[pyclass(frozen, module = "ziggurat._ziggurat")]
pub(in crate::python::pyloop) struct StreamCore {
    event_loop: Py<LoopCore>,
    fd: RawFd,
    /// Callbacks of the protocol run in the context in which the transport was made.
    context: Py<PyAny>,
    parts: Mutex<Parts>,
    queue: Mutex<WriteQueue>,
    /// The turn in which something was sent at once.
    sent_in: AtomicU64,
    /// It is to be flushed at the end of this turn.
    dirty: AtomicBool,
    /// The protocol gives buffers to read into.
    buffered: AtomicBool,
    closing: AtomicBool,
    eof: AtomicBool,
    lost: AtomicUsize,
}

#[derive(Default)]
struct Parts {
    /// None once the connection is lost.
    claim: Option<Claim>,
    transport: Option<Py<PyWeakrefReference>>,
    protocol: Option<Py<PyAny>>,
    /// The native half of the protocol, when that is TLS.
    tls: Option<Py<TlsCore>>,
    /// Resolved when the queue is empty; no write is allowed meanwhile.
    empty_waiter: Option<Py<PyAny>>,
}

/// A stream in the loop's table. That entry keeps the transport alive; the stream itself only knows of it, so that a
/// transport that nobody closed is not a cycle, and says so when it goes.
struct Registered(Py<StreamCore>, Option<Py<PyAny>>);

impl Source for Registered {
    fn ready(&self, event_loop: &Bound<'_, LoopCore>, flags: EventFlags) -> PyResult<()> {
        self.enter(event_loop.py(), |stream, py| stream.ready(py, flags))
    }

    fn flush(&self, event_loop: &Bound<'_, LoopCore>) -> PyResult<()> {
        self.0.get().dirty.store(false, Ordering::Relaxed);
        self.enter(event_loop.py(), StreamCore::send_queued)
    }

    fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.0)?;
        visit.call(&self.1)
    }
}

impl Registered {
    /// Runs `f` in the context of the connection. What goes wrong there is the connection's end and not the loop's.
    fn enter(&self, py: Python<'_>, f: impl FnOnce(&StreamCore, Python<'_>) -> PyResult<()>) -> PyResult<()> {
        let stream = self.0.get();
        let result = context::run(stream.context.bind(py), || f(stream, py)).flatten();
        stream.check(py, result, "Fatal error on socket transport")
    }
}

/// What a read brought.
enum Read<T> {
    Data(T),
    End,
    Nothing,
    Failed(Errno),
}

fn outcome<T>(result: Result<usize, Errno>, data: impl FnOnce(usize) -> T) -> Read<T> {
    match result {
        Ok(0) => Read::End,
        Ok(count) => Read::Data(data(count)),
        Err(Errno::AGAIN | Errno::INTR) => Read::Nothing,
        Err(errno) => Read::Failed(errno),
    }
}

impl StreamCore {
    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn queue(&self) -> MutexGuard<'_, WriteQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn claim(&self) -> Option<Claim> {
        self.parts().claim
    }

    fn transport<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        let transport = self.parts().transport.as_ref().map(|transport| transport.bind(py).clone());
        transport.and_then(|transport| transport.upgrade())
    }

    fn protocol<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.parts().protocol.as_ref().map(|protocol| protocol.bind(py).clone())
    }

    fn tls<'py>(&self, py: Python<'py>) -> Option<Bound<'py, TlsCore>> {
        self.parts().tls.as_ref().map(|tls| tls.bind(py).clone())
    }

    fn waits_for(&self, flags: EventFlags) -> bool {
        self.claim().is_some_and(|claim| self.event_loop.get().watches().interest(claim).intersects(flags))
    }

    fn change_interest(&self, add: EventFlags, remove: EventFlags) -> PyResult<()> {
        let Some(claim) = self.claim() else { return Ok(()) };
        let core = self.event_loop.get();
        Ok(core.watches().change_interest(&core.poller()?, claim, add, remove)?)
    }

    fn ready(&self, py: Python<'_>, flags: EventFlags) -> PyResult<()> {
        let broken = EventFlags::HUP | EventFlags::ERR;
        if flags.intersects(EventFlags::IN | broken) {
            for _ in 0..READS_PER_TURN {
                if !self.waits_for(EventFlags::IN) || !self.read(py)? {
                    break;
                }
            }
        }
        if flags.intersects(EventFlags::OUT | broken) && self.waits_for(EventFlags::OUT) {
            self.send_queued(py)?;
        }
        Ok(())
    }

    /// Reads once; true when there may be more.
    fn read(&self, py: Python<'_>) -> PyResult<bool> {
        let Some(protocol) = self.protocol(py) else { return Ok(false) };
        if self.buffered.load(Ordering::Relaxed) {
            return self.read_into_protocol(py, &protocol);
        }
        // SAFETY: the claim is ours, so the transport holds its socket open.
        let fd = unsafe { borrow(self.fd) };
        let read = self.event_loop.get().scratch().with(|buffer| {
            let size = buffer.len();
            let result = recv(fd, &mut *buffer, RecvFlags::empty()).map(|(count, _)| count);
            outcome(result, |count| (PyBytes::new(py, &buffer[..count]), count == size))
        });
        match read {
            Read::Data((data, more)) => {
                if let Some(tls) = self.tls(py) {
                    // Asyncio's TLS is a protocol with a buffer, and this is what it says of those.
                    let result = tls.get().receive(&data);
                    self.check(py, result, "Fatal error: protocol.buffer_updated() call failed.")?;
                } else {
                    let result = protocol.call_method1(intern!(py, "data_received"), (data,));
                    self.check(py, result, "Fatal error: protocol.data_received() call failed.")?;
                }
                Ok(more)
            }
            other => self.no_data(py, &protocol, other),
        }
    }

    fn read_into_protocol(&self, py: Python<'_>, protocol: &Bound<'_, PyAny>) -> PyResult<bool> {
        let target = protocol.call_method1(intern!(py, "get_buffer"), (-1,)).and_then(|buffer| {
            if buffer.len()? == 0 {
                return Err(PyRuntimeError::new_err("get_buffer() returned an empty buffer"));
            }
            let target = PyUntypedBuffer::get(&buffer)?;
            if target.readonly() || !target.is_c_contiguous() {
                return Err(PyTypeError::new_err("get_buffer() returned a buffer that cannot be written to"));
            }
            Ok(target)
        });
        let target = match target {
            Ok(target) => target,
            Err(error) => {
                self.check::<()>(py, Err(error), "Fatal error: protocol.get_buffer() call failed.")?;
                return Ok(false);
            }
        };
        let size = target.len_bytes();
        let read = {
            // SAFETY: the claim is ours, so the transport holds its socket open.
            let fd = unsafe { borrow(self.fd) };
            // SAFETY: the buffer is exported, so its memory stays where it is; it is writable, contiguous and this long, and
            // no Python code runs while it is written to.
            let memory = unsafe { std::slice::from_raw_parts_mut(target.buf_ptr().cast::<u8>(), size) };
            outcome(recv(fd, memory, RecvFlags::empty()).map(|(count, _)| count), |count| count)
        };
        drop(target);
        match read {
            Read::Data(count) => {
                let result = protocol.call_method1(intern!(py, "buffer_updated"), (count,));
                self.check(py, result, "Fatal error: protocol.buffer_updated() call failed.")?;
                Ok(count == size)
            }
            other => self.no_data(py, protocol, other),
        }
    }

    fn no_data<T>(&self, py: Python<'_>, protocol: &Bound<'_, PyAny>, read: Read<T>) -> PyResult<bool> {
        match read {
            Read::End => {
                if let Some(transport) = self.transport(py) {
                    let keep_open = transport.call_method1(intern!(py, "_end_of_stream"), (protocol,))?;
                    if keep_open.is_truthy()? {
                        self.change_interest(EventFlags::empty(), EventFlags::IN)?;
                    }
                }
            }
            Read::Failed(errno) => self.fatal(py, os_error(errno), "Fatal read error on socket transport")?,
            Read::Data(_) | Read::Nothing => {}
        }
        Ok(false)
    }

    /// What a protocol raises ends its connection; what must leave the loop is given on.
    fn check<T>(&self, py: Python<'_>, result: PyResult<T>, message: &str) -> PyResult<()> {
        match result {
            Ok(_) => Ok(()),
            Err(error) if leaves_the_loop(py, &error) => Err(error),
            Err(error) => self.fatal(py, error, message),
        }
    }

    fn fatal(&self, py: Python<'_>, error: PyErr, message: &str) -> PyResult<()> {
        let Some(transport) = self.transport(py) else { return Ok(()) };
        transport.call_method1(intern!(py, "_fatal_native_error"), (error.into_value(py), message)).map(drop)
    }

    /// Keeps what could not be sent, and sees to it that it is sent.
    fn enqueue(slf: &Bound<'_, Self>, data: Bound<'_, PyBytes>, from: usize, socket_is_full: bool) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        let len = {
            let mut queue = this.queue();
            queue.push(py, data.unbind(), from);
            queue.len()
        };
        if socket_is_full {
            this.change_interest(EventFlags::OUT, EventFlags::empty())?;
        } else if !this.waits_for(EventFlags::OUT) {
            if len >= SEND_EARLY {
                return this.send_queued(py);
            }
            if !this.dirty.swap(true, Ordering::Relaxed) {
                this.event_loop.get().dirty().push(Arc::new(Registered(slf.clone().unbind(), None)));
            }
        }
        this.limit(py)
    }

    /// Has the protocol paused when too much is queued.
    fn limit(&self, py: Python<'_>) -> PyResult<()> {
        let Some(transport) = self.transport(py) else { return Ok(()) };
        let high: usize = transport.getattr(intern!(py, "_high_water"))?.extract().unwrap_or(0);
        if self.queue().len() > high {
            transport.call_method0(intern!(py, "_maybe_pause_protocol"))?;
        }
        Ok(())
    }

    /// Sends what is queued, and what follows when nothing is left.
    fn send_queued(&self, py: Python<'_>) -> PyResult<()> {
        if self.lost.load(Ordering::Relaxed) > 0 || self.claim().is_none() {
            return Ok(());
        }
        let sent = self.send_all(py);
        let Some(transport) = self.transport(py) else { return Ok(()) };
        if let Err(errno) = sent {
            self.clear();
            self.change_interest(EventFlags::empty(), EventFlags::OUT)?;
            let error = os_error(errno);
            self.settle_waiter(py, intern!(py, "set_exception"), error.clone_ref(py).into_value(py).into_any())?;
            return self.fatal(py, error, "Fatal write error on socket transport");
        }
        if transport.getattr(intern!(py, "_protocol_paused"))?.is_truthy()? {
            // It may write more.
            transport.call_method0(intern!(py, "_maybe_resume_protocol"))?;
        }
        if !self.queue().is_empty() {
            self.change_interest(EventFlags::OUT, EventFlags::empty())?;
            return self.limit(py);
        }
        self.change_interest(EventFlags::empty(), EventFlags::OUT)?;
        self.settle_waiter(py, intern!(py, "set_result"), py.None())?;
        if self.closing.load(Ordering::Relaxed) {
            self.lost.fetch_add(1, Ordering::Relaxed);
            // In a handle, so that what the protocol raises is reported and does not reach the turn.
            let lost = transport.getattr(intern!(py, "_call_connection_lost"))?;
            self.event_loop.bind(py).call_method1(intern!(py, "call_soon"), (lost, py.None()))?;
        } else if self.eof.load(Ordering::Relaxed) {
            // SAFETY: the transport is not lost, so it holds its socket open.
            let _ = shutdown(unsafe { borrow(self.fd) }, Shutdown::Write);
        }
        Ok(())
    }

    /// Tells who waits for the queue to be empty, unless it was cancelled.
    fn settle_waiter(&self, py: Python<'_>, method: &Bound<'_, PyString>, value: Py<PyAny>) -> PyResult<()> {
        match self.empty_waiter(py) {
            Some(waiter) if !waiter.call_method0(py, intern!(py, "done"))?.is_truthy(py)? => {
                waiter.call_method1(py, method, (value,)).map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Sends until nothing is left or the socket is full.
    fn send_all(&self, py: Python<'_>) -> Result<(), Errno> {
        let mut queue = self.queue();
        while !queue.is_empty() {
            // SAFETY: the caller has checked that the claim is ours, so the transport holds its socket open.
            let fd = unsafe { borrow(self.fd) };
            let result = queue.gathered(py, |slices| {
                let wanted: usize = slices.iter().map(|slice| slice.len()).sum();
                sendmsg(fd, slices, &mut SendAncillaryBuffer::default(), SendFlags::NOSIGNAL)
                    .map(|count| (count, count == wanted))
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

    /// Whether a write is to go on; an error when it is not allowed.
    fn may_write(&self, py: Python<'_>, method: &str, is_empty: bool) -> PyResult<bool> {
        if self.eof.load(Ordering::Relaxed) {
            return Err(PyRuntimeError::new_err(format!("Cannot call {method}() after write_eof()")));
        }
        let (in_sendfile, is_ours) = {
            let parts = self.parts();
            (parts.empty_waiter.is_some(), parts.claim.is_some())
        };
        if in_sendfile {
            return Err(PyRuntimeError::new_err(format!("unable to {method}; sendfile is in progress")));
        }
        if is_empty {
            return Ok(false);
        }
        if self.lost.load(Ordering::Relaxed) == 0 {
            // Without the claim the number may be somebody else's already.
            return Ok(is_ours);
        }
        warn_of_lost(py, &self.lost, "socket.send() raised exception.")?;
        Ok(false)
    }
}

#[pymethods]
impl StreamCore {
    #[new]
    fn new(event_loop: &Bound<'_, LoopCore>, fd: RawFd) -> PyResult<Self> {
        Ok(Self {
            event_loop: event_loop.clone().unbind(),
            fd,
            context: context::copy_current(event_loop.py())?.unbind(),
            parts: Mutex::default(),
            queue: Mutex::default(),
            sent_in: AtomicU64::new(u64::MAX),
            dirty: AtomicBool::new(false),
            buffered: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            eof: AtomicBool::new(false),
            lost: AtomicUsize::new(0),
        })
    }

    /// Takes the descriptor over for `transport`.
    fn open(slf: &Bound<'_, Self>, transport: &Bound<'_, PyAny>) -> PyResult<()> {
        let this = slf.get();
        let core = this.event_loop.get();
        let known = PyWeakrefReference::new(transport)?.unbind();
        let source = Arc::new(Registered(slf.clone().unbind(), Some(transport.clone().unbind())));
        let claim = core.watches().claim(&core.poller()?, this.fd, source)?;
        let mut parts = this.parts();
        parts.claim = Some(claim);
        parts.transport = Some(known);
        Ok(())
    }

    /// Lets go of the descriptor, which may be closed then, and of everything of Python's.
    fn release(&self) {
        let parts = std::mem::take(&mut *self.parts());
        let core = self.event_loop.get();
        if let (Some(claim), Ok(poller)) = (parts.claim, core.poller()) {
            core.watches().release(&poller, claim);
        }
        self.clear();
        drop(parts);
    }

    /// Who is told what arrives; `buffered` when it gives the buffers to read into, `tls` when it has a native half.
    #[pyo3(signature = (protocol, buffered, tls = None))]
    fn set_protocol(&self, protocol: Py<PyAny>, buffered: bool, tls: Option<Py<TlsCore>>) {
        let before = {
            let mut parts = self.parts();
            (parts.protocol.replace(protocol), std::mem::replace(&mut parts.tls, tls))
        };
        self.buffered.store(buffered, Ordering::Relaxed);
        drop(before);
    }

    fn start_reading(&self) -> PyResult<()> {
        self.change_interest(EventFlags::IN, EventFlags::empty())
    }

    /// Sends data, or keeps it until it can be sent.
    fn write(slf: &Bound<'_, Self>, data: Bound<'_, PyAny>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        let data = bytes(data)?;
        let unsent = data.as_bytes();
        if !this.may_write(py, "write", unsent.is_empty())? {
            return Ok(());
        }
        if !this.queue().is_empty() || this.event_loop.get().writes_again(&this.sent_in) {
            return Self::enqueue(slf, data, 0, false);
        }
        // SAFETY: the claim is ours, so the transport holds its socket open.
        match send(unsafe { borrow(this.fd) }, unsent, SendFlags::NOSIGNAL) {
            Ok(count) if count == unsent.len() => Ok(()),
            Ok(count) => Self::enqueue(slf, data, count, true),
            Err(Errno::AGAIN | Errno::INTR) => Self::enqueue(slf, data, 0, true),
            Err(errno) => this.fatal(py, os_error(errno), "Fatal write error on socket transport"),
        }
    }

    /// Sends all items with as few system calls as there can be.
    fn writelines(slf: &Bound<'_, Self>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        let pieces = data.try_iter()?.map(|piece| bytes(piece?)).collect::<PyResult<Vec<_>>>()?;
        if !this.may_write(py, "writelines", pieces.iter().all(|piece| piece.as_bytes().is_empty()))? {
            return Ok(());
        }
        {
            let mut queue = this.queue();
            pieces.into_iter().for_each(|piece| queue.push(py, piece.unbind(), 0));
        }
        if this.waits_for(EventFlags::OUT) { this.limit(py) } else { this.send_queued(py) }
    }

    /// How many bytes wait to be sent.
    fn queued(&self) -> usize {
        self.queue().len()
    }

    /// Forgets what waits to be sent; the base class calls it on what it takes for its buffer.
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

    #[getter]
    fn eof(&self) -> bool {
        self.eof.load(Ordering::Relaxed)
    }

    #[setter]
    fn set_eof(&self, eof: bool) {
        self.eof.store(eof, Ordering::Relaxed);
    }

    #[getter]
    fn empty_waiter(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.parts().empty_waiter.as_ref().map(|waiter| waiter.clone_ref(py))
    }

    #[setter]
    fn set_empty_waiter(&self, waiter: Option<Py<PyAny>>) {
        let before = std::mem::replace(&mut self.parts().empty_waiter, waiter);
        drop(before);
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.event_loop)?;
        visit.call(&self.context)?;
        let parts = self.parts();
        visit.call(&parts.transport)?;
        visit.call(&parts.protocol)?;
        visit.call(&parts.tls)?;
        visit.call(&parts.empty_waiter)
    }

    fn __clear__(&self) {
        let parts = std::mem::take(&mut *self.parts());
        drop(parts);
    }
}
