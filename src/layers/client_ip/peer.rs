use std::net::{IpAddr, SocketAddr};

use http::Extensions;

/// Finds the other end of the connection in what the server put into a request's extensions.
pub trait Peer {
    /// Its address; none when it is not known.
    fn peer(&self, request: &Extensions) -> Option<IpAddr>;
}

impl<F> Peer for F
where
    F: Fn(&Extensions) -> Option<IpAddr>,
{
    fn peer(&self, request: &Extensions) -> Option<IpAddr> {
        self(request)
    }
}

/// What the server of this crate tells, else a [`SocketAddr`] that is among the extensions.
#[derive(Debug, Clone, Copy, Default)]
pub struct ConnectionPeer;

impl Peer for ConnectionPeer {
    fn peer(&self, request: &Extensions) -> Option<IpAddr> {
        #[cfg(feature = "server")]
        if let Some(info) = request.get::<crate::service::server::ConnectInfo>() {
            return Some(info.peer_addr.ip());
        }
        request.get::<SocketAddr>().map(SocketAddr::ip)
    }
}
