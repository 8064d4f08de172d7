//! The server as its clients see it: raw sockets, and hyper's client for HTTP/2.
#![cfg(all(feature = "server", feature = "trace"))]
// Helpers of tests may fail as tests do; clippy knows only the functions that are marked as tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bodies;
mod http2;
mod limits;
mod proxy;
mod requests;
mod resources;
mod stopping;
mod support;
mod timeouts;
mod upgrades;
