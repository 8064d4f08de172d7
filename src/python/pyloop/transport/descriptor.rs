#![allow(unsafe_code)] // The number comes from a Python object, which the transport holds open.
//! The descriptor of a transport: its place in the loop's table, and who owns it.

use std::os::fd::{BorrowedFd, RawFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::PyClass;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pyclass::boolean_struct::True;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use pyo3::types::{PyWeakrefMethods, PyWeakrefReference};
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;

use super::super::core::LoopCore;
use super::super::handle::leaves_the_loop;
use super::super::source::Source;
use super::super::watch::Claim;
use crate::python::context;

/// The native half of a transport.
pub(super) trait Owner: PyClass<Frozen = True> + Sync {
    /// What is said of an error that is nobody else's.
    const FATAL: &str;

    fn descriptor(&self) -> &Descriptor;

    /// The descriptor is ready, or broken (`HUP`, `ERR`). Runs in the context in which the transport was made.
    fn ready(&self, py: Python<'_>, flags: EventFlags) -> PyResult<()>;

    /// The turn ends, after [`Descriptor::flush_later`].
    fn flush(&self, _py: Python<'_>) -> PyResult<()> {
        Ok(())
    }
}

/// A number that one transport has claimed in the table of its loop.
///
/// What is done with it is done while the claim holds. The transport gives it up before it closes the descriptor, so the
/// number cannot be somebody else's.
pub(super) struct Descriptor {
    event_loop: Py<LoopCore>,
    fd: RawFd,
    /// Callbacks of the protocol run in the context in which the transport was made.
    context: Py<PyAny>,
    place: Mutex<Place>,
}

#[derive(Default)]
struct Place {
    /// None before the transport is complete, and once it has let go.
    claim: Option<Claim>,
    transport: Option<Py<PyWeakrefReference>>,
}

/// A transport in the table. The entry keeps the transport alive; the native half only knows of it, so that a transport that
/// nobody closed is not a cycle, and says so when it goes.
struct Registered<T: Owner>(Py<T>, Option<Py<PyAny>>);

impl<T: Owner> Source for Registered<T> {
    fn ready(&self, event_loop: &Bound<'_, LoopCore>, flags: EventFlags) -> PyResult<()> {
        let (owner, py) = (self.0.get(), event_loop.py());
        owner.descriptor().enter(py, T::FATAL, || owner.ready(py, flags))
    }

    fn flush(&self, event_loop: &Bound<'_, LoopCore>) -> PyResult<()> {
        let (owner, py) = (self.0.get(), event_loop.py());
        owner.descriptor().enter(py, T::FATAL, || owner.flush(py))
    }

    fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.0)?;
        visit.call(&self.1)
    }
}

impl Descriptor {
    pub(super) fn new(event_loop: &Bound<'_, LoopCore>, fd: RawFd) -> PyResult<Self> {
        Ok(Self {
            event_loop: event_loop.clone().unbind(),
            fd,
            context: context::copy_current(event_loop.py())?.unbind(),
            place: Mutex::default(),
        })
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn core(&self) -> &LoopCore {
        self.event_loop.get()
    }

    /// Takes the number over for `transport`, whose native half is `owner`.
    pub(super) fn claim<T: Owner>(&self, owner: &Bound<'_, T>, transport: &Bound<'_, PyAny>) -> PyResult<()> {
        let core = self.core();
        let known = PyWeakrefReference::new(transport)?.unbind();
        let source = Arc::new(Registered(owner.clone().unbind(), Some(transport.clone().unbind())));
        let claim = core.watches().claim(&core.poller()?, self.fd, source)?;
        let mut place = self.place();
        place.claim = Some(claim);
        place.transport = Some(known);
        Ok(())
    }

    /// Gives the number up, which may be closed then.
    pub(super) fn release(&self) {
        let place = std::mem::take(&mut *self.place());
        if let (Some(claim), Ok(poller)) = (place.claim, self.core().poller()) {
            self.core().watches().release(&poller, claim);
        }
        drop(place);
    }

    /// Whether the number is the transport's.
    pub(super) fn is_claimed(&self) -> bool {
        self.place().claim.is_some()
    }

    /// Lends the descriptor to `f`; without a claim the answer is that there is none.
    pub(super) fn with<R>(&self, f: impl FnOnce(BorrowedFd<'_>) -> Result<R, Errno>) -> Result<R, Errno> {
        if !self.is_claimed() {
            return Err(Errno::BADF);
        }
        // SAFETY: the claim is given up before the descriptor is closed, and closing is the affair of this thread, which is
        // in here.
        f(unsafe { BorrowedFd::borrow_raw(self.fd) })
    }

    pub(super) fn transport<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        let transport = self.place().transport.as_ref().map(|transport| transport.bind(py).clone());
        transport.and_then(|transport| transport.upgrade())
    }

    pub(super) fn waits_for(&self, flags: EventFlags) -> bool {
        let claim = self.place().claim;
        claim.is_some_and(|claim| self.core().watches().interest(claim).intersects(flags))
    }

    pub(super) fn change_interest(&self, add: EventFlags, remove: EventFlags) -> PyResult<()> {
        let claim = self.place().claim;
        let Some(claim) = claim else { return Ok(()) };
        Ok(self.core().watches().change_interest(&self.core().poller()?, claim, add, remove)?)
    }

    /// Has [`Owner::flush`] called at the end of this turn.
    pub(super) fn flush_later<T: Owner>(&self, owner: &Bound<'_, T>) {
        self.core().dirty().push(Arc::new(Registered(owner.clone().unbind(), None)));
    }

    /// Runs `f` in the context of the transport. What goes wrong there is the transport's end and not the loop's.
    fn enter(&self, py: Python<'_>, message: &str, f: impl FnOnce() -> PyResult<()>) -> PyResult<()> {
        match context::run(self.context.bind(py), f).flatten() {
            Ok(()) => Ok(()),
            Err(error) if leaves_the_loop(py, &error) => Err(error),
            Err(error) => self.fatal(py, error, message),
        }
    }

    /// Ends the transport.
    pub(super) fn fatal(&self, py: Python<'_>, error: PyErr, message: &str) -> PyResult<()> {
        let Some(transport) = self.transport(py) else { return Ok(()) };
        transport.call_method1(intern!(py, "_fatal_native_error"), (error.into_value(py), message)).map(drop)
    }

    /// What a callback raised is reported and the transport goes on; what must leave the loop is given on.
    pub(super) fn report<T>(&self, py: Python<'_>, result: PyResult<T>) -> PyResult<()> {
        match result {
            Ok(_) => Ok(()),
            Err(error) if leaves_the_loop(py, &error) => Err(error),
            Err(error) => {
                let Some(transport) = self.transport(py) else { return Ok(()) };
                transport.call_method1(intern!(py, "_report_callback_error"), (error.into_value(py),)).map(drop)
            }
        }
    }

    /// Has the protocol paused when more than the limit is queued.
    pub(super) fn limit(&self, py: Python<'_>, queued: usize) -> PyResult<()> {
        let Some(transport) = self.transport(py) else { return Ok(()) };
        let high: usize = transport.getattr(intern!(py, "_high_water"))?.extract().unwrap_or(0);
        if queued > high {
            transport.call_method0(intern!(py, "_maybe_pause_protocol"))?;
        }
        Ok(())
    }

    /// Has the protocol resumed when it is paused and no more than the limit is queued.
    pub(super) fn unlimit(&self, py: Python<'_>) -> PyResult<()> {
        let Some(transport) = self.transport(py) else { return Ok(()) };
        if transport.getattr(intern!(py, "_protocol_paused"))?.is_truthy()? {
            transport.call_method0(intern!(py, "_maybe_resume_protocol"))?;
        }
        Ok(())
    }

    /// Ends the transport in a turn of its own: in a handle, so that what the protocol raises is reported.
    pub(super) fn lose(&self, py: Python<'_>) -> PyResult<()> {
        let Some(transport) = self.transport(py) else { return Ok(()) };
        let lost = transport.getattr(intern!(py, "_call_connection_lost"))?;
        self.event_loop.bind(py).call_method1(intern!(py, "call_soon"), (lost, py.None())).map(drop)
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.event_loop)?;
        visit.call(&self.context)?;
        visit.call(&self.place().transport)
    }

    pub(super) fn clear(&self) {
        let transport = self.place().transport.take();
        drop(transport);
    }
}
