//! What a Python iterator yields, as a body.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::Frame;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};

use super::Form;
use super::queue::{Pieces, Receiver, Sender, queue};
use crate::BoxError;
use crate::python::attach;
use crate::python::bridge::{EventLoop, OnLoop, Raised, spawn_bringing};
use crate::service::LeafKind;

/// Whether it is something that yields, and no value of its own.
pub(in crate::python) fn is_chunks(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = value.py();
    Ok(value.hasattr(intern!(py, "__aiter__"))? || value.hasattr(intern!(py, "__next__"))?)
}

/// A body that a Python iterator yields. The iterator is begun when the body is first asked for, and closed when it is dropped.
pub(in crate::python) struct Outgoing(State);

type Pump = Pin<Box<dyn Future<Output = Result<(), Raised>> + Send>>;

enum State {
    Waiting(EventLoop, OnLoop<Source>, Pieces),
    Flowing {
        chunks: Receiver,
        pump: Pump,
    },
    /// The iterator has ended, and some of its chunks may wait.
    Ended {
        chunks: Receiver,
        raised: Option<Raised>,
    },
    Over,
}

/// What is iterated.
struct Source {
    chunks: Py<PyAny>,
    form: Form,
    /// Whether somebody else tells of an exception before the first chunk.
    is_awaited: bool,
}

impl Outgoing {
    /// `chunks` is iterated on `event_loop`.
    pub(in crate::python) fn new(event_loop: EventLoop, chunks: Py<PyAny>, form: Form, pieces: Pieces) -> Self {
        let source = event_loop.keep(Source { chunks, form, is_awaited: false });
        Self(State::Waiting(event_loop, source, pieces))
    }

    /// The same on the thread of `event_loop`, where the iterator begins at once: its first chunk is awaited before anything is sent.
    pub(in crate::python) fn begun(
        py: Python<'_>,
        event_loop: &EventLoop,
        chunks: Py<PyAny>,
        form: Form,
        pieces: Pieces,
    ) -> Self {
        let source = event_loop.keep(Source { chunks, form, is_awaited: true });
        let (sender, chunks) = queue(pieces);
        let pumped = event_loop.run_here(py, move |py| pump(py, source, sender), |_, _| Ok(()));
        Self(State::Flowing { chunks, pump: Box::pin(pumped) })
    }

    fn begin(event_loop: &EventLoop, source: OnLoop<Source>, pieces: Pieces) -> State {
        let (sender, chunks) = queue(pieces);
        let pumped = event_loop.run(move |py| pump(py, source, sender), |_, _| Ok(()));
        State::Flowing { chunks, pump: Box::pin(pumped) }
    }
}

/// The coroutine that iterates.
fn pump(py: Python<'_>, source: OnLoop<Source>, sender: Sender) -> PyResult<Bound<'_, PyAny>> {
    attach::on_loop(py, LeafKind::Python, |py| {
        let pump = py.import(intern!(py, "ziggurat._streaming"))?.getattr(intern!(py, "pump"))?;
        let Source { chunks, form, is_awaited } = source.into_inner(py);
        let sink = Sink { sender, form, is_quiet: AtomicBool::new(is_awaited) };
        pump.call1((chunks, sink))
    })
}

impl http_body::Body for Outgoing {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let State::Waiting(..) = self.0
            && let State::Waiting(event_loop, iterator, pieces) = std::mem::replace(&mut self.0, State::Over)
        {
            self.0 = Self::begin(&event_loop, iterator, pieces);
        }
        if let State::Flowing { chunks, pump } = &mut self.0 {
            if let Poll::Ready(chunk) = chunks.poll_recv(cx) {
                return Poll::Ready(Some(Ok(Frame::data(chunk))));
            }
            let raised = ready!(pump.as_mut().poll(cx)).err();
            if let State::Flowing { chunks, .. } = std::mem::replace(&mut self.0, State::Over) {
                self.0 = State::Ended { chunks, raised };
            }
        }
        let State::Ended { chunks, raised } = &mut self.0 else { return Poll::Ready(None) };
        if let Some(chunk) = chunks.try_recv() {
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        let raised = raised.take();
        self.0 = State::Over;
        Poll::Ready(raised.map(|raised| Err(raised.into())))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.0, State::Over)
    }
}

/// Where the iterator's chunks go.
#[pyclass(frozen, module = "ziggurat._ziggurat")]
struct Sink {
    sender: Sender,
    form: Form,
    is_quiet: AtomicBool,
}

#[pymethods]
impl Sink {
    /// Takes a chunk; gives what has to be awaited before the next one, or None.
    fn put(&self, chunk: &Bound<'_, PyAny>) -> PyResult<Option<Py<PyAny>>> {
        let py = chunk.py();
        let bytes = self.form.bytes(chunk)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        self.is_quiet.store(false, Ordering::Relaxed);
        let Err(bytes) = self.sender.try_send(bytes) else { return Ok(None) };
        // Who takes none any more has the iteration cancelled, which is on its way: twice would break off what cleans up.
        let (sender, bytes) = (self.sender.clone(), bytes.into_owned());
        let sent = spawn_bringing(py, async move {
            sender.send(bytes).await;
            |py: Python<'_>| Ok(py.None())
        })?;
        Ok(Some(sent.into_any().unbind()))
    }

    /// Whether an exception is told by who awaits the first chunk.
    #[getter]
    fn is_quiet(&self) -> bool {
        self.is_quiet.load(Ordering::Relaxed)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.form.traverse(&visit)
    }
}
