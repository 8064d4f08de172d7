//! The task beside a connection that has become a WebSocket.

mod times;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::ReadBuf;
use tokio::time::{Instant, Sleep};
use tungstenite::error::ProtocolError;
use tungstenite::protocol::{Role, WebSocketContext};
use tungstenite::{Error, Message as Frame, Utf8Bytes};

use crate::python::pyloop::Answer;
use crate::python::websocket::close::{self, Close};
use crate::python::websocket::deflate::{Agreed, Deflate};
use crate::python::websocket::link::Link;
use crate::python::websocket::message::Message;
use crate::python::websocket::settings::Settings;
use crate::python::websocket::sync_io::SyncIo;
use crate::python::websocket::upgrade::Socket;

/// How much of what a client still sends is read and forgotten before the connection is dropped: if bytes were left, the client might lose
/// what told it why.
const FORGOTTEN: usize = 1024 * 1024;

/// Why the server closes by itself when it stops.
const STOPS: Close = Close::new(close::RESTART, "the server stops");

/// Ready when the server or the app stops.
pub(super) type Stop = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Speaks WebSocket on `io`, and is ready when that can be dropped.
pub(super) struct Pump<'a, T> {
    io: T,
    context: WebSocketContext,
    /// Where both sides compress.
    deflate: Option<Box<Deflate>>,
    link: Arc<Link>,
    settings: Arc<Settings>,
    /// The end of the handler, until it has come.
    answer: &'a mut Option<Answer>,
    stop: Option<Stop>,
    phase: Phase,
    /// Something was written that may not have gone out.
    unflushed: bool,
    /// Since when the client takes nothing.
    blocked: Option<Instant>,
    /// When something came last, or when the socket was looked at again.
    heard: Instant,
    /// When a ping went out that nothing has come after.
    pinged: Option<Instant>,
    timer: Pin<Box<Sleep>>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    Open,
    /// A close frame went out, and that of the client is waited for until then.
    Closing(Instant),
    /// The client takes nothing any more. It may have said why before, which is only there to read when the system has told of it; that it does
    /// by then.
    Gone(Instant),
    /// The last frame is on its way, and nothing is read any more.
    Last(Instant),
    /// Nothing is sent any more; how many bytes may still come.
    Shutting(Instant, usize),
    Over,
}

/// Whether a phase can go on.
enum Step {
    Wait,
    Again,
}

impl<'a, T: Socket> Pump<'a, T> {
    pub(super) fn new(
        io: T,
        deflate: Option<Agreed>,
        link: Arc<Link>,
        settings: Arc<Settings>,
        answer: &'a mut Option<Answer>,
        stop: Stop,
    ) -> Self {
        let now = Instant::now();
        Self {
            io,
            context: WebSocketContext::new(Role::Server, Some(settings.protocol())),
            deflate: deflate.map(|agreed| Box::new(Deflate::new(agreed, settings.max_message_bytes))),
            link,
            settings,
            answer,
            stop: Some(stop),
            phase: Phase::Open,
            unflushed: false,
            blocked: None,
            heard: now,
            pinged: None,
            timer: Box::pin(tokio::time::sleep_until(now)),
        }
    }

    /// Calls the protocol with the socket of this poll; none where it has to wait for that.
    fn with<R>(
        &mut self,
        cx: &mut Context<'_>,
        f: impl FnOnce(&mut WebSocketContext, &mut SyncIo<'_, '_, T>) -> Result<R, Error>,
    ) -> Option<Result<R, Error>> {
        let mut wrote = false;
        let marks = self.deflate.as_mut().map(|deflate| &mut deflate.marks);
        let result = f(&mut self.context, &mut SyncIo { io: &mut self.io, cx, wrote: &mut wrote, marks });
        if wrote {
            self.blocked = None;
        }
        match result {
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => None,
            result => Some(result),
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.link.watch(cx);
        loop {
            let step = match self.phase {
                Phase::Open | Phase::Closing(_) => {
                    self.poll_orders(cx);
                    self.poll_open(cx)
                }
                Phase::Gone(_) => self.poll_receiving(cx).unwrap_or_else(|error| self.fail(cx, &error)),
                Phase::Last(_) => self.poll_last(cx),
                Phase::Shutting(deadline, left) => self.poll_shutting(cx, deadline, left),
                Phase::Over => return Poll::Ready(()),
            };
            match step {
                Step::Again => {}
                Step::Wait => ready!(self.poll_timer(cx)),
            }
        }
    }

    /// Looks whether the handler has ended, or the server stops.
    fn poll_orders(&mut self, cx: &mut Context<'_>) {
        if let Some(answer) = self.answer.as_mut()
            && let Poll::Ready(answer) = Pin::new(answer).poll(cx)
        {
            *self.answer = None;
            let close = answer.map_or(STOPS, |answer| close::of_answer(&answer));
            self.link.desert(close);
        }
        if let Some(stop) = self.stop.as_mut()
            && stop.as_mut().poll(cx).is_ready()
        {
            self.stop = None;
            self.link.stop(STOPS);
        }
    }

    /// Sends what waits, and takes what has come.
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Step {
        let outcome = match self.poll_sending(cx) {
            Ok(()) => self.poll_receiving(cx),
            Err(Error::Io(_)) => {
                self.phase = Phase::Gone(self.soon());
                return Step::Again;
            }
            Err(error) => Err(error),
        };
        outcome.unwrap_or_else(|error| self.fail(cx, &error))
    }

    fn poll_sending(&mut self, cx: &mut Context<'_>) -> Result<(), Error> {
        loop {
            // What is under way goes first, so that no more than a message beyond the buffer is taken out of the queue.
            let mut is_blocked =
                self.unflushed && self.with(cx, |context, io| context.flush(io)).transpose()?.is_none();
            self.unflushed &= is_blocked;
            while self.phase == Phase::Open
                && !is_blocked
                && let Some(message) = self.link.next_outgoing()
            {
                self.unflushed = true;
                let frame = match &mut self.deflate {
                    Some(deflate) => deflate.outgoing(message),
                    None => message.into(),
                };
                let written = self.with(cx, |context, io| context.write(io, frame));
                is_blocked = written.transpose()?.is_none();
            }
            if self.unflushed && !is_blocked {
                match self.with(cx, |context, io| context.flush(io)).transpose()? {
                    Some(()) => self.unflushed = false,
                    None => is_blocked = true,
                }
            }
            if is_blocked {
                self.blocked.get_or_insert_with(Instant::now);
                return Ok(());
            }
            self.blocked = None;
            if self.phase != Phase::Open {
                return Ok(());
            }
            // What the handler sent before it closed has gone out by now.
            let Some(close) = self.link.closing() else { return Ok(()) };
            self.phase = Phase::Closing(Instant::now() + self.settings.close_timeout);
            self.unflushed = true;
            self.with(cx, |context, io| context.close(io, Some(close.frame()))).transpose()?;
        }
    }

    fn poll_receiving(&mut self, cx: &mut Context<'_>) -> Result<Step, Error> {
        let mut has_come = false;
        let received = loop {
            if !self.link.has_room() {
                break Ok(Step::Wait);
            }
            let Some(read) = self.with(cx, |context, io| context.read(io)) else { break Ok(Step::Wait) };
            match read {
                Ok(Frame::Text(text)) => self.link.put(Message::Text(text)),
                Ok(Frame::Binary(bytes)) => match self.message_of(bytes) {
                    Ok(message) => self.link.put(message),
                    Err(close) => break Ok(self.refuse(cx, close)),
                },
                Ok(Frame::Close(told)) => {
                    let deadline = Instant::now() + self.settings.close_timeout;
                    self.link.end(Close::told(told));
                    self.phase = Phase::Last(deadline);
                    break Ok(Step::Again);
                }
                Ok(Frame::Ping(_) | Frame::Pong(_) | Frame::Frame(_)) => {}
                Err(error) => break Err(error),
            }
            has_come = true;
        };
        if has_come {
            self.heard = Instant::now();
            self.pinged = None;
        }
        self.link.wake_receiver();
        received
    }

    fn message_of(&mut self, bytes: Bytes) -> Result<Message, Close> {
        match &mut self.deflate {
            Some(deflate) => deflate.incoming(bytes),
            None => Ok(Message::Binary(bytes)),
        }
    }

    /// Ends the connection for what was wrong with it: tells the client where it can be told.
    fn fail(&mut self, cx: &mut Context<'_>, error: &Error) -> Step {
        let close = match error {
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) | Error::Io(_) => {
                return self.lose("the connection broke");
            }
            Error::ConnectionClosed | Error::AlreadyClosed => {
                self.phase = Phase::Shutting(self.soon(), 0);
                return Step::Again;
            }
            Error::Protocol(mistake) => Close { code: close::PROTOCOL, reason: reason_of(&mistake.to_string()) },
            Error::Utf8(_) => Close::new(close::INVALID, "a text is not UTF-8"),
            Error::Capacity(_) => Close::too_big(self.settings.max_message_bytes),
            _ => Close::new(close::FAILED, ""),
        };
        self.refuse(cx, close)
    }

    /// Lets go of a client that has sent something wrong.
    fn refuse(&mut self, cx: &mut Context<'_>, close: Close) -> Step {
        self.link.end(close.clone());
        // It has been told already, where the server closes by itself.
        if self.phase == Phase::Open {
            let _ = self.with(cx, |context, io| context.close(io, Some(close.frame())));
        }
        self.phase = Phase::Last(self.soon());
        Step::Again
    }

    /// Gives the connection up without a word.
    fn lose(&mut self, why: &'static str) -> Step {
        self.link.end(Close::new(close::ABNORMAL, why));
        self.phase = Phase::Over;
        Step::Again
    }

    fn soon(&self) -> Instant {
        Instant::now() + self.settings.close_timeout
    }

    fn poll_last(&mut self, cx: &mut Context<'_>) -> Step {
        match self.with(cx, |context, io| context.flush(io)) {
            None => Step::Wait,
            // All went out. A client that was told of a mistake may still be sending.
            Some(Ok(())) => {
                self.phase = Phase::Shutting(self.soon(), FORGOTTEN);
                Step::Again
            }
            Some(Err(Error::ConnectionClosed | Error::AlreadyClosed)) => {
                self.phase = Phase::Shutting(self.soon(), 0);
                Step::Again
            }
            Some(Err(_)) => self.lose("the connection broke"),
        }
    }

    fn poll_shutting(&mut self, cx: &mut Context<'_>, deadline: Instant, mut left: usize) -> Step {
        match Pin::new(&mut self.io).poll_shutdown(cx) {
            Poll::Pending => return Step::Wait,
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(_)) => left = 0,
        }
        let mut scratch = [0; 1024];
        while left > 0 {
            let mut buffer = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.io).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => left = left.saturating_sub(buffer.filled().len()),
                Poll::Ready(_) => left = 0,
                Poll::Pending => {
                    self.phase = Phase::Shutting(deadline, left);
                    return Step::Wait;
                }
            }
        }
        self.phase = Phase::Over;
        Step::Again
    }
}

/// As much of a text as a close frame has room for.
fn reason_of(text: &str) -> Utf8Bytes {
    let mut end = text.len().min(close::MAX_REASON);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].into()
}
