//! The socket of a connection, which notes what happens on it.

use std::convert::Infallible;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::Sleep;

use super::activity::{Activity, Order};
use super::automatic;

/// How long the rest of an unwanted request is read after the answer.
const LINGER: Duration = Duration::from_secs(2);
/// How many bytes of it are read at most.
const LINGER_BYTES: usize = 64 * 1024 * 1024;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A socket whose traffic is noted in an [`Activity`].
pub(super) struct WatchedIo {
    stream: TcpStream,
    activity: Arc<Activity>,
    /// How many bytes of the HTTP/2 preface have come; none once they turned out to be something else.
    preface: Option<usize>,
    /// A problem document that goes out in place of hyper's own answer.
    substitute: Option<Substitute>,
    shut: bool,
    linger: Option<Pin<Box<Sleep>>>,
    lingered: usize,
    /// Dropped with the socket, which may outlive the HTTP connection on it.
    _held: oneshot::Sender<Infallible>,
}

struct Substitute {
    bytes: Vec<u8>,
    written: usize,
    stands_for: usize,
}

impl WatchedIo {
    pub(super) fn new(stream: TcpStream, activity: Arc<Activity>, held: oneshot::Sender<Infallible>) -> Self {
        Self {
            stream,
            activity,
            preface: Some(0),
            substitute: None,
            shut: false,
            linger: None,
            lingered: 0,
            _held: held,
        }
    }

    /// Fails once the server drops what is left, for whoever took the socket over and would never learn of it.
    fn poll_dropped(&self, cx: &Context<'_>) -> io::Result<()> {
        self.activity.wake_io_by(cx);
        match self.activity.ordered() {
            Order::Drop => Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the server stops")),
            _ => Ok(()),
        }
    }

    fn note_read(&mut self, bytes: &[u8]) {
        self.activity.began_reading();
        if let Some(seen) = self.preface {
            let rest = &PREFACE[seen..];
            let count = bytes.len().min(rest.len());
            self.preface = (bytes[..count] == rest[..count]).then_some(seen + count);
            if self.preface == Some(PREFACE.len()) {
                self.activity.speaks_http2();
                self.preface = None;
            }
        }
    }

    fn note_write(&self, result: &Poll<io::Result<usize>>) {
        match result {
            Poll::Ready(Ok(count)) => self.activity.wrote(*count),
            Poll::Pending => self.activity.blocked(),
            Poll::Ready(Err(_)) => {}
        }
    }

    /// Sends `substitute`, and then claims that the bytes it stands for were written.
    fn poll_substitute(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        while let Some(own) = &mut self.substitute {
            let rest = &own.bytes[own.written..];
            if rest.is_empty() {
                let stands_for = own.stands_for;
                self.substitute = None;
                return Poll::Ready(Ok(stands_for));
            }
            match ready!(Pin::new(&mut self.stream).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => own.written += count,
            }
        }
        Poll::Ready(Ok(0))
    }

    /// Begins to substitute hyper's own answer, if `bytes` is one.
    fn substitutes(&mut self, bytes: &[u8]) -> bool {
        if self.substitute.is_none()
            && let Some(document) = automatic::document_for(bytes)
        {
            self.substitute = Some(Substitute { bytes: document, written: 0, stands_for: bytes.len() });
        }
        self.substitute.is_some()
    }

    /// Reads and forgets what the client still sends. Closing a socket with unread bytes resets it, and the client would
    /// lose the answer that told it why (RFC 9112, 9.6).
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut scratch = [0; 16 * 1024];
        loop {
            let mut buf = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() && self.lingered < LINGER_BYTES => {
                    self.lingered += buf.filled().len();
                    self.activity.left_unread();
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending if !self.activity.is_unread() => return Poll::Ready(()),
                Poll::Pending => {
                    let timer = self.linger.get_or_insert_with(|| Box::pin(tokio::time::sleep(LINGER)));
                    return timer.as_mut().poll(cx);
                }
            }
        }
    }
}

impl AsyncRead for WatchedIo {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let Poll::Ready(result) = Pin::new(&mut self.stream).poll_read(cx, buf) else {
            self.poll_dropped(cx)?;
            return Poll::Pending;
        };
        result?;
        let read = &buf.filled()[before..];
        if !read.is_empty() {
            self.note_read(read);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for WatchedIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = if self.substitutes(bytes) {
            self.poll_substitute(cx)
        } else {
            Pin::new(&mut self.stream).poll_write(cx, bytes)
        };
        self.note_write(&result);
        result
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = if matches!(slices, [only] if self.substitutes(only)) {
            self.poll_substitute(cx)
        } else {
            Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
        };
        self.note_write(&result);
        result
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.shut {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            self.shut = true;
        }
        ready!(self.poll_linger(cx));
        Poll::Ready(Ok(()))
    }
}
