//! Applications of other frameworks as leaves: ASGI 3, HTTP and WebSockets.
//!
//! The scope is made of the request when the loop takes it up. The body crosses in pieces, each when the application asks for it, and
//! the answer as it is sent; an answer in one piece is one Rust response, as a handler's is. The application runs on when its client
//! has gone or has its answer: what it does then, as background tasks, is its own.

mod head;
mod link;
mod receive;
mod scope;
mod send;
mod service;
mod socket;

pub(super) use head::{Head, headers_of};
pub(super) use service::{AsgiApp, PyAsgiService};
