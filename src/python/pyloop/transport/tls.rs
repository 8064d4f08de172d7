//! The native half of a TLS connection.
//!
//! `asyncio.sslproto` is the state machine: handshake, shutdown, time-outs, limits and failures are its own. What happens
//! for every message of an open connection is here: what has arrived goes into OpenSSL, what it gives goes to the
//! application in one piece, and what the application writes leaves by the transport below as soon as it is encrypted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use pyo3::exceptions::{PyException, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use pyo3::types::{PyByteArray, PyBytes, PyMemoryView, PySlice, PyString, PyTuple};

use super::super::guarded::Guarded;
use super::{bytes, warn_of_lost};

/// What a record carries at most (RFC 8446, 5.1): OpenSSL reads no more at once, and writes no more.
const RECORD: usize = 16 * 1024;
/// What asyncio says of any failure of an open connection.
const FATAL: &str = "Fatal error on SSL protocol";

/// Reads and writes for a TLS connection whose state machine is written in Python.
#[pyclass(frozen, module = "ziggurat._ziggurat")]
pub(in crate::python::pyloop) struct TlsCore {
    parts: Guarded<Parts>,
    /// The handshake is done and the shutdown not begun.
    wrapped: AtomicBool,
    /// The application gives buffers to read into.
    buffered: AtomicBool,
    app_reading_paused: AtomicBool,
    app_writing_paused: AtomicBool,
    ssl_reading_paused: AtomicBool,
    ssl_writing_paused: AtomicBool,
    /// A limit of nothing is reached by nothing, so that each message is to be followed by a look at it.
    reading_limit_is_zero: AtomicBool,
    writing_limit_is_zero: AtomicBool,
    /// Writes on a lost connection. The loss itself counts as one.
    lost: AtomicUsize,
}

#[derive(Default)]
struct Parts {
    /// The state machine; none once the connection is lost.
    protocol: Option<Py<PyAny>>,
    app: Option<Py<PyAny>>,
    /// None before there is a transport below.
    session: Option<Arc<Session>>,
}

/// What a connection reads from and writes to.
struct Session {
    incoming: Py<PyAny>,
    /// `write` of `incoming`.
    feed: Py<PyAny>,
    /// `read` of the `MemoryBIO` for what is to be sent.
    take: Py<PyAny>,
    /// `read`, `write` and `pending` of the SSL object.
    read: Py<PyAny>,
    write: Py<PyAny>,
    pending: Py<PyAny>,
    /// What waits to be encrypted, which it does during a handshake only.
    backlog: Py<PyAny>,
    /// `write` of the transport below.
    send: Py<PyAny>,
    /// What is raised when there is nothing to read, or no room to write.
    again: Py<PyTuple>,
}

impl Session {
    fn len(py: Python<'_>, bio: &Py<PyAny>) -> PyResult<usize> {
        bio.bind(py).getattr(intern!(py, "pending"))?.extract()
    }

    fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        let Self { incoming, feed, take, read, write, pending, backlog, send, again } = self;
        [incoming, feed, take, read, write, pending, backlog, send]
            .into_iter()
            .try_for_each(|part| visit.call(part))?;
        visit.call(again)
    }
}

impl TlsCore {
    fn is(flag: &AtomicBool) -> bool {
        flag.load(Ordering::Relaxed)
    }

    fn protocol<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.parts.with(py, |parts| parts.protocol.as_ref().map(|protocol| protocol.bind(py).clone()))
    }

    fn session(&self, py: Python<'_>) -> Option<Arc<Session>> {
        self.parts.with(py, |parts| parts.session.clone())
    }

    /// Calls a method of the state machine, unless that is done.
    fn tell<'py>(&self, method: &Bound<'py, PyString>, args: impl pyo3::call::PyCallArgs<'py>) -> PyResult<()> {
        self.protocol(method.py()).map_or(Ok(()), |protocol| protocol.call_method1(method, args).map(drop))
    }

    /// Ends the connection for an exception, as the state machine does. What is none must leave the loop.
    fn settle(&self, py: Python<'_>, result: PyResult<()>) -> PyResult<()> {
        match result {
            Err(error) if error.is_instance_of::<PyException>(py) => {
                self.tell(intern!(py, "_fatal_error"), (error.into_value(py), FATAL))
            }
            other => other,
        }
    }

    /// What came from the transport below.
    pub(super) fn receive(&self, data: &Bound<'_, PyBytes>) -> PyResult<()> {
        let py = data.py();
        let Some(session) = self.session(py) else { return Ok(()) };
        session.feed.call1(py, (data,))?;
        if !Self::is(&self.wrapped) || Self::is(&self.buffered) || Self::is(&self.app_reading_paused) {
            return self.tell(intern!(py, "buffer_updated"), (0,));
        }
        let result = self.converse(py, &session, data.as_bytes().len());
        self.settle(py, result)
    }

    /// Hands on what has arrived, and sends what that led to.
    fn converse(&self, py: Python<'_>, session: &Session, arrived: usize) -> PyResult<()> {
        self.hand_on(py, session, arrived)?;
        if session.backlog.bind(py).is_truthy()? {
            self.tell(intern!(py, "_do_write"), ())?;
        } else {
            self.flush(py, session)?;
        }
        if Self::is(&self.ssl_reading_paused)
            || Self::is(&self.reading_limit_is_zero)
            || Session::len(py, &session.incoming)? > 0
        {
            self.tell(intern!(py, "_control_ssl_reading"), ())?;
        }
        Ok(())
    }

    /// Gives the application all that can be read, in one piece, and tells the end.
    fn hand_on(&self, py: Python<'_>, session: &Session, mut expected: usize) -> PyResult<()> {
        let mut pieces = Vec::new();
        let end = loop {
            match session.read.bind(py).call1((expected.min(RECORD),)) {
                Ok(piece) => {
                    let piece = piece.cast_into::<PyBytes>()?;
                    if piece.as_bytes().is_empty() {
                        break Ok(true);
                    }
                    pieces.push(piece);
                }
                Err(error) if error.matches(py, session.again.bind(py))? => break Ok(false),
                // What came before it is the application's all the same.
                Err(error) => break Err(error),
            }
            // With nothing left here and there, to read again would only raise, which costs as much as decrypting.
            expected = Session::len(py, &session.incoming)?;
            if expected == 0 {
                expected = session.pending.bind(py).call0()?.extract()?;
                if expected == 0 {
                    break Ok(false);
                }
            }
        };
        if let Some(data) = joined(py, pieces)?
            && let Some(app) = self.parts.with(py, |parts| parts.app.as_ref().map(|app| app.bind(py).clone()))
        {
            app.call_method1(intern!(py, "data_received"), (data,))?;
        }
        if end? {
            self.tell(intern!(py, "_call_eof_received"), ())?;
            self.tell(intern!(py, "_start_shutdown"), ())?;
        }
        Ok(())
    }

    /// Sends what is encrypted.
    fn flush(&self, py: Python<'_>, session: &Session) -> PyResult<()> {
        if !Self::is(&self.ssl_writing_paused) {
            let data = session.take.bind(py).call0()?;
            if !data.is_empty()? {
                session.send.call1(py, (data,))?;
            }
        }
        if Self::is(&self.ssl_writing_paused)
            || Self::is(&self.app_writing_paused)
            || Self::is(&self.writing_limit_is_zero)
        {
            self.tell(intern!(py, "_control_app_writing"), ())?;
        }
        Ok(())
    }

    /// Encrypts data and sends it. What there is no room for is left to the state machine.
    fn encrypt(&self, session: &Session, data: &Bound<'_, PyBytes>) -> PyResult<()> {
        let py = data.py();
        let len = data.as_bytes().len();
        let view = (len > RECORD).then(|| PyMemoryView::from(data)).transpose()?;
        let mut done = 0;
        while done < len {
            let result = match &view {
                // OpenSSL takes a record at a time.
                Some(view) => view.get_item(PySlice::new(py, isize::try_from(done)?, isize::try_from(len)?, 1)),
                None => Ok(data.as_any().clone()),
            }
            .and_then(|rest| session.write.bind(py).call1((rest,)));
            match result {
                Ok(count) => done += count.extract::<usize>()?,
                Err(error) if error.matches(py, session.again.bind(py))? => {
                    let rest = PyBytes::new(py, &data.as_bytes()[done..]);
                    return self.tell(intern!(py, "_write_appdata"), ((rest,),));
                }
                Err(error) => return Err(error),
            }
        }
        self.flush(py, session)
    }
}

/// One object for all pieces, if there are any.
fn joined<'py>(py: Python<'py>, mut pieces: Vec<Bound<'py, PyBytes>>) -> PyResult<Option<Bound<'py, PyBytes>>> {
    if pieces.len() < 2 {
        return Ok(pieces.pop());
    }
    let len = pieces.iter().map(|piece| piece.as_bytes().len()).sum();
    PyBytes::new_with(py, len, |target| {
        let mut rest = target;
        for piece in &pieces {
            let (place, after) = rest.split_at_mut(piece.as_bytes().len());
            place.copy_from_slice(piece.as_bytes());
            rest = after;
        }
        Ok(())
    })
    .map(Some)
}

#[pymethods]
impl TlsCore {
    #[new]
    fn new(protocol: Py<PyAny>) -> Self {
        Self {
            parts: Guarded::new(Parts { protocol: Some(protocol), ..Parts::default() }),
            wrapped: AtomicBool::new(false),
            buffered: AtomicBool::new(false),
            app_reading_paused: AtomicBool::new(false),
            app_writing_paused: AtomicBool::new(false),
            ssl_reading_paused: AtomicBool::new(false),
            ssl_writing_paused: AtomicBool::new(false),
            reading_limit_is_zero: AtomicBool::new(false),
            writing_limit_is_zero: AtomicBool::new(false),
            lost: AtomicUsize::new(1),
        }
    }

    /// Who is told what arrives; `buffered` when it gives the buffers to read into.
    fn set_app(&self, py: Python<'_>, app: Option<Py<PyAny>>, buffered: bool) {
        let before = self.parts.with(py, |parts| std::mem::replace(&mut parts.app, app));
        self.buffered.store(buffered, Ordering::Relaxed);
        drop(before);
    }

    /// There is a transport below, to write to by `send`: what it brings goes by `incoming`, an `ssl.MemoryBIO`, into
    /// `ssl_object`, and what is to be sent comes out of `outgoing`. `backlog` is what waits to be encrypted.
    fn begin(
        &self,
        incoming: &Bound<'_, PyAny>,
        outgoing: &Bound<'_, PyAny>,
        ssl_object: &Bound<'_, PyAny>,
        backlog: Py<PyAny>,
        send: Py<PyAny>,
    ) -> PyResult<()> {
        let py = incoming.py();
        let errors = py.import(intern!(py, "asyncio.sslproto"))?.getattr(intern!(py, "SSLAgainErrors"))?;
        let session = Session {
            incoming: incoming.clone().unbind(),
            feed: incoming.getattr(intern!(py, "write"))?.unbind(),
            take: outgoing.getattr(intern!(py, "read"))?.unbind(),
            read: ssl_object.getattr(intern!(py, "read"))?.unbind(),
            write: ssl_object.getattr(intern!(py, "write"))?.unbind(),
            pending: ssl_object.getattr(intern!(py, "pending"))?.unbind(),
            backlog,
            send,
            again: errors.cast_into::<PyTuple>()?.unbind(),
        };
        let before = self.parts.with(py, |parts| parts.session.replace(Arc::new(session)));
        drop(before);
        Ok(())
    }

    /// The connection is lost.
    fn end(&self, py: Python<'_>) {
        let parts = self.parts.with(py, std::mem::take);
        drop(parts);
    }

    /// Gives the application what has arrived while it was not to be told.
    fn deliver(&self, py: Python<'_>) -> PyResult<()> {
        match self.session(py) {
            Some(session) => self.hand_on(py, &session, RECORD),
            None => Ok(()),
        }
    }

    /// Encrypts data and sends it, or keeps it until that can be done.
    fn write(&self, py: Python<'_>, data: Bound<'_, PyAny>) -> PyResult<()> {
        if !(data.is_instance_of::<PyBytes>()
            || data.is_instance_of::<PyByteArray>()
            || data.is_instance_of::<PyMemoryView>())
        {
            let name = data.get_type().name()?;
            return Err(PyTypeError::new_err(format!("data: expecting a bytes-like instance, got {name}")));
        }
        let data = bytes(data)?;
        if data.as_bytes().is_empty() {
            return Ok(());
        }
        let Some(protocol) = self.protocol(py) else {
            return warn_of_lost(py, &self.lost, "SSL connection is closed");
        };
        if Self::is(&self.wrapped)
            && let Some(session) = self.session(py)
            && !session.backlog.bind(py).is_truthy()?
        {
            let result = self.encrypt(&session, &data);
            return self.settle(py, result);
        }
        protocol.call_method1(intern!(py, "_write_appdata"), ((data,),)).map(drop)
    }

    #[getter]
    fn wrapped(&self) -> bool {
        Self::is(&self.wrapped)
    }

    #[setter]
    fn set_wrapped(&self, value: bool) {
        self.wrapped.store(value, Ordering::Relaxed);
    }

    #[getter]
    fn app_reading_paused(&self) -> bool {
        Self::is(&self.app_reading_paused)
    }

    #[setter]
    fn set_app_reading_paused(&self, value: bool) {
        self.app_reading_paused.store(value, Ordering::Relaxed);
    }

    #[getter]
    fn app_writing_paused(&self) -> bool {
        Self::is(&self.app_writing_paused)
    }

    #[setter]
    fn set_app_writing_paused(&self, value: bool) {
        self.app_writing_paused.store(value, Ordering::Relaxed);
    }

    #[getter]
    fn ssl_reading_paused(&self) -> bool {
        Self::is(&self.ssl_reading_paused)
    }

    #[setter]
    fn set_ssl_reading_paused(&self, value: bool) {
        self.ssl_reading_paused.store(value, Ordering::Relaxed);
    }

    #[getter]
    fn ssl_writing_paused(&self) -> bool {
        Self::is(&self.ssl_writing_paused)
    }

    #[setter]
    fn set_ssl_writing_paused(&self, value: bool) {
        self.ssl_writing_paused.store(value, Ordering::Relaxed);
    }

    #[setter]
    fn set_reading_limit_is_zero(&self, value: bool) {
        self.reading_limit_is_zero.store(value, Ordering::Relaxed);
    }

    #[setter]
    fn set_writing_limit_is_zero(&self, value: bool) {
        self.writing_limit_is_zero.store(value, Ordering::Relaxed);
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let visited = self.parts.during_traverse(|parts| {
            visit.call(&parts.protocol)?;
            visit.call(&parts.app)?;
            parts.session.as_ref().map_or(Ok(()), |session| session.traverse(&visit))
        });
        visited.unwrap_or(Ok(()))
    }

    fn __clear__(&self, py: Python<'_>) {
        self.end(py);
    }
}
