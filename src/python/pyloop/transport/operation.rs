#![allow(unsafe_code)] // The number comes from a Python socket, and the memory from objects that Python code lends.
//! `sock_recv` and its kin: single operations on sockets that Python code drives itself.
//!
//! An operation is tried at once. If the socket is not ready, a future is given, and the operation itself is the callback
//! that the loop has for the descriptor: no frame of Python's runs until the future is done.

use std::mem;
use std::os::fd::{BorrowedFd, RawFd};
use std::slice;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::buffer::PyUntypedBuffer;
use pyo3::exceptions::{PyBlockingIOError, PyInterruptedError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use pyo3::types::{PyBytes, PyDict, PyTuple};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, recv, recvfrom, send, sockopt};

use super::super::core::LoopCore;
use super::super::handle::{Handle, leaves_the_loop};
use super::super::spawn;
use super::super::watch::Direction;
use super::scratch::SIZE;
use super::{address, borrow, os_error};

/// An operation that waits for its socket. Called without an argument when the socket is ready, and with the future when
/// that is done.
#[pyclass(frozen, module = "ziggurat._ziggurat")]
pub(in crate::python::pyloop) struct SocketOperation {
    event_loop: Py<LoopCore>,
    /// Where the callback is.
    fd: RawFd,
    direction: Direction,
    parts: Mutex<Parts>,
}

/// What is let go of when the future is done.
#[derive(Default)]
struct Parts {
    task: Option<(Py<PyAny>, Step)>,
    future: Option<Py<PyAny>>,
    handle: Option<Py<Handle>>,
}

/// What is to be done.
enum Step {
    Receive(usize),
    ReceiveInto(Py<PyAny>),
    ReceiveFrom(usize),
    Send(Data, AtomicUsize),
    /// What the socket's own method of this name does.
    Method(&'static str, Py<PyTuple>),
}

/// What is sent, while it is sent.
enum Data {
    Bytes(Py<PyBytes>),
    /// Exported, so that its memory stays where it is.
    Buffer(PyUntypedBuffer),
}

impl Data {
    fn len(&self, py: Python<'_>) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.bind(py).as_bytes().len(),
            Self::Buffer(buffer) => buffer.len_bytes(),
        }
    }

    fn send(&self, py: Python<'_>, fd: BorrowedFd<'_>, from: usize) -> Result<usize, Errno> {
        let data = match self {
            Self::Bytes(bytes) => bytes.bind(py).as_bytes(),
            Self::Buffer(buffer) if buffer.len_bytes() == 0 => &[],
            // SAFETY: the buffer is exported, so its memory stays where it is; it is contiguous and this long, and no Python code
            // runs while it is read.
            Self::Buffer(buffer) => unsafe { slice::from_raw_parts(buffer.buf_ptr().cast::<u8>(), buffer.len_bytes()) },
        };
        send(fd, &data[from..], SendFlags::NOSIGNAL | SendFlags::DONTWAIT)
    }
}

impl Step {
    /// Tries it; none when the socket is not ready.
    fn attempt<'py>(&self, core: &LoopCore, socket: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = socket.py();
        let result = match self {
            Self::Receive(size) => {
                let fd = descriptor(socket)?;
                core.scratch().with(|buffer| {
                    let (count, _) = recv(fd, &mut buffer[..*size], RecvFlags::DONTWAIT)?;
                    Ok(PyBytes::new(py, &buffer[..count]).into_any())
                })
            }
            Self::ReceiveFrom(size) => {
                let fd = descriptor(socket)?;
                let received = core.scratch().with(|buffer| {
                    let (count, _, sender) = recvfrom(fd, &mut buffer[..*size], RecvFlags::DONTWAIT)?;
                    Ok((PyBytes::new(py, &buffer[..count]), sender))
                });
                match received {
                    Ok((data, sender)) => Ok((data, address::to_python(py, sender)?).into_pyobject(py)?.into_any()),
                    Err(errno) => Err(errno),
                }
            }
            Self::ReceiveInto(target) => {
                let target = target.bind(py);
                let Some(buffer) = writable(target) else {
                    return method(socket, "recv_into", &PyTuple::new(py, [target])?);
                };
                let fd = descriptor(socket)?;
                // SAFETY: the buffer is exported, so its memory stays where it is; it is writable, contiguous and this long, and no
                // Python code runs while it is written to.
                let memory = unsafe { slice::from_raw_parts_mut(buffer.buf_ptr().cast::<u8>(), buffer.len_bytes()) };
                match recv(fd, memory, RecvFlags::DONTWAIT) {
                    Ok((count, _)) => Ok(count.into_pyobject(py)?.into_any()),
                    Err(errno) => Err(errno),
                }
            }
            Self::Send(data, sent) => {
                let before = sent.load(Ordering::Relaxed);
                data.send(py, descriptor(socket)?, before).and_then(|count| {
                    sent.store(before + count, Ordering::Relaxed);
                    if before + count == data.len(py) { Ok(py.None().into_bound(py)) } else { Err(Errno::AGAIN) }
                })
            }
            Self::Method(name, args) => return method(socket, name, args.bind(py)),
        };
        match result {
            Ok(result) => Ok(Some(result)),
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            Err(errno) => Err(os_error(errno)),
        }
    }
}

/// The descriptor of a socket, to be used before Python runs again.
fn descriptor<'a>(socket: &Bound<'_, PyAny>) -> PyResult<BorrowedFd<'a>> {
    let fd: RawFd = socket.call_method0(intern!(socket.py(), "fileno"))?.extract()?;
    if fd < 0 {
        return Err(os_error(Errno::BADF));
    }
    // SAFETY: the socket is open, and it is this thread that runs while the number is used.
    Ok(unsafe { borrow(fd) })
}

/// The memory of an object that can be received into; not when the socket has something to say of it.
fn writable(object: &Bound<'_, PyAny>) -> Option<PyUntypedBuffer> {
    let buffer = PyUntypedBuffer::get(object).ok()?;
    (!buffer.readonly() && buffer.is_c_contiguous() && buffer.len_bytes() > 0).then_some(buffer)
}

/// Calls a method of the socket; none when the socket is not ready.
fn method<'py>(
    socket: &Bound<'py, PyAny>,
    name: &str,
    args: &Bound<'py, PyTuple>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = socket.py();
    match socket.call_method1(name, args) {
        Ok(result) => Ok(Some(result)),
        Err(error)
            if error.is_instance_of::<PyBlockingIOError>(py) || error.is_instance_of::<PyInterruptedError>(py) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The base class refuses what a transport owns.
fn check_not_owned(event_loop: &Bound<'_, LoopCore>, fd: RawFd) -> PyResult<()> {
    let py = event_loop.py();
    // A look into the weak dictionary costs a frame of Python's; a look at its inside does not.
    let transports = event_loop.getattr(intern!(py, "_transports"))?;
    if let Ok(known) = transports.getattr(intern!(py, "data"))
        && let Ok(known) = known.cast_into::<PyDict>()
        && !known.contains(fd)?
    {
        return Ok(());
    }
    event_loop.call_method1(intern!(py, "_ensure_fd_no_transport"), (fd,)).map(drop)
}

impl SocketOperation {
    /// Does it at once, or gives a future.
    fn begin<'py>(
        event_loop: &Bound<'py, LoopCore>,
        socket: Bound<'py, PyAny>,
        direction: Direction,
        step: Step,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (py, core) = (event_loop.py(), event_loop.get());
        if let Some(result) = step.attempt(core, &socket)? {
            return Ok(result);
        }
        let future = spawn::future(event_loop)?;
        let fd: RawFd = socket.call_method0(intern!(py, "fileno"))?.extract()?;
        check_not_owned(event_loop, fd)?;
        let parts = Parts { task: Some((socket.unbind(), step)), future: Some(future.clone().unbind()), handle: None };
        let operation =
            Bound::new(py, Self { event_loop: event_loop.clone().unbind(), fd, direction, parts: Mutex::new(parts) })?;
        let callback = operation.clone().into_any();
        let number = fd.into_pyobject(py)?;
        let handle = LoopCore::watch(event_loop, &number, direction, callback, PyTuple::empty(py))?;
        operation.get().parts().handle = Some(handle.unbind());
        future.call_method1(intern!(py, "add_done_callback"), (operation,))?;
        Ok(future)
    }

    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the watch, unless the descriptor has another callback or another owner meanwhile.
    fn leave(&self, py: Python<'_>) -> PyResult<()> {
        let Parts { task, future, handle } = mem::take(&mut *self.parts());
        drop((task, future));
        let Some(handle) = handle else { return Ok(()) };
        let core = self.event_loop.get();
        // A loop that is closed watches nothing.
        if let Ok(poller) = core.poller() {
            core.watches().remove_handle(&poller, self.fd, self.direction, &handle);
        }
        handle.bind(py).call_method0(intern!(py, "cancel")).map(drop)
    }

    fn proceed(&self, py: Python<'_>) -> PyResult<()> {
        let Some(future) = self.parts().future.as_ref().map(|future| future.bind(py).clone()) else { return Ok(()) };
        if future.call_method0(intern!(py, "done"))?.is_truthy()? {
            return Ok(());
        }
        // Out of its place while it is tried: Python may run meanwhile.
        let Some((socket, step)) = self.parts().task.take() else { return Ok(()) };
        let result = step.attempt(self.event_loop.get(), socket.bind(py));
        let (method, value) = match result {
            Ok(None) => {
                self.put_back(socket, step);
                return Ok(());
            }
            Ok(Some(value)) => (intern!(py, "set_result"), value),
            Err(error) if leaves_the_loop(py, &error) => {
                self.put_back(socket, step);
                return Err(error);
            }
            Err(error) => (intern!(py, "set_exception"), error.into_value(py).into_bound(py).into_any()),
        };
        drop((socket, step));
        self.leave(py)?;
        // The attempt may have run Python code that cancelled it.
        if future.call_method0(intern!(py, "done"))?.is_truthy()? {
            return Ok(());
        }
        future.call_method1(method, (value,)).map(drop)
    }

    fn put_back(&self, socket: Py<PyAny>, step: Step) {
        let mut parts = self.parts();
        if parts.future.is_some() {
            parts.task = Some((socket, step));
        }
    }
}

#[pymethods]
impl SocketOperation {
    #[pyo3(signature = (future = None, /))]
    fn __call__(&self, future: Option<Bound<'_, PyAny>>, py: Python<'_>) -> PyResult<()> {
        if future.is_some() { self.leave(py) } else { self.proceed(py) }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.event_loop)?;
        let parts = self.parts();
        visit.call(&parts.future)?;
        visit.call(&parts.handle)?;
        match &parts.task {
            None => Ok(()),
            Some((socket, step)) => {
                visit.call(socket)?;
                match step {
                    Step::ReceiveInto(buffer) => visit.call(buffer),
                    Step::Method(_, args) => visit.call(args),
                    Step::Receive(_) | Step::ReceiveFrom(_) | Step::Send(..) => Ok(()),
                }
            }
        }
    }

    fn __clear__(&self) {
        let parts = mem::take(&mut *self.parts());
        drop(parts);
    }
}

/// A size to receive that fits into the scratch buffer; others are left to the socket, which may refuse them.
fn plain_size(object: &Bound<'_, PyAny>) -> Option<usize> {
    object.extract().ok().filter(|size| (1..=SIZE).contains(size))
}

/// Has the socket's own method do it.
fn method_step<'py, A: IntoPyObject<'py, Target = PyTuple, Output = Bound<'py, PyTuple>, Error = PyErr>>(
    py: Python<'py>,
    name: &'static str,
    args: A,
) -> PyResult<Step> {
    Ok(Step::Method(name, args.into_pyobject(py)?.unbind()))
}

/// Receives at most `size` bytes: gives the bytes, or a future of them.
#[pyfunction]
fn sock_recv<'py>(
    event_loop: &Bound<'py, LoopCore>,
    sock: Bound<'py, PyAny>,
    n: Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let step = match plain_size(&n) {
        Some(size) => Step::Receive(size),
        None => method_step(n.py(), "recv", (n,))?,
    };
    SocketOperation::begin(event_loop, sock, Direction::Read, step)
}

/// Receives into a buffer: gives the number of bytes, or a future of it.
#[pyfunction]
fn sock_recv_into<'py>(
    event_loop: &Bound<'py, LoopCore>,
    sock: Bound<'py, PyAny>,
    buf: Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    SocketOperation::begin(event_loop, sock, Direction::Read, Step::ReceiveInto(buf.unbind()))
}

/// Receives a datagram: gives it with its sender, or a future of both.
#[pyfunction]
fn sock_recvfrom<'py>(
    event_loop: &Bound<'py, LoopCore>,
    sock: Bound<'py, PyAny>,
    bufsize: Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    // Of other families only the `socket` module knows the addresses.
    let families = [AddressFamily::INET, AddressFamily::INET6, AddressFamily::UNIX];
    let is_plain = sockopt::socket_domain(descriptor(&sock)?).is_ok_and(|family| families.contains(&family));
    let step = match plain_size(&bufsize).filter(|_| is_plain) {
        Some(size) => Step::ReceiveFrom(size),
        None => method_step(bufsize.py(), "recvfrom", (bufsize,))?,
    };
    SocketOperation::begin(event_loop, sock, Direction::Read, step)
}

/// Receives a datagram into a buffer: gives its size and sender, or a future of both.
#[pyfunction]
fn sock_recvfrom_into<'py>(
    event_loop: &Bound<'py, LoopCore>,
    sock: Bound<'py, PyAny>,
    buf: Bound<'py, PyAny>,
    nbytes: Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let step = method_step(buf.py(), "recvfrom_into", (buf, nbytes))?;
    SocketOperation::begin(event_loop, sock, Direction::Read, step)
}

/// Sends all of the data: gives none when that is done, or a future of it.
#[pyfunction]
fn sock_sendall<'py>(
    event_loop: &Bound<'py, LoopCore>,
    sock: Bound<'py, PyAny>,
    data: Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let step = match data.cast::<PyBytes>() {
        Ok(bytes) => Step::Send(Data::Bytes(bytes.clone().unbind()), AtomicUsize::new(0)),
        Err(_) => match PyUntypedBuffer::get(&data).ok().filter(PyUntypedBuffer::is_c_contiguous) {
            Some(buffer) => Step::Send(Data::Buffer(buffer), AtomicUsize::new(0)),
            // It has words for what it does not take.
            None => method_step(data.py(), "send", (data,))?,
        },
    };
    SocketOperation::begin(event_loop, sock, Direction::Write, step)
}

/// Sends a datagram: gives the number of bytes sent, or a future of it.
#[pyfunction]
fn sock_sendto<'py>(
    event_loop: &Bound<'py, LoopCore>,
    sock: Bound<'py, PyAny>,
    data: Bound<'py, PyAny>,
    address: Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let step = method_step(data.py(), "sendto", (data, address))?;
    SocketOperation::begin(event_loop, sock, Direction::Write, step)
}

/// Adds the functions to the native module.
pub(in crate::python::pyloop) fn add_operations(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(sock_recv, module)?)?;
    module.add_function(wrap_pyfunction!(sock_recv_into, module)?)?;
    module.add_function(wrap_pyfunction!(sock_recvfrom, module)?)?;
    module.add_function(wrap_pyfunction!(sock_recvfrom_into, module)?)?;
    module.add_function(wrap_pyfunction!(sock_sendall, module)?)?;
    module.add_function(wrap_pyfunction!(sock_sendto, module)?)
}
