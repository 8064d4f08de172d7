//! Bodies that come in pieces, on their way between Rust and Python.
//!
//! A piece crosses when it is asked for: what a Python iterator yields waits in a short queue until the client takes it, and a
//! body is read on for Python when that awaits its next chunk.

mod incoming;
mod outgoing;

pub(super) use incoming::BodyIterator;
pub(super) use outgoing::{Outgoing, is_chunks};
