use tower_layer::Layer;

use super::service::Proxies;
use super::{ConnectionPeer, ForwardedHeader, Peer, SetClientIp};
use crate::ConfigError;
use crate::service::network;

/// How many entries of the header are looked at.
pub(super) const MAX_ENTRIES: u8 = 32;

/// Applies [`SetClientIp`]; see the [module](super) for examples.
#[derive(Debug, Clone)]
#[must_use]
pub struct ClientIpLayer<P = ConnectionPeer> {
    proxies: Proxies,
    peer: P,
}

impl ClientIpLayer {
    /// Trusts nobody: the client is the other end of the connection.
    pub fn new() -> Self {
        let proxies = Proxies { networks: [].into(), hops: 0, header: ForwardedHeader::XForwardedFor };
        Self { proxies, peer: ConnectionPeer }
    }
}

impl Default for ClientIpLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<P> ClientIpLayer<P> {
    /// Trusts proxies with these addresses, `10.0.0.7`, or in these networks, `10.0.0.0/8` or `2001:db8::/32`, and no others.
    ///
    /// # Errors
    /// When one is no network, or is that of all addresses; the error names it.
    pub fn trusted(mut self, networks: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, ConfigError> {
        let networks: Result<Vec<_>, _> = networks
            .into_iter()
            .map(|text| network("ClientIp: trusted", text.as_ref(), ", or say with hops how many there are"))
            .collect();
        self.proxies.networks = networks?.into();
        Ok(self)
    }

    /// Trusts so many proxies one behind the other, counted from this server on, whatever their addresses; none unless told.
    ///
    /// For platforms whose routers have no fixed addresses. Whoever reaches this server past them can name any address.
    ///
    /// # Errors
    /// When there are more than 32.
    pub fn hops(mut self, count: u8) -> Result<Self, ConfigError> {
        if count > MAX_ENTRIES {
            return Err(ConfigError::new(format!("ClientIp: hops is {count}"))
                .cure(format!("give the number of proxies, from 0 to {MAX_ENTRIES}")));
        }
        self.proxies.hops = count;
        Ok(self)
    }

    /// Reads this header; the proxies must write it.
    pub fn header(mut self, header: ForwardedHeader) -> Self {
        self.proxies.header = header;
        self
    }

    /// Finds the other end of the connection elsewhere.
    pub fn peer<Q: Peer>(self, peer: Q) -> ClientIpLayer<Q> {
        ClientIpLayer { proxies: self.proxies, peer }
    }
}

impl<S, P: Clone> Layer<S> for ClientIpLayer<P> {
    type Service = SetClientIp<S, P>;

    fn layer(&self, inner: S) -> SetClientIp<S, P> {
        SetClientIp { inner, proxies: self.proxies.clone(), peer: self.peer.clone() }
    }
}
