use std::net::IpAddr;
use std::sync::Arc;

use http::header::{FORWARDED, VIA};
use http::{HeaderMap, HeaderName, Method, Request};
use ipnet::IpNet;

use super::Peer;
use crate::ConfigError;
use crate::layers::ClientIp;
use crate::service::narrow_network;

/// Where metrics are read, and by whom.
#[derive(Debug, Clone)]
pub(super) struct Door {
    path: Arc<str>,
    allowed: Allowed,
}

#[derive(Debug, Clone)]
enum Allowed {
    /// This machine, and private networks.
    Neighbours,
    Networks(Arc<[IpNet]>),
    Everybody,
}

impl Door {
    pub(super) fn new() -> Self {
        Self { path: "/metrics".into(), allowed: Allowed::Neighbours }
    }

    pub(super) fn at(&mut self, path: &str) -> Result<(), ConfigError> {
        if !path.starts_with('/') || path.contains(['?', '#', '{', '}']) {
            return Err(ConfigError::new(format!("Metrics: {path:?} is no path"))
                .cure("begin it with a slash and write it without parameters, as /metrics"));
        }
        self.path = path.into();
        Ok(())
    }

    pub(super) fn allow(&mut self, networks: impl IntoIterator<Item = impl AsRef<str>>) -> Result<(), ConfigError> {
        let mut read = Vec::new();
        let mut everybody = false;
        for text in networks {
            match text.as_ref() {
                "*" => everybody = true,
                text => {
                    let cure = "write \"*\" for everybody";
                    read.push(narrow_network("Metrics: allow", text, "so everybody could read them", cure)?);
                }
            }
        }
        self.allowed = match (everybody, read.is_empty()) {
            (true, true) => Allowed::Everybody,
            (false, false) => Allowed::Networks(read.into()),
            (true, false) => {
                return Err(
                    ConfigError::new("Metrics: allow holds \"*\" and others").cure("write it alone, or the others")
                );
            }
            (false, true) => {
                return Err(ConfigError::new("Metrics: allow is empty, so nobody could read them")
                    .cure("name networks, as 10.0.0.0/8, or leave it out for private ones"));
            }
        };
        Ok(())
    }

    /// Whether the answer to a request are the metrics.
    pub(super) fn admits<B>(&self, request: &Request<B>, peer: &impl Peer) -> bool {
        if request.uri().path() != &*self.path || !matches!(*request.method(), Method::GET | Method::HEAD) {
            return false;
        }
        if matches!(self.allowed, Allowed::Everybody) {
            return true;
        }
        let client = client(request, peer);
        let admitted = client.is_some_and(|client| self.knows(client.to_canonical()));
        if !admitted {
            tracing::debug!(
                client = client.map(tracing::field::display),
                "metrics were not given to who is not allowed"
            );
        }
        admitted
    }

    fn knows(&self, client: IpAddr) -> bool {
        match (&self.allowed, client) {
            (Allowed::Networks(networks), _) => networks.iter().any(|network| network.contains(&client)),
            (_, IpAddr::V4(own)) => own.is_loopback() || own.is_private() || own.is_link_local(),
            (_, IpAddr::V6(own)) => own.is_loopback() || own.is_unique_local() || own.is_unicast_link_local(),
        }
    }
}

/// Who asks; none where that is not known, also because a proxy stands between that nobody has named.
pub(crate) fn client<B>(request: &Request<B>, peer: &impl Peer) -> Option<IpAddr> {
    let peer = peer.peer(request.extensions()).map(|peer| peer.to_canonical());
    match request.extensions().get::<ClientIp>() {
        Some(ClientIp(client)) if Some(*client) != peer => Some(*client),
        _ => peer.filter(|_| !is_forwarded(request.headers())),
    }
}

fn is_forwarded(headers: &HeaderMap) -> bool {
    let is_of_proxy = |name: &HeaderName| name.as_str().starts_with("x-forwarded-") || name == "x-real-ip";
    [FORWARDED, VIA].iter().any(|name| headers.contains_key(name)) || headers.keys().any(is_of_proxy)
}
