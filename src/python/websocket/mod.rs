//! WebSockets that Python handlers speak on.
//!
//! Frames, pings, the closing handshake and all limits are the business of a task beside the connection, the [`pump`]; Python sees whole
//! messages. The two meet in a [`link`](Link): messages wait there on their way in and out, and whoever is ahead waits for the other.
//!
//! A handshake is an ordinary request until the handler accepts it, so that layers, guards and parameters are those of any route, and a
//! refusal is an ordinary answer.

mod asgi;
mod client;
mod close;
mod deflate;
mod handshake;
mod link;
mod message;
mod object;
mod opening;
mod operation;
mod origin;
mod pump;
mod service;
mod settings;
mod sync_io;
mod upgrade;
mod waiter;

use pyo3::prelude::*;

pub(super) use asgi::{SocketReceive, SocketSend};
pub(super) use client::{TestSocket, connect};
pub(super) use close::{ended, over};
pub(super) use link::Link;
pub(super) use object::WebSocket;
pub(super) use opening::{Opening, Speaks};
pub(super) use service::PyWebSocketService;
pub(super) use settings::Settings;

/// Adds the classes to the native module.
pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<WebSocket>()?;
    module.add_class::<TestSocket>()
}
