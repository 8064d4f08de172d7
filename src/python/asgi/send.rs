//! `send`: the answer of an application, on its way to the connection.

use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http_body::Frame;
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::head::Head;
use super::link::Link;
use crate::python::bridge::spawn_bringing;
use crate::python::pyloop::Reply;
use crate::python::ready::ready as done;
use crate::service::{Problem, Response};
use crate::{Body, BoxError};

/// How many pieces wait for the client at most, before `send` waits for it.
const PIECES: usize = 16;

/// How far an answer is.
pub(super) struct Answering {
    // Never locked while Python runs.
    state: Mutex<State>,
    link: Arc<Link>,
    /// The request was a HEAD: the body of its answer is left out.
    is_head: bool,
}

pub(super) enum State {
    Fresh(Reply),
    /// Its head is known, and is sent with the first piece.
    Started(Reply, Head),
    Streaming {
        pieces: mpsc::Sender<Bytes>,
        /// The bytes that its Content-Length announced and that have not come.
        left: Option<u64>,
    },
    /// The head was sent, and what the application sends of the body is left out.
    Discarding,
    Over,
}

fn wrong_length(announced: u64, longer: bool) -> PyErr {
    let what = if longer { "longer" } else { "shorter" };
    PyRuntimeError::new_err(format!("the answer is {what} than its Content-Length, {announced}"))
}

/// What ASGI asks for when an answer is sent that nobody gets any longer.
fn client_gone() -> PyErr {
    PyOSError::new_err("the client has gone")
}

impl Answering {
    pub(super) fn new(reply: Reply, link: Arc<Link>, is_head: bool) -> Self {
        Self { state: Mutex::new(State::Fresh(reply)), link, is_head }
    }

    /// Python runs for it from now on.
    pub(super) fn begun(&self) {
        if let State::Fresh(reply) = &*self.lock() {
            reply.begun();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing more is sent; gives how far the answer was.
    pub(super) fn close(&self) -> State {
        mem::replace(&mut self.lock(), State::Over)
    }

    /// Answers in the place of the application, unless that has begun to.
    pub(super) fn refuse(&self, problem: Problem) {
        if let State::Fresh(reply) | State::Started(reply, _) = self.close() {
            reply.send(problem.into_response());
        }
    }

    fn start(&self, message: &Bound<'_, PyDict>) -> PyResult<()> {
        let head = Head::read(message)?;
        let mut state = self.lock();
        match mem::replace(&mut *state, State::Over) {
            State::Fresh(reply) => {
                *state = State::Started(reply, head);
                Ok(())
            }
            State::Over if self.link.is_gone() => Err(client_gone()),
            other => {
                *state = other;
                Err(PyRuntimeError::new_err("http.response.start was sent already"))
            }
        }
    }

    /// Gives what has to be awaited before more is sent.
    fn body(&self, py: Python<'_>, bytes: Bytes, more: bool) -> PyResult<Option<Py<PyAny>>> {
        let mut state = self.lock();
        match mem::replace(&mut *state, State::Over) {
            State::Fresh(reply) => {
                *state = State::Fresh(reply);
                Err(PyRuntimeError::new_err("http.response.body was sent before http.response.start"))
            }
            State::Started(reply, _) if reply.is_closed() => {
                self.link.break_off();
                Err(client_gone())
            }
            State::Started(reply, head) => match self.first(head, bytes, more) {
                Ok((response, next)) => {
                    *state = next;
                    drop(state);
                    reply.send(response);
                    Ok(None)
                }
                Err(error) => {
                    // Nothing was sent, so that the failure can still be answered.
                    *state = State::Fresh(reply);
                    Err(error)
                }
            },
            State::Streaming { pieces, left } => {
                if pieces.is_closed() {
                    return Err(client_gone());
                }
                let sent = bytes.len() as u64;
                let left = match left {
                    Some(left) if sent > left => return Err(wrong_length(left, true)),
                    Some(left) if !more && sent < left => return Err(wrong_length(left, false)),
                    left => left.map(|left| left - sent),
                };
                if more {
                    *state = State::Streaming { pieces: pieces.clone(), left };
                }
                drop(state);
                self.piece(py, pieces, bytes, more)
            }
            State::Discarding => {
                if more {
                    *state = State::Discarding;
                } else {
                    self.finish();
                }
                Ok(None)
            }
            State::Over if self.link.is_gone() => Err(client_gone()),
            State::Over => Err(PyRuntimeError::new_err("http.response.body was sent after the last of it")),
        }
    }

    /// The head with the first piece, and how the answer goes on.
    fn first(&self, mut head: Head, bytes: Bytes, more: bool) -> PyResult<(Response, State)> {
        if self.is_head || head.has_no_body() {
            if !more {
                self.finish();
            }
            let next = if more { State::Discarding } else { State::Over };
            return Ok((head.response(Body::empty()), next));
        }
        let sent = bytes.len() as u64;
        let left = match head.length {
            Some(length) if sent > length => return Err(wrong_length(length, true)),
            Some(length) if !more && sent < length => return Err(wrong_length(length, false)),
            length => length.map(|length| length - sent),
        };
        if !more {
            // The connection counts for itself.
            head.headers.remove(CONTENT_LENGTH);
            self.finish();
            return Ok((head.response(bytes.into()), State::Over));
        }
        let (pieces, receiver) = mpsc::channel(PIECES);
        if !bytes.is_empty() {
            // There is room: nothing has been sent.
            drop(pieces.try_send(bytes));
        }
        let body = Body::new(Pieces { pieces: receiver, link: self.link.clone() });
        Ok((head.response(body), State::Streaming { pieces, left }))
    }

    fn finish(&self) {
        self.link.finish();
        self.link.end();
    }

    fn piece(
        &self,
        py: Python<'_>,
        pieces: mpsc::Sender<Bytes>,
        bytes: Bytes,
        more: bool,
    ) -> PyResult<Option<Py<PyAny>>> {
        let sent = if bytes.is_empty() { Ok(()) } else { pieces.try_send(bytes) };
        let bytes = match sent {
            Ok(()) => {
                if !more {
                    self.finish();
                }
                return Ok(None);
            }
            Err(TrySendError::Closed(_)) => return Err(client_gone()),
            Err(TrySendError::Full(bytes)) => bytes,
        };
        let link = self.link.clone();
        let waiting = spawn_bringing(py, async move {
            // An answer that lacks a piece must not pose as whole: when this is cancelled it breaks off.
            let unsent = Unsent(Some(link));
            let sent = pieces.send(bytes).await;
            if let Some(link) = unsent.sent()
                && !more
                && sent.is_ok()
            {
                link.finish();
                link.end();
            }
            drop(pieces);
            move |py: Python<'_>| sent.map(|()| py.None()).map_err(|_| client_gone())
        })?;
        Ok(Some(waiting.into_any().unbind()))
    }
}

/// A piece that waits for its place.
struct Unsent(Option<Arc<Link>>);

impl Unsent {
    fn sent(mut self) -> Option<Arc<Link>> {
        self.0.take()
    }
}

impl Drop for Unsent {
    fn drop(&mut self) {
        if let Some(link) = self.0.take() {
            link.break_off();
        }
    }
}

/// The body of an answer that comes in pieces.
struct Pieces {
    pieces: mpsc::Receiver<Bytes>,
    link: Arc<Link>,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match ready!(self.pieces.poll_recv(cx)) {
            Some(piece) => Poll::Ready(Some(Ok(Frame::data(piece)))),
            None if self.link.is_finished() => Poll::Ready(None),
            None => Poll::Ready(Some(Err("the application did not send the end of its answer".into()))),
        }
    }
}

impl Drop for Pieces {
    fn drop(&mut self) {
        self.link.dropped();
    }
}

#[pyclass(frozen, module = "ziggurat._ziggurat")]
pub(super) struct Sending(pub(super) Arc<Answering>);

#[pymethods]
impl Sending {
    fn __call__(&self, py: Python<'_>, message: &Bound<'_, PyDict>) -> PyResult<Py<PyAny>> {
        let Some(kind) = message.get_item(intern!(py, "type"))? else {
            return Err(PyValueError::new_err("a message has a type"));
        };
        let waiting = match kind.cast::<PyString>()?.to_str()? {
            "http.response.body" => {
                let bytes = match message.get_item(intern!(py, "body"))? {
                    Some(body) => bytes_of(&body)?,
                    None => Bytes::new(),
                };
                let more = message.get_item(intern!(py, "more_body"))?.map_or(Ok(false), |more| more.is_truthy())?;
                self.0.body(py, bytes, more)?
            }
            "http.response.start" => {
                self.0.start(message)?;
                None
            }
            // Nobody asked for them (`TE: trailers` is not passed on), and they are no part of the content.
            "http.response.trailers" => None,
            other => return Err(PyValueError::new_err(format!("{other:?} is no message that is sent over HTTP"))),
        };
        waiting.map_or_else(|| done(py, py.None()), Ok)
    }
}

fn bytes_of(body: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    if let Ok(bytes) = body.cast::<PyBytes>() {
        return Ok(Bytes::copy_from_slice(bytes.as_bytes()));
    }
    let buffer = pyo3::buffer::PyBuffer::<u8>::get(body)?;
    Ok(buffer.to_vec(body.py())?.into())
}
