//! Serves a stack over HTTP/1.1 and HTTP/2 (prior knowledge).
//!
//! A [`Server`] binds an address, takes connections in, and hands each request to a clone of one Tower service. Every
//! phase of a connection has a deadline and every buffer a limit; the defaults are meant for the open internet, and all
//! of them are settings of [`ServerBuilder`].
//!
//! | phase | default | what happens then |
//! |---|---|---|
//! | first byte | 10 s | closed |
//! | request head | 10 s, from its first byte | closed |
//! | request body | 30 s without data, or below 240 bytes a second | the body fails; leaves answer 408 |
//! | response | 30 s without progress | reset |
//! | idle between requests | 75 s | closed |
//! | stop | 30 s for what is in flight | reset |
//!
//! A head over 64 KiB (16 KiB in HTTP/2) or of more than 100 fields is a 431, a target over 16 KiB a 414, a missing, second
//! or malformed `Host` a 400, a connection over the limit a 503. Each of them is a problem document.
//!
//! A service may take the socket of an HTTP/1.1 connection over, by `hyper::upgrade::on` and a 101, as for WebSockets. It still counts as a
//! connection, learns of a stop by [`ConnectInfo::stopping`], and is cut off when the time for that is over; the deadlines are its own.
//! Over HTTP/2 it may take a stream over in the same way, when the request is an extended CONNECT (RFC 8441), by a 200; it keeps the [`Tunnel`] of the
//! request meanwhile.
//!
//! Behind a proxy that hands bytes on, the PROXY protocol tells whose they are; see [`ServerBuilder::proxy_protocol`].
//!
//! It differs from `axum::serve` in these limits. hyper's own header timer is not used: it covers the idle time as well, so
//! that both would have the same length, and it costs a boxed timer per request. Here one timer per connection serves
//! every phase.
//!
//! ```
//! # use std::convert::Infallible;
//! use ziggurat::service::server::Server;
//! use ziggurat::{Body, Request, Response};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let hello = tower::service_fn(|_: Request| async { Ok::<_, Infallible>(Response::new(Body::from("hello"))) });
//! let server = Server::builder().host("127.0.0.1").port(0).build()?.bind()?;
//! println!("listening on http://{}", server.local_addr());
//! let stop = async {}; // `Signals::install()?.stop()` in a real program
//! let drained = server.serve(hello, stop).await?;
//! assert_eq!(drained.dropped, 0);
//! # Ok(())
//! # }
//! ```

mod accept;
mod activity;
mod automatic;
mod bound;
mod builder;
mod connection;
mod entry;
mod gather;
mod incoming;
mod io;
mod listener;
mod proxy;
mod refuse;
mod runtime;
mod shutdown;

pub use bound::{BoundServer, Serve, ServeError};
pub use builder::{Server, ServerBuilder};
pub use entry::{ConnectInfo, Tunnel};
pub(crate) use incoming::IncomingBody;
#[cfg(feature = "python")]
pub(crate) use runtime::before_park;
pub use runtime::{io_threads, runtime, set_io_threads};
pub use shutdown::{Drained, Signals};
