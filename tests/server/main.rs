//! The server as its clients see it: raw sockets, and hyper's client for HTTP/2.
#![cfg(all(feature = "server", feature = "trace"))]

mod bodies;
mod http2;
mod limits;
mod requests;
mod resources;
mod stopping;
mod support;
mod timeouts;
