//! The native half of a datagram transport: UDP and Unix sockets.
//!
//! A datagram is received into the loop's scratch buffer and handed on as bytes of the size that came. One is sent when it
//! is written; what the socket does not take waits until it does.

use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::{PyBlockingIOError, PyInterruptedError, PyOSError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use pyo3::types::PyBytes;
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrAny, recvfrom, send, sendto};

use super::super::core::LoopCore;
use super::super::handle::leaves_the_loop;
use super::datagrams::{Datagram, Datagrams, To};
use super::descriptor::{Descriptor, Owner};
use super::scratch::SIZE;
use super::{address, bytes, os_error, warn_of_lost};

/// A socket that always has more is read so often in one turn, so that the others get theirs.
const RECEIVE_PER_TURN: usize = 32;
/// What a datagram in the queue counts beside its data, from Python 3.13 on.
const HEADER: usize = 8;

/// Receives and sends for a transport that is written in Python.
#[pyclass(frozen, module = "ziggurat._ziggurat")]
pub(in crate::python::pyloop) struct DatagramCore {
    descriptor: Descriptor,
    family: AddressFamily,
    /// As from Python 3.13 on: an empty datagram is sent, and one that waits has a header.
    is_313: bool,
    parts: Mutex<Parts>,
    queue: Mutex<Datagrams>,
    max_size: AtomicUsize,
    closing: AtomicBool,
    lost: AtomicUsize,
}

#[derive(Default)]
struct Parts {
    protocol: Option<Py<PyAny>>,
    /// The one address that may be sent to.
    remote: Option<Py<PyAny>>,
    peer: Peer,
    /// The last sender, and how Python sees it: it often sends again.
    sender: Option<(SocketAddrAny, Py<PyAny>)>,
}

/// Who is at the other end of the socket itself.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Peer {
    #[default]
    Nobody,
    /// Somebody without a name. An address may be given, and need not.
    Unnamed,
    /// Everything goes there, whatever address is given.
    Named,
}

/// How a datagram fared.
enum Sent {
    Done,
    /// The socket is full.
    Full,
    /// The socket does not take it: `error_received` is told.
    Refused(PyErr),
    /// It cannot be sent at all: the end of the transport.
    Fatal(PyErr),
}

impl Owner for DatagramCore {
    const FATAL: &str = "Fatal error on datagram transport";

    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn ready(&self, py: Python<'_>, flags: EventFlags) -> PyResult<()> {
        let broken = EventFlags::HUP | EventFlags::ERR;
        if flags.intersects(EventFlags::IN | broken) {
            for _ in 0..RECEIVE_PER_TURN {
                if !self.descriptor.waits_for(EventFlags::IN) || !self.receive(py)? {
                    break;
                }
            }
        }
        if flags.intersects(EventFlags::OUT | broken) && self.descriptor.waits_for(EventFlags::OUT) {
            self.send_queued(py)?;
        }
        Ok(())
    }
}

impl DatagramCore {
    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn queue(&self) -> MutexGuard<'_, Datagrams> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn protocol<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.parts().protocol.as_ref().map(|protocol| protocol.bind(py).clone())
    }

    /// Receives one datagram; true when there may be more.
    fn receive(&self, py: Python<'_>) -> PyResult<bool> {
        let Some(protocol) = self.protocol(py) else { return Ok(false) };
        let size = self.max_size.load(Ordering::Relaxed);
        let received = self.descriptor.core().scratch().with_size(size, |buffer| {
            let (count, _, sender) =
                self.descriptor.with(|fd| recvfrom(fd, &mut buffer[..size], RecvFlags::empty()))?;
            Ok((PyBytes::new(py, &buffer[..count]), sender))
        });
        match received {
            Ok((data, sender)) => {
                let sender = self.sender(py, sender)?;
                let result = protocol.call_method1(intern!(py, "datagram_received"), (data, sender));
                self.descriptor.report(py, result)?;
                Ok(true)
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(false),
            Err(errno) => {
                let result = self.error_received(py, os_error(errno));
                self.descriptor.report(py, result)?;
                Ok(false)
            }
        }
    }

    /// How Python sees the sender.
    fn sender<'py>(&self, py: Python<'py>, sender: Option<SocketAddrAny>) -> PyResult<Bound<'py, PyAny>> {
        let Some(address) = sender else { return Ok(py.None().into_bound(py)) };
        if let Some((known, object)) = &self.parts().sender
            && *known == address
        {
            return Ok(object.bind(py).clone());
        }
        let object = address::to_python(py, Some(address.clone()))?;
        let before = self.parts().sender.replace((address, object.clone().unbind()));
        drop(before);
        Ok(object)
    }

    fn error_received(&self, py: Python<'_>, error: PyErr) -> PyResult<()> {
        let Some(protocol) = self.protocol(py) else { return Ok(()) };
        protocol.call_method1(intern!(py, "error_received"), (error.into_value(py),)).map(drop)
    }

    /// Where a datagram goes for which this address was given.
    fn destination(&self, py: Python<'_>, address: Option<Bound<'_, PyAny>>) -> To {
        let peer = self.parts().peer;
        match (peer, address) {
            (Peer::Named, _) | (Peer::Unnamed, None) => To::Peer,
            // The `socket` module has words for it.
            (_, None) => To::Python(py.None()),
            (_, Some(address)) => match address::from_python(self.family, &address) {
                Some(address) => To::Address(address),
                None => To::Python(address.unbind()),
            },
        }
    }

    fn send(&self, py: Python<'_>, datagram: &Datagram) -> PyResult<Sent> {
        let data = datagram.data.bind(py);
        let sent = match &datagram.to {
            To::Peer => self.descriptor.with(|fd| send(fd, data.as_bytes(), SendFlags::NOSIGNAL)),
            To::Address(to) => self.descriptor.with(|fd| sendto(fd, data.as_bytes(), SendFlags::NOSIGNAL, to)),
            To::Python(to) => return self.send_through_python(py, data, to),
        };
        Ok(match sent {
            Ok(_) => Sent::Done,
            Err(Errno::AGAIN | Errno::INTR) => Sent::Full,
            Err(errno) => Sent::Refused(os_error(errno)),
        })
    }

    /// Has the `socket` module make sense of the address.
    fn send_through_python(&self, py: Python<'_>, data: &Bound<'_, PyBytes>, to: &Py<PyAny>) -> PyResult<Sent> {
        let Some(transport) = self.descriptor.transport(py) else { return Ok(Sent::Done) };
        let socket = transport.getattr(intern!(py, "_sock"))?;
        Ok(match socket.call_method1(intern!(py, "sendto"), (data, to)) {
            Ok(_) => Sent::Done,
            Err(error)
                if error.is_instance_of::<PyBlockingIOError>(py) || error.is_instance_of::<PyInterruptedError>(py) =>
            {
                Sent::Full
            }
            Err(error) if error.is_instance_of::<PyOSError>(py) => Sent::Refused(error),
            Err(error) if leaves_the_loop(py, &error) => return Err(error),
            Err(error) => Sent::Fatal(error),
        })
    }

    /// Sends what is queued, up to the first that is refused.
    fn send_queued(&self, py: Python<'_>) -> PyResult<()> {
        loop {
            // Out of the queue while it is sent: Python may run meanwhile.
            let next = self.queue().pop(py);
            let Some(datagram) = next else { break };
            match self.send(py, &datagram)? {
                Sent::Done => {}
                Sent::Full => {
                    self.queue().give_back(py, datagram);
                    break;
                }
                Sent::Refused(error) => {
                    let result = self.error_received(py, error);
                    return self.descriptor.report(py, result);
                }
                Sent::Fatal(error) => {
                    return self.descriptor.fatal(py, error, "Fatal write error on datagram transport");
                }
            }
        }
        // It may send more.
        self.descriptor.unlimit(py)?;
        if self.queue().is_empty() {
            self.descriptor.change_interest(EventFlags::empty(), EventFlags::OUT)?;
            if self.closing.load(Ordering::Relaxed) && self.lost.load(Ordering::Relaxed) == 0 {
                self.lost.fetch_add(1, Ordering::Relaxed);
                self.descriptor.lose(py)?;
            }
        }
        Ok(())
    }

    /// The address to send to; none for the socket's own peer.
    fn check_address<'py>(
        remote: Option<Bound<'py, PyAny>>,
        address: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(remote) = remote else { return Ok(address) };
        match address {
            Some(address) if !address.eq(&remote)? => {
                Err(PyValueError::new_err(format!("Invalid address: must be None or {}", remote.str()?)))
            }
            _ => Ok(Some(remote)),
        }
    }
}

#[pymethods]
impl DatagramCore {
    #[new]
    fn new(event_loop: &Bound<'_, LoopCore>, fd: RawFd, family: u16, remote: Option<Py<PyAny>>) -> PyResult<Self> {
        let is_313 = event_loop.py().version_info() >= (3, 13);
        Ok(Self {
            descriptor: Descriptor::new(event_loop, fd)?,
            family: AddressFamily::from_raw(family),
            is_313,
            parts: Mutex::new(Parts { remote, ..Parts::default() }),
            queue: Mutex::new(Datagrams::new(if is_313 { HEADER } else { 0 })),
            max_size: AtomicUsize::new(SIZE),
            closing: AtomicBool::new(false),
            lost: AtomicUsize::new(0),
        })
    }

    /// Takes the descriptor over for `transport`, whose socket is connected to `peer`: none for nobody, empty for somebody
    /// without a name.
    fn open(slf: &Bound<'_, Self>, transport: &Bound<'_, PyAny>, peer: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let this = slf.get();
        let peer = match peer {
            None => Peer::Nobody,
            Some(name) if name.is_truthy()? => Peer::Named,
            Some(_) => Peer::Unnamed,
        };
        this.parts().peer = peer;
        this.descriptor.claim(slf, transport)
    }

    /// Lets go of the descriptor, which may be closed then, and of everything of Python's.
    fn release(&self) {
        self.descriptor.release();
        self.clear();
        let parts = std::mem::take(&mut *self.parts());
        drop(parts);
    }

    /// Who is told what arrives.
    fn set_protocol(&self, protocol: Py<PyAny>) {
        let before = self.parts().protocol.replace(protocol);
        drop(before);
    }

    fn start_reading(&self) -> PyResult<()> {
        self.descriptor.change_interest(EventFlags::IN, EventFlags::empty())
    }

    /// Sends a datagram, or keeps it until it can be sent.
    #[pyo3(signature = (data, addr = None))]
    fn sendto(slf: &Bound<'_, Self>, data: Bound<'_, PyAny>, addr: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        let data = bytes(data)?;
        if data.as_bytes().is_empty() && !this.is_313 {
            return Ok(());
        }
        let remote = this.parts().remote.as_ref().map(|remote| remote.bind(py).clone());
        let is_fixed = remote.is_some();
        let address = Self::check_address(remote, addr)?;
        if !this.descriptor.is_claimed() || (is_fixed && this.lost.load(Ordering::Relaxed) > 0) {
            return warn_of_lost(py, &this.lost, "socket.send() raised exception.");
        }
        let datagram = Datagram { data: data.unbind(), to: this.destination(py, address) };
        if this.queue().is_empty() {
            match this.send(py, &datagram)? {
                Sent::Done => return Ok(()),
                Sent::Full => this.descriptor.change_interest(EventFlags::OUT, EventFlags::empty())?,
                Sent::Refused(error) => return this.error_received(py, error),
                Sent::Fatal(error) => {
                    return this.descriptor.fatal(py, error, "Fatal write error on datagram transport");
                }
            }
        }
        let queued = {
            let mut queue = this.queue();
            queue.push(py, datagram);
            queue.size()
        };
        this.descriptor.limit(py, queued)
    }

    /// How many bytes wait to be sent.
    fn queued(&self) -> usize {
        self.queue().size()
    }

    /// Forgets what waits to be sent; the base class calls it on what it takes for its buffer.
    fn clear(&self) {
        let queue = self.queue().take();
        drop(queue);
    }

    fn __bool__(&self) -> bool {
        !self.queue().is_empty()
    }

    #[getter]
    fn max_size(&self) -> usize {
        self.max_size.load(Ordering::Relaxed)
    }

    #[setter]
    fn set_max_size(&self, size: usize) {
        self.max_size.store(size, Ordering::Relaxed);
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
        self.descriptor.traverse(&visit)?;
        let parts = self.parts();
        visit.call(&parts.protocol)?;
        visit.call(&parts.remote)?;
        self.queue().objects().try_for_each(|object| visit.call(object))
    }

    fn __clear__(&self) {
        self.descriptor.clear();
        self.clear();
        let parts = std::mem::take(&mut *self.parts());
        drop(parts);
    }
}
