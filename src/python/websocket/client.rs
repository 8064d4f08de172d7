//! Sockets within this process, for tests: the real stack, and the real protocol over a pipe.

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use http::header::{CONNECTION, HOST, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use http_body_util::BodyExt;
use pyo3::exceptions::{PyRuntimeError, PyTimeoutError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use tokio::io::DuplexStream;
use tokio::runtime::Handle;
use tower::ServiceExt;
use tungstenite::protocol::{CloseFrame, Role, WebSocketContext};
use tungstenite::{Error, Message as Frame};

use super::close::{ABNORMAL, Close};
use super::sync_io::SyncIo;
use super::upgrade::InProcess;
use crate::Body;
use crate::python::convert::classes;
use crate::python::headers::text;
use crate::service::server::ConnectInfo;
use crate::service::{Response, Stack};

/// What the pipe holds, as the buffers of a socket would.
const PIPE: usize = 64 * 1024;

/// The client's end of a socket within this process. Its methods block, and are not for the thread of an event loop. One thread may receive
/// while another sends.
#[pyclass(frozen, module = "ziggurat._ziggurat")]
pub(in crate::python) struct TestSocket {
    runtime: Handle,
    client: Mutex<Client>,
    waiting: Arc<Waiting>,
}

/// Who waits for the pipe. It wakes only who looked last, and a receiver may have to write, as to answer a ping: so all look again.
#[derive(Default)]
struct Waiting {
    receives: AtomicWaker,
    sends: AtomicWaker,
    closes: AtomicWaker,
}

impl Wake for Waiting {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.receives.wake();
        self.sends.wake();
        self.closes.wake();
    }
}

struct Client {
    io: DuplexStream,
    context: WebSocketContext,
    over: Option<Close>,
}

/// Status, headers and body of an answer.
type Answer<'py> = (u16, Vec<(String, String)>, Bound<'py, PyBytes>);

/// Sends a handshake through `stack`, on `serves`; gives the answer, and the socket if that was accepted.
pub(in crate::python) fn connect<'py>(
    py: Python<'py>,
    stack: Stack,
    (runtime, serves): (&Handle, &Handle),
    target: &str,
    headers: &[(String, String)],
    from: Option<(IpAddr, u16)>,
) -> PyResult<(Answer<'py>, Option<TestSocket>)> {
    refuse_on_loop(py)?;
    let (ours, theirs) = tokio::io::duplex(PIPE);
    let mut request = http::Request::get(target);
    if let Some(from) = from {
        request = request.extension(ConnectInfo::in_process(from.into()));
    }
    let mut has_host = false;
    for (name, value) in headers {
        has_host |= name.eq_ignore_ascii_case(HOST.as_str());
        request = request.header(name, value.as_bytes());
    }
    if !has_host {
        request = request.header(HOST, "testserver");
    }
    let request = request
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, tungstenite::handshake::client::generate_key())
        .extension(InProcess::new(theirs))
        .body(Body::empty())
        .map_err(|error| PyValueError::new_err(format!("not a request: {error}")))?;
    let answer = async move {
        let Ok(response) = stack.oneshot(request).await;
        let (parts, body) = response.into_parts();
        // Nothing ends the body of an answer that switches.
        let bytes = if parts.status.is_informational() { Ok(Default::default()) } else { read(body).await };
        bytes.map(|bytes| Response::from_parts(parts, Body::from(bytes)))
    };
    let response = py
        .detach(|| runtime.block_on(serves.spawn(answer)))
        .map_err(|error| PyRuntimeError::new_err(format!("the stack did not answer: {error}")))?
        .map_err(|error| PyRuntimeError::new_err(format!("the answer broke off: {error}")))?;
    let socket = response.status().is_informational().then(|| TestSocket {
        runtime: runtime.clone(),
        client: Mutex::new(Client { io: ours, context: WebSocketContext::new(Role::Client, None), over: None }),
        waiting: Arc::default(),
    });
    let headers = response.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    let bytes = response.body().as_bytes().map(|bytes| &bytes[..]).unwrap_or_default();
    Ok(((response.status().as_u16(), headers, PyBytes::new(py, bytes)), socket))
}

async fn read(body: Body) -> Result<bytes::Bytes, crate::BoxError> {
    Ok(body.collect().await?.to_bytes())
}

fn refuse_on_loop(py: Python<'_>) -> PyResult<()> {
    if classes(py)?.current_loop.bind(py).call0()?.is_truthy()? {
        return Err(PyRuntimeError::new_err(
            "a test's WebSocket waits for the app and would stop the event loop that is to answer; use it from another thread",
        ));
    }
    Ok(())
}

impl Client {
    fn step<R>(
        &mut self,
        cx: &mut Context<'_>,
        f: impl FnOnce(&mut WebSocketContext, &mut SyncIo<'_, '_, DuplexStream>) -> Result<R, Error>,
    ) -> Poll<Result<R, Error>> {
        match f(&mut self.context, &mut SyncIo { io: &mut self.io, cx, wrote: &mut false, marks: None }) {
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
            result => Poll::Ready(result),
        }
    }

    /// The next message; none when the socket is over.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Option<Frame>> {
        loop {
            if self.over.is_some() {
                return Poll::Ready(None);
            }
            match std::task::ready!(self.step(cx, |context, io| context.read(io))) {
                Ok(frame @ (Frame::Text(_) | Frame::Binary(_))) => return Poll::Ready(Some(frame)),
                Ok(Frame::Close(told)) => {
                    self.over = Some(Close::told(told));
                    // The other side waits for the answer. Where the pipe is full, it waits in vain.
                    let _ = self.poll_flush(cx);
                }
                Ok(_) => {}
                Err(_) => self.over = Some(Close::new(ABNORMAL, "the connection broke")),
            }
        }
    }

    /// Has everything that was written sent, also what answers the close frame of the other side.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // What goes wrong here is met again by whoever receives.
        self.step(cx, |context, io| context.flush(io)).map(drop)
    }
}

impl TestSocket {
    /// Runs `poll` until it is ready, on this thread, as the one who `waits`.
    fn wait<R: Send>(
        &self,
        py: Python<'_>,
        waits: &AtomicWaker,
        seconds: Option<f64>,
        mut poll: impl FnMut(&mut Client, &mut Context<'_>) -> Poll<R> + Send,
    ) -> PyResult<R> {
        refuse_on_loop(py)?;
        let limit = seconds.map_or(Duration::MAX, |seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default());
        let done = py.detach(|| {
            let all = Waker::from(self.waiting.clone());
            let polled = std::future::poll_fn(|cx| {
                waits.register(cx.waker());
                let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
                poll(&mut client, &mut Context::from_waker(&all))
            });
            self.runtime.block_on(async { tokio::time::timeout(limit, polled).await })
        });
        done.map_err(|_| PyTimeoutError::new_err("nothing came over the WebSocket in time"))
    }
}

#[pymethods]
impl TestSocket {
    /// Sends a message: `str` as text, else bytes.
    fn send(&self, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = data.py();
        let mut frame = Some(match data.cast::<PyString>() {
            Ok(text) => Frame::text(text.to_str()?),
            Err(_) => Frame::binary(data.extract::<Vec<u8>>()?),
        });
        self.wait(py, &self.waiting.sends, None, move |client, cx| {
            if let Some(frame) = frame.take() {
                // What does not fit into the pipe yet is kept by the protocol.
                let _ = client.step(cx, |context, io| context.write(io, frame));
            }
            client.poll_flush(cx)
        })
    }

    /// The next message; none when the socket is over.
    #[pyo3(signature = (timeout = None))]
    fn receive<'py>(&self, py: Python<'py>, timeout: Option<f64>) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(match self.wait(py, &self.waiting.receives, timeout, Client::poll_receive)? {
            Some(Frame::Text(text)) => Some(PyString::new(py, &text).into_any()),
            Some(Frame::Binary(bytes)) => Some(PyBytes::new(py, &bytes).into_any()),
            _ => None,
        })
    }

    /// Closes it, and waits until the other side has, for up to so many seconds.
    fn close(&self, py: Python<'_>, code: u16, reason: String, timeout: f64) -> PyResult<()> {
        let mut frame = Some(CloseFrame { code: code.into(), reason: reason.into() });
        let closed = self.wait(py, &self.waiting.closes, Some(timeout), move |client, cx| {
            if let Some(frame) = frame.take() {
                let _ = client.step(cx, |context, io| context.close(io, Some(frame)));
            }
            let _ = client.poll_flush(cx);
            while std::task::ready!(client.poll_receive(cx)).is_some() {}
            Poll::Ready(())
        });
        py.detach(|| {
            let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
            client.over.get_or_insert_with(|| Close::new(ABNORMAL, "the other side did not answer the close"));
        });
        // Who receives elsewhere learns of the end.
        self.waiting.wake_by_ref();
        match closed {
            Err(error) if error.is_instance_of::<PyTimeoutError>(py) => Ok(()),
            closed => closed,
        }
    }

    /// Code and reason, once it is over.
    #[getter]
    fn closed(&self, py: Python<'_>) -> Option<(u16, String)> {
        py.detach(|| {
            let client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
            client.over.as_ref().map(|close| (close.code, close.reason.as_str().to_owned()))
        })
    }
}
