//! The body of a request, a piece at a time.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http_body::Body as _;
use http_body_util::BodyExt;
use pyo3::exceptions::{PyRuntimeError, PyStopAsyncIteration};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::Body;
use crate::python::bridge::{running_pyloop, spawn_bringing};
use crate::python::errors;
use crate::python::pyloop::{Looked, look};
use crate::python::ready::{ready, ready_after, ready_late};
use crate::service::Problem;

/// A body that is being read. A piece is read when it is asked for, and not before, so that a client that is faster than its reader waits.
///
/// Whoever waits for a piece may be cancelled, as by a time limit, or when an application asks in passing whether its client is still there,
/// and nothing of the body is lost by it.
pub(in crate::python) struct Arriving {
    rest: tokio::sync::Mutex<Rest>,
    /// What was read and has not been handed out, and whether more follows. Never locked while Python runs.
    pieces: Mutex<VecDeque<Piece>>,
    /// Why it cannot be read, for who asks next.
    failure: Mutex<Option<Problem>>,
    /// Nothing more is to be read.
    is_cut: AtomicBool,
}

/// Bytes, and whether more follow. Only the last may be empty.
pub(in crate::python) type Piece = (Bytes, bool);

/// What is left to read.
enum Rest {
    /// With how many bytes it may have, of how many.
    Body { body: Body, left: usize, limit: usize },
    /// It was read to its end, or cannot be read.
    Nothing,
    /// It was let go of before.
    Cut,
}

/// How a read went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::python) enum Read {
    /// A piece can be taken.
    Piece,
    /// There is no more.
    End,
    /// It cannot be read.
    Failed,
    /// Nobody is to have more.
    Cut,
}

impl Arriving {
    /// `body`, of which at most `limit` bytes are read.
    pub(in crate::python) fn new(body: Body, limit: usize) -> Arc<Self> {
        let rest = tokio::sync::Mutex::new(Rest::Body { body, left: limit, limit });
        Arc::new(Self { rest, pieces: Mutex::default(), failure: Mutex::default(), is_cut: AtomicBool::new(false) })
    }

    /// What is in memory already.
    pub(in crate::python) fn whole(bytes: Bytes) -> Arc<Self> {
        Self::new(Body::from(bytes), usize::MAX)
    }

    /// Takes what was read for somebody.
    pub(in crate::python) fn take(&self) -> Option<Piece> {
        lock(&self.pieces).pop_front()
    }

    /// What was read already, or need not be waited for.
    pub(in crate::python) fn at_once(&self) -> Option<Piece> {
        if let Some(piece) = self.take() {
            return Some(piece);
        }
        let mut rest = self.rest.try_lock().ok()?;
        let Rest::Body { body, left, .. } = &*rest else { return None };
        let whole = match body.as_bytes() {
            Some(bytes) if bytes.len() <= *left => bytes.clone(),
            None if body.is_end_stream() => Bytes::new(),
            _ => return None,
        };
        *rest = Rest::Nothing;
        Some((whole, false))
    }

    /// Whether something was left of it when it was let go of.
    fn is_cut_off(&self) -> bool {
        self.rest.try_lock().is_ok_and(|rest| matches!(*rest, Rest::Cut))
    }

    /// Takes why it cannot be read: 413 past a limit, 408 when the client is too slow, 400 when the body is torn.
    pub(in crate::python) fn failure(&self) -> Option<Problem> {
        lock(&self.failure).take()
    }

    /// Reads a piece, to be taken.
    pub(in crate::python) async fn read(&self) -> Read {
        let read = {
            let mut rest = self.rest.lock().await;
            let read = match &mut *rest {
                Rest::Body { body, left, limit } => next(body, left, *limit).await,
                Rest::Nothing if lock(&self.failure).is_some() => return Read::Failed,
                Rest::Nothing => return Read::End,
                Rest::Cut => return Read::Cut,
            };
            if !matches!(read, Ok((_, true))) {
                *rest = Rest::Nothing;
            }
            // From the piece to here nothing waits, so that it cannot get lost.
            match read {
                Ok(piece) => {
                    lock(&self.pieces).push_back(piece);
                    Read::Piece
                }
                Err(problem) => {
                    *lock(&self.failure) = Some(problem);
                    Read::Failed
                }
            }
        };
        if self.is_cut.load(Ordering::SeqCst) {
            self.cut();
        }
        read
    }

    /// Lets go of what was not read. Who waits for a piece gets it yet, and nothing after it.
    pub(in crate::python) fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
        // Who reads now sees the flag when it has read.
        let Ok(mut rest) = self.rest.try_lock() else { return };
        if let Rest::Body { .. } = &*rest {
            let unread = std::mem::replace(&mut *rest, Rest::Cut);
            drop(rest);
            drop(unread);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The next piece.
async fn next(body: &mut Body, left: &mut usize, limit: usize) -> Result<Piece, Problem> {
    loop {
        match body.frame().await {
            None => return Ok((Bytes::new(), false)),
            Some(Err(error)) => return Err(Problem::unreadable(error.as_ref())),
            Some(Ok(frame)) => {
                let Ok(data) = frame.into_data() else { continue };
                *left = left.checked_sub(data.len()).ok_or_else(|| Problem::too_large(limit))?;
                if body.is_end_stream() {
                    return Ok((data, false));
                }
                if !data.is_empty() {
                    return Ok((data, true));
                }
            }
        }
    }
}

/// The pieces of a request's body, for `async for`.
#[pyclass(frozen, module = "ziggurat._ziggurat")]
pub(in crate::python) struct RequestStream {
    body: Arc<Arriving>,
    is_closed: AtomicBool,
}

impl RequestStream {
    pub(in crate::python) fn create(py: Python<'_>, body: Arc<Arriving>) -> PyResult<Py<PyAny>> {
        Ok(Py::new(py, Self { body, is_closed: AtomicBool::new(false) })?.into_any())
    }
}

/// What was read, or why nothing was.
fn brought(py: Python<'_>, body: &Arriving) -> PyResult<Py<PyAny>> {
    if let Some((data, _)) = body.take().filter(|(data, _)| !data.is_empty()) {
        return Ok(PyBytes::new(py, &data).into_any().unbind());
    }
    Err(match body.failure() {
        Some(problem) => errors::http_error(py, &problem),
        None if body.is_cut_off() => {
            PyRuntimeError::new_err("the body is not there any longer: its request was answered")
        }
        None => PyStopAsyncIteration::new_err(()),
    })
}

#[pymethods]
impl RequestStream {
    fn __aiter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __anext__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let body = self.body.clone();
        let at_once = if self.is_closed.load(Ordering::Relaxed) { Some(Piece::default()) } else { body.at_once() };
        if let Some((data, _)) = at_once {
            if !data.is_empty() {
                return ready(py, PyBytes::new(py, &data).into_any().unbind());
            }
            return ready_late(py, |_| Err(PyStopAsyncIteration::new_err(())));
        }
        // What has come already takes no way to the workers and back.
        let reading = body.clone();
        let bring = move |py: Python<'_>| brought(py, &body);
        match look(&running_pyloop(py)?, || Box::pin(async move { reading.read().await }))? {
            Looked::Ready(_) => ready_late(py, bring),
            Looked::Pending(read) => {
                let waiting = spawn_bringing(py, async move {
                    read.await;
                    |py: Python<'_>| Ok(py.None())
                })?;
                // Taken by who goes on, so that nothing is lost with one who is cancelled at this moment.
                ready_after(py, waiting, bring)
            }
        }
    }

    /// Lets go of what was not read.
    fn aclose(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.is_closed.store(true, Ordering::Relaxed);
        self.body.cut();
        ready(py, py.None())
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::{FutureExt, StreamExt};

    use super::*;
    use crate::BoxError;

    fn pieces(texts: &'static [&'static str]) -> Body {
        let texts = futures_util::stream::iter(texts.iter().map(|text| Ok::<_, BoxError>(text.as_bytes().into())));
        Body::from_stream(texts)
    }

    #[tokio::test]
    async fn pieces_come_up_to_the_limit() {
        let body = Arriving::new(pieces(&["ab", "", "cd", "e"]), 5);
        for text in ["ab", "cd", "e"] {
            assert_eq!(body.at_once(), None);
            assert_eq!(body.read().await, Read::Piece);
            assert_eq!(body.take().unwrap(), (text.into(), true));
        }
        assert_eq!(body.read().await, Read::Piece);
        assert_eq!(body.take().unwrap(), (Bytes::new(), false));
        assert_eq!(body.read().await, Read::End);

        let body = Arriving::new(pieces(&["ab", "cd"]), 3);
        assert_eq!(body.read().await, Read::Piece);
        assert_eq!((body.read().await, body.read().await), (Read::Failed, Read::Failed));
        assert_eq!(body.failure().unwrap().status(), 413);
        assert_eq!(body.read().await, Read::End);
    }

    #[tokio::test]
    async fn what_is_in_memory_is_one_piece() {
        let body = Arriving::new(Body::from("abc"), 3);
        assert_eq!(body.at_once(), Some(("abc".into(), false)));
        assert_eq!(body.read().await, Read::End);
        let body = Arriving::new(Body::from("abc"), 2);
        assert_eq!(body.at_once(), None);
        assert_eq!(body.read().await, Read::Failed);
        assert_eq!(Arriving::new(Body::empty(), 0).at_once(), Some((Bytes::new(), false)));
    }

    #[tokio::test]
    async fn nothing_is_lost_with_who_waits() {
        let (sender, receiver) = channel();
        let body = Arriving::new(Body::from_stream(receiver), 100);
        assert!(body.read().now_or_never().is_none());
        sender.send(Bytes::from_static(b"late")).unwrap();
        // Read for one who was cancelled before it was handed over.
        assert_eq!(body.read().await, Read::Piece);
        assert_eq!(body.at_once(), Some(("late".into(), true)));
    }

    #[tokio::test]
    async fn who_waits_when_it_is_cut_gets_its_piece_and_no_more() {
        let (sender, receiver) = channel();
        let body = Arriving::new(Body::from_stream(receiver), 100);
        let mut read = pin!(body.read());
        assert!(read.as_mut().now_or_never().is_none());
        body.cut();
        sender.send(Bytes::from_static(b"last")).unwrap();
        assert_eq!(read.await, Read::Piece);
        assert_eq!(body.take().unwrap(), ("last".into(), true));
        assert!(sender.is_closed(), "the body is gone");
        assert_eq!(body.read().await, Read::Cut);
    }

    fn channel() -> (
        tokio::sync::mpsc::UnboundedSender<Bytes>,
        impl futures_util::Stream<Item = Result<Bytes, BoxError>> + Send + 'static,
    ) {
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
        let received = futures_util::stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|piece| (piece, receiver))
        });
        (sender, received.map(Ok))
    }
}
