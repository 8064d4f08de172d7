use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, HeaderName};
use serde_json::Value;

use crate::ConfigError;
use crate::layers::ClientIp;
use crate::layers::client_ip::{ConnectionPeer, Peer};
use crate::service::{Claims, Dispatcher, LeafInfo};

/// Longer values of headers and claims are none: hashing them would cost more than the requests that they are to hold back.
const MAX_VALUE: usize = 1024;

/// What tells those apart who have a quota each.
///
/// Any function of a request's parts is one that gives something that can be hashed, or none when the request has no key.
pub trait Key {
    /// Feeds it to `state`; false when the request has none, and then it shares a quota with those of which the same was fed.
    fn feed<H: Hasher>(&self, request: &Parts, state: &mut H) -> bool;
}

impl<F, T> Key for F
where
    F: Fn(&Parts) -> Option<T>,
    T: Hash,
{
    fn feed<H: Hasher>(&self, request: &Parts, state: &mut H) -> bool {
        self(request).is_some_and(|key| {
            key.hash(state);
            true
        })
    }
}

/// The client's address, the value of a header or a claim, each alone or for each route.
#[derive(Debug, Clone)]
#[must_use]
pub struct By {
    subject: Subject,
    ipv6_prefix: u8,
    route: Option<RouteOf>,
}

#[derive(Debug, Clone)]
enum Subject {
    ClientIp,
    Header(HeaderName),
    Claim(Arc<str>),
}

#[derive(Debug, Clone)]
enum RouteOf {
    /// It was dispatched before it came here.
    Request,
    /// It will be.
    Dispatcher(Dispatcher),
}

impl By {
    /// By the address that [`ClientIp`] tells, else that of the other end of the connection; IPv6 addresses by their first 64
    /// bits, which is what a site is given to choose from.
    pub const fn client_ip() -> Self {
        Self::of(Subject::ClientIp)
    }

    /// By the value of this header. A client that can choose what is in there has as many quotas as it likes.
    pub const fn header(name: HeaderName) -> Self {
        Self::of(Subject::Header(name))
    }

    /// By this claim of the token, or one within others as `realm.tenant`; requests without it by their client's address.
    pub fn claim(name: impl Into<Arc<str>>) -> Self {
        Self::of(Subject::Claim(name.into()))
    }

    const fn of(subject: Subject) -> Self {
        Self { subject, ipv6_prefix: 64, route: None }
    }

    /// Takes so many bits of an IPv6 address.
    ///
    /// # Errors
    /// When it has not so many.
    pub fn ipv6_prefix(mut self, bits: u8) -> Result<Self, ConfigError> {
        if !(1..=128).contains(&bits) {
            return Err(ConfigError::new(format!("RateLimit: ipv6_prefix is {bits}"))
                .cure("give a number of bits from 1 to 128"));
        }
        self.ipv6_prefix = bits;
        Ok(self)
    }

    /// A quota for each route, where the layer is around the leaves of a [`Dispatcher`]: that has told it already.
    pub fn route(mut self) -> Self {
        self.route = Some(RouteOf::Request);
        self
    }

    /// A quota for each route of `dispatcher`, where the layer is around that. What no route answers has one together.
    pub fn route_of(mut self, dispatcher: &Dispatcher) -> Self {
        self.route = Some(RouteOf::Dispatcher(dispatcher.clone()));
        self
    }

    fn feed_address<H: Hasher>(&self, request: &Parts, state: &mut H) -> bool {
        let known = request.extensions.get().map(|ClientIp(address)| *address);
        let Some(address) = known.or_else(|| ConnectionPeer.peer(&request.extensions)) else { return false };
        match address.to_canonical() {
            IpAddr::V4(address) => (0_u8, address.to_bits()).hash(state),
            IpAddr::V6(address) => (1_u8, first(self.ipv6_prefix, address)).hash(state),
        }
        true
    }
}

impl Default for By {
    fn default() -> Self {
        Self::client_ip()
    }
}

impl Key for By {
    fn feed<H: Hasher>(&self, request: &Parts, state: &mut H) -> bool {
        match &self.route {
            None => {}
            Some(RouteOf::Request) => request.extensions.get().map(|leaf: &Arc<LeafInfo>| &*leaf.path).hash(state),
            Some(RouteOf::Dispatcher(dispatcher)) => dispatcher.table().template(request.uri.path()).hash(state),
        }
        match &self.subject {
            Subject::ClientIp => self.feed_address(request, state),
            Subject::Header(name) => feed_header(&request.headers, name, state),
            Subject::Claim(name) => feed_claim(request, name, state) || self.feed_address(request, state),
        }
    }
}

/// One value: of two it is not clear which would count further in.
fn feed_header<H: Hasher>(headers: &HeaderMap, name: &HeaderName, state: &mut H) -> bool {
    let mut values = headers.get_all(name).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    let is_fine = (1..=MAX_VALUE).contains(&value.len());
    if is_fine {
        (2_u8, value.as_bytes()).hash(state);
    }
    is_fine
}

fn feed_claim<H: Hasher>(request: &Parts, name: &str, state: &mut H) -> bool {
    let Some(claims) = request.extensions.get::<Claims>() else { return false };
    let text = |text: &str, state: &mut H| {
        let is_fine = (1..=MAX_VALUE).contains(&text.len());
        if is_fine {
            (3_u8, text).hash(state);
        }
        is_fine
    };
    // Known without reading all of the claims.
    if let Some(subject) = claims.subject().filter(|_| name == "sub") {
        return text(subject, state);
    }
    match claims.get(name) {
        Some(Value::String(value)) => text(value, state),
        Some(value @ (Value::Number(_) | Value::Bool(_))) => {
            (4_u8, value).hash(state);
            true
        }
        _ => false,
    }
}

fn first(bits: u8, address: Ipv6Addr) -> u128 {
    address.to_bits() & u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(u128::MAX)
}
