//! What passes between a handler and its socket.

use bytes::Bytes;
use tungstenite::{Message as Frame, Utf8Bytes};

use super::close::Close;
use super::handshake::Accepted;
use crate::Response;

/// What a message costs in a queue beside its bytes.
const OVERHEAD: usize = 64;

/// A whole message.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Message {
    Text(Utf8Bytes),
    Binary(Bytes),
}

impl Message {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// What it counts for in a queue.
    pub(super) fn cost(&self) -> usize {
        self.len() + OVERHEAD
    }
}

impl From<Message> for Frame {
    fn from(message: Message) -> Self {
        match message {
            Message::Text(text) => Self::Text(text),
            Message::Binary(bytes) => Self::Binary(bytes),
        }
    }
}

/// What a handler makes of a handshake.
pub(super) enum Decision {
    Accept(Accepted),
    Refuse,
    /// Refuse it with this answer.
    Deny(Box<Response>),
}

/// Why nothing can be sent or received.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Unable {
    NotAccepted,
    /// It was accepted before.
    Accepted,
    Refused,
    /// The handler has closed it.
    Closed,
    /// The connection is over.
    Over(Close),
}

/// What there is to receive.
pub(super) enum Received {
    Message(Message),
    Over(Close),
    Nothing,
}

/// How far a socket is, as both ends of it see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Connecting,
    Open,
    Closed,
}
