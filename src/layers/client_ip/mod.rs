//! Finds out which client a request came from, also behind proxies.
//!
//! Behind a proxy every connection comes from the proxy, which writes the address that it was called from into
//! `X-Forwarded-For`, or `Forwarded` (RFC 7239). Anybody may send these headers too, so what they say counts only as far as
//! proxies that are trusted have written it. The address goes into the request's extensions as [`ClientIp`], for the access
//! log, rate limits and handlers.
//!
//! - **Nobody is trusted** until [`trusted`](ClientIpLayer::trusted) or [`hops`](ClientIpLayer::hops) says whom; then the
//!   client is the other end of the connection, whatever the headers say.
//! - From a peer that is trusted on, the entries of the header are walked from right to left, over all its lines. Trusted
//!   addresses are passed over; the first that is not trusted is the client. When all are trusted, the last one looked at is.
//! - An entry that is no address (`unknown`, `_hidden`, a name, a zone, what is malformed) ends the walk: the client is then
//!   the last trusted address, and never one further left. Ports are dropped, empty entries passed over.
//! - Addresses are IPv4 or IPv6; an IPv4 address within an IPv6 one (`::ffff:192.0.2.1`) is the IPv4 address.
//!
//! # Limits
//! - One header is read, [`X-Forwarded-For`](ForwardedHeader) unless another is set: proxies write one and hand the other on as
//!   a client sent it. The headers themselves, and the scheme and host that proxies announce, are left alone.
//! - At most 32 entries are looked at.
//! - In `Forwarded` a comma ends an element even between quotes, where no address has one; what a client leaves unclosed thus
//!   spoils nothing that a proxy wrote after it.
//! - The address belongs to a person: keep it only for as long as you need it.
//! - Where the other end of the connection is not known, as of a Unix socket, there is no [`ClientIp`] unless `hops` says that
//!   it is a proxy. The server of this crate tells it, and so does a `std::net::SocketAddr` among the request's extensions;
//!   for Axum say where it is, as below.
//!
//! # Example
//! ```
//! # use std::{convert::Infallible, net::SocketAddr};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use ziggurat::{Body, Request, Response, layers::{ClientIp, ClientIpLayer}};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let service = ServiceBuilder::new()
//!     .layer(ClientIpLayer::new().trusted(["10.0.0.0/8"]).unwrap())
//!     .service(service_fn(|request: Request| async move {
//!         let ClientIp(address) = request.extensions().get().unwrap();
//!         Ok::<_, Infallible>(Response::new(Body::from(address.to_string())))
//!     }));
//! let request = http::Request::get("/")
//!     .extension(SocketAddr::from(([10, 0, 0, 1], 4711))) // The server does this.
//!     .header("x-forwarded-for", "192.0.2.66, 198.51.100.7, 10.0.0.2")
//!     .body(Body::empty()).unwrap();
//! assert_eq!(service.oneshot(request).await.unwrap().body().as_bytes().unwrap(), "198.51.100.7");
//! # }
//! ```
//!
//! # Customized
//! In an Axum router, behind one proxy whose address is not known, and which writes `Forwarded`:
//! ```
//! use std::net::SocketAddr;
//! use axum::extract::{ConnectInfo, Extension};
//! use tower::ServiceExt;
//! use ziggurat::layers::{ClientIp, ClientIpLayer, client_ip::ForwardedHeader};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let layer = ClientIpLayer::new()
//!     .header(ForwardedHeader::Forwarded)
//!     .hops(1).unwrap()
//!     .peer(|extensions: &http::Extensions| extensions.get().map(|ConnectInfo::<SocketAddr>(peer)| peer.ip()));
//! let app: axum::Router = axum::Router::new()
//!     .route("/", axum::routing::get(|Extension(ClientIp(address)): Extension<ClientIp>| async move { address.to_string() }))
//!     .layer(layer);
//! let request = http::Request::get("/")
//!     .extension(ConnectInfo(SocketAddr::from(([203, 0, 113, 9], 4711))))
//!     .header("forwarded", r#"for=192.0.2.66, for="[2001:db8::7]:1234";proto=https"#)
//!     .body(axum::body::Body::empty()).unwrap();
//! let body = app.oneshot(request).await.unwrap().into_body();
//! assert_eq!(axum::body::to_bytes(body, 100).await.unwrap(), "2001:db8::7");
//!
//! let error = ClientIpLayer::new().trusted(["10.0.0.1/8"]).unwrap_err();
//! assert!(error.to_string().contains("10.0.0.0/8"));
//! # }
//! ```

mod header;
mod layer;
mod peer;
mod service;

use std::net::IpAddr;

pub use header::ForwardedHeader;
pub use layer::ClientIpLayer;
pub use peer::{ConnectionPeer, Peer};
pub use service::SetClientIp;

/// The address of the client, an extension of the request; see the [module](self).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientIp(pub IpAddr);
