//! Bodies that come in pieces, on their way between Rust and Python.
//!
//! A piece crosses when it is asked for: what a Python iterator yields waits in a short queue until the client takes it, and a
//! body, of a request or of an answer, is read on for Python when that awaits its next piece.

mod arriving;
mod begun;
mod event;
mod form;
mod held;
mod incoming;
mod keep_alive;
mod outgoing;
mod queue;

pub(super) use arriving::{Arriving, Read, RequestStream};
pub(super) use begun::begun;
pub(super) use event::ServerSentEvent;
pub(super) use form::Form;
pub(super) use held::{held, held_before};
pub(super) use incoming::BodyIterator;
pub(super) use keep_alive::Events;
pub(super) use outgoing::{Outgoing, is_chunks};
pub(super) use queue::Pieces;
