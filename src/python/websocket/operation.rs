//! What `receive` and `send` give: coroutines in Rust.

use std::ffi::CString;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::{PyRuntimeError, PyRuntimeWarning, PyStopAsyncIteration, PyStopIteration};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use super::asgi;
use super::close::{self, Close};
use super::handshake::Accepted;
use super::link::Link;
use super::message::{Message, Received, Unable};
use super::waiter::Waiter;
use crate::python::attach;
use crate::service::LeafKind;

/// Which messages are wanted, and as what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Any,
    Text,
    Bytes,
    Json,
    /// A dict, as ASGI has it.
    Asgi,
}

/// One step to or from the client, to be awaited. It takes place when it is awaited, and not before; where it need not wait, without a turn of
/// the loop. It counts as a coroutine, so that tasks can be made of it.
#[pyclass(frozen, weakref, module = "ziggurat._ziggurat")]
pub(super) struct Operation {
    link: Arc<Link>,
    /// Whether a client that has gone is what ASGI makes of it.
    asgi: bool,
    // Never locked while Python runs.
    step: Mutex<Step>,
}

enum Step {
    Receive {
        kind: Kind,
        /// Whether the end of the socket is that of an iteration.
        iterates: bool,
    },
    /// It is the one that receives, and waits.
    Receiving {
        kind: Kind,
        iterates: bool,
    },
    Accept(Accepted),
    Close(Close),
    Send(Message),
    /// The message is queued.
    Sending,
    Over,
}

impl Operation {
    fn of(link: &Arc<Link>, step: Step) -> Self {
        Self { link: link.clone(), asgi: false, step: Mutex::new(step) }
    }

    /// The same for an application of ASGI.
    pub(super) fn for_asgi(mut self) -> Self {
        self.asgi = true;
        self
    }

    pub(super) fn receive(link: &Arc<Link>, kind: Kind, iterates: bool) -> Self {
        Self::of(link, Step::Receive { kind, iterates })
    }

    pub(super) fn sending(link: &Arc<Link>, message: Message) -> Self {
        Self::of(link, Step::Send(message))
    }

    pub(super) fn accept(link: &Arc<Link>, accepted: Accepted) -> Self {
        Self::of(link, Step::Accept(accepted))
    }

    pub(super) fn close(link: &Arc<Link>, close: Close) -> Self {
        Self::of(link, Step::Close(close))
    }

    fn step(&self) -> MutexGuard<'_, Step> {
        self.step.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes on: gives what the task is to wait for, or raises how it ended.
    fn advance<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let step = mem::replace(&mut *self.step(), Step::Over);
        let (kind, iterates) = match step {
            Step::Receive { kind, iterates } => {
                if !self.link.begin_receiving() {
                    return Err(PyRuntimeError::new_err(
                        "another task receives from this WebSocket already; one receives, and hands on what others need",
                    ));
                }
                (kind, iterates)
            }
            Step::Receiving { kind, iterates } => (kind, iterates),
            Step::Accept(accepted) => {
                self.link.accept(accepted).map_err(|unable| self.unable(py, unable))?;
                return Err(done(py.None().into_bound(py)));
            }
            Step::Close(close) => {
                self.link.close(close);
                return Err(done(py.None().into_bound(py)));
            }
            Step::Send(message) => {
                self.link.send(message).map_err(|unable| self.unable(py, unable))?;
                return self.wait_for_room(py);
            }
            Step::Sending => return self.wait_for_room(py),
            Step::Over => return Err(PyRuntimeError::new_err("cannot reuse already awaited coroutine")),
        };
        let waiting = self.receive_or_wait(py, kind, iterates);
        match &waiting {
            Ok(_) => *self.step() = Step::Receiving { kind, iterates },
            Err(_) => self.link.end_receiving(),
        }
        waiting
    }

    fn receive_or_wait<'py>(&self, py: Python<'py>, kind: Kind, iterates: bool) -> PyResult<Bound<'py, PyAny>> {
        loop {
            let received = match self.link.receive() {
                // Until it is accepted only its end can come.
                Err(Unable::NotAccepted) if kind == Kind::Asgi => Received::Nothing,
                Err(Unable::Refused) if kind == Kind::Asgi => Received::Over(Close::new(close::ABNORMAL, "")),
                received => received.map_err(|unable| self.unable(py, unable))?,
            };
            match received {
                Received::Message(message) => return Err(done(self.convert(py, message, kind)?)),
                Received::Over(_) if iterates => return Err(PyStopAsyncIteration::new_err(())),
                Received::Over(close) if kind == Kind::Asgi => return Err(done(asgi::disconnect(py, &close)?)),
                Received::Over(close) => return Err(close.error(py)),
                Received::Nothing => {
                    let (waiter, future) = Waiter::new(py)?;
                    if self.link.wait_for_message(waiter).is_none() {
                        return Ok(future);
                    }
                }
            }
        }
    }

    fn unable(&self, py: Python<'_>, unable: Unable) -> PyErr {
        if self.asgi { asgi::unable_to(py, unable) } else { unable_error(py, unable) }
    }

    fn wait_for_room<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        while self.link.is_full().map_err(|unable| self.unable(py, unable))? {
            let (waiter, future) = Waiter::new(py)?;
            if self.link.wait_for_room(waiter).is_none() {
                *self.step() = Step::Sending;
                return Ok(future);
            }
        }
        Err(done(py.None().into_bound(py)))
    }

    /// A message as what is wanted. One of another kind is a mistake of the client's, for which the socket is closed.
    fn convert<'py>(&self, py: Python<'py>, message: Message, kind: Kind) -> PyResult<Bound<'py, PyAny>> {
        let wrong = |close: Close| {
            self.link.stop(close.clone());
            close.error(py)
        };
        let value = match (kind, message) {
            (Kind::Asgi, message) => asgi::received(py, &message)?,
            (Kind::Any | Kind::Text, Message::Text(text)) => PyString::new(py, &text).into_any(),
            (Kind::Any | Kind::Bytes, Message::Binary(bytes)) => PyBytes::new(py, &bytes).into_any(),
            (Kind::Text, Message::Binary(_)) => {
                return Err(wrong(Close::new(close::UNSUPPORTED, "only texts are taken here")));
            }
            (Kind::Bytes, Message::Text(_)) => {
                return Err(wrong(Close::new(close::UNSUPPORTED, "only bytes are taken here")));
            }
            (Kind::Json, message) => {
                let loads = |value: Bound<'py, PyAny>| {
                    py.import(intern!(py, "json"))?.call_method1(intern!(py, "loads"), (value,))
                };
                let loaded = match &message {
                    Message::Text(text) => loads(PyString::new(py, text).into_any()),
                    Message::Binary(bytes) => loads(PyBytes::new(py, bytes).into_any()),
                };
                match loaded {
                    Ok(value) => value,
                    Err(error) if error.is_instance_of::<pyo3::exceptions::PyValueError>(py) => {
                        let raised = wrong(Close::new(close::INVALID, "a message is not JSON"));
                        raised.set_cause(py, Some(error));
                        return Err(raised);
                    }
                    Err(error) => return Err(error),
                }
            }
        };
        Ok(value)
    }

    /// Lets go of what it held; gives what was never begun.
    fn leave(&self) -> Option<&'static str> {
        match mem::replace(&mut *self.step(), Step::Over) {
            Step::Receiving { .. } => {
                self.link.end_receiving();
                None
            }
            Step::Receive { .. } => Some("receive"),
            Step::Send(_) => Some("send"),
            Step::Accept(_) => Some("accept"),
            Step::Close(_) => Some("close"),
            Step::Sending | Step::Over => None,
        }
    }
}

/// The end of a coroutine.
fn done(value: Bound<'_, PyAny>) -> PyErr {
    PyStopIteration::new_err((value.unbind(),))
}

pub(super) fn unable_error(py: Python<'_>, unable: Unable) -> PyErr {
    PyRuntimeError::new_err(match unable {
        Unable::NotAccepted => "the WebSocket is not accepted yet; await accept() first",
        Unable::Accepted => "the WebSocket is accepted already",
        Unable::Refused => "the WebSocket was closed before it was accepted",
        Unable::Closed => "the WebSocket was closed by the handler, and nothing can be sent any more",
        Unable::Over(close) => return close.error(py),
    })
}

#[pymethods]
impl Operation {
    fn __await__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.advance(py)
    }

    fn send<'py>(&self, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.advance(value.py())
    }

    #[pyo3(signature = (kind, value = None, traceback = None))]
    fn throw<'py>(
        &self,
        kind: &Bound<'py, PyAny>,
        value: Option<&Bound<'py, PyAny>>,
        traceback: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let _ = traceback;
        self.leave();
        let error = match value {
            Some(value) if !value.is_none() => value.clone(),
            _ if kind.is_callable() => kind.call0()?,
            _ => kind.clone(),
        };
        Err(PyErr::from_value(error))
    }

    #[pyo3(name = "close")]
    fn end(&self) {
        self.leave();
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        let Some(forgotten) = self.leave() else { return };
        // As for the coroutine that it stands for: a message that nobody awaits is not sent.
        attach::try_at(LeafKind::Python, |py| {
            let words =
                CString::new(format!("coroutine 'WebSocket.{forgotten}' was never awaited")).unwrap_or_default();
            if let Err(error) = PyErr::warn(py, &py.get_type::<PyRuntimeWarning>(), &words, 1) {
                error.write_unraisable(py, None);
            }
        });
    }
}

/// The messages of a socket, until it is over.
#[pyclass(frozen, module = "ziggurat._ziggurat")]
pub(super) struct Messages {
    pub(super) link: Arc<Link>,
    pub(super) kind: Kind,
}

#[pymethods]
impl Messages {
    fn __aiter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __anext__(&self) -> Operation {
        Operation::receive(&self.link, self.kind, true)
    }
}
