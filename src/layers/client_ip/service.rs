use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderMap, Request};
use ipnet::IpNet;
use tower_service::Service;

use super::layer::MAX_ENTRIES;
use super::{ClientIp, ConnectionPeer, ForwardedHeader, Peer};

/// Puts the address of the client into the request's extensions; see the [module](super) for examples.
#[derive(Debug, Clone)]
pub struct SetClientIp<S, P = ConnectionPeer> {
    pub(super) inner: S,
    pub(super) proxies: Proxies,
    pub(super) peer: P,
}

/// Whom to believe.
#[derive(Debug, Clone)]
pub(super) struct Proxies {
    pub(super) networks: Arc<[IpNet]>,
    pub(super) hops: u8,
    pub(super) header: ForwardedHeader,
}

impl Proxies {
    fn client(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Option<IpAddr> {
        let mut client = peer.map(|ip| ip.to_canonical());
        if !self.trust(0, client) {
            return client;
        }
        let lines = headers.get_all(self.header.name()).iter().rev();
        let entries = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
        let mut passed = 0;
        for entry in entries.take(MAX_ENTRIES.into()).map(<[u8]>::trim_ascii) {
            // RFC 9110, 5.6.1.2.
            if entry.is_empty() {
                continue;
            }
            let Some(ip) = self.header.address(entry) else { break };
            client = Some(ip.to_canonical());
            passed += 1;
            if !self.trust(passed, client) {
                break;
            }
        }
        client
    }

    /// Whether the proxy that is `passed` others away may say who called it.
    fn trust(&self, passed: u8, proxy: Option<IpAddr>) -> bool {
        passed < self.hops || proxy.is_some_and(|ip| self.networks.iter().any(|network| network.contains(&ip)))
    }
}

impl<S, P> SetClientIp<S, P> {
    crate::layers::inner_accessors!();
}

impl<S, P, ReqBody> Service<Request<ReqBody>> for SetClientIp<S, P>
where
    S: Service<Request<ReqBody>>,
    P: Peer,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> S::Future {
        let peer = self.peer.peer(request.extensions());
        if let Some(client) = self.proxies.client(peer, request.headers()) {
            request.extensions_mut().insert(ClientIp(client));
        }
        self.inner.call(request)
    }
}
