//! Who may see what an app tells of itself while it is developed: who sits at the machine.

use std::net::IpAddr;

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, Request};

use crate::layers::metrics::{ConnectionPeer, client};

/// Whether a request comes from this machine, and means it by a name of its own.
///
/// A page of another site may have its name rebound to a loopback address and then counts as of the same origin; it cannot change what
/// `Host` says.
pub(super) fn is_local<B>(request: &Request<B>) -> bool {
    client(request, &ConnectionPeer).is_some_and(|client| client.to_canonical().is_loopback())
        && means_this_machine(request)
}

fn means_this_machine<B>(request: &Request<B>) -> bool {
    let target = request.uri().host();
    let mut named = request.headers().get_all(HOST).iter();
    let (host, more) = (named.next(), named.next());
    let host = match host.map(|host| host.to_str()) {
        None => None,
        Some(Ok(host)) => Some(without_port(host)),
        Some(Err(_)) => return false,
    };
    more.is_none() && (target.is_some() || host.is_some()) && target.into_iter().chain(host).all(is_loopback)
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => name,
        _ => host,
    }
}

fn is_loopback(host: &str) -> bool {
    let name = host.trim_start_matches('[').trim_end_matches(']');
    match name.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => {
            let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
            // RFC 6761, 6.3: names that resolve to loopback addresses and to nothing else.
            name == "localhost" || name.ends_with(".localhost")
        }
    }
}

/// Whether a request is sent for a page of the same origin, or by no page at all. `Cors` may let others read every answer.
pub(super) fn is_same_origin(headers: &HeaderMap) -> bool {
    is_sent_for(headers, &["same-origin", "none"])
}

/// The same, or for a page on another port of this machine, as a front end that is developed beside the app.
pub(super) fn is_same_site(headers: &HeaderMap) -> bool {
    is_sent_for(headers, &["same-origin", "same-site", "none"])
}

fn is_sent_for(headers: &HeaderMap, sites: &[&str]) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return sites.iter().any(|known| site == known);
    }
    // A browser that does not say it so; programs say neither.
    match headers.get(ORIGIN).map(|origin| origin.to_str()) {
        None => true,
        Some(Ok(origin)) => origin.split_once("://").is_some_and(|(_, host)| is_loopback(without_port(host))),
        Some(Err(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn asked(peer: &str, uri: &str, headers: &[(&'static str, &str)]) -> Request<()> {
        let mut request = Request::get(uri).extension(peer.parse::<SocketAddr>().unwrap());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    }

    #[test]
    fn who_sits_at_the_machine_is_let_in() {
        for (peer, uri, host) in [
            ("127.0.0.1:1", "/", "localhost:8000"),
            ("[::1]:1", "/", "[::1]:8000"),
            ("[::ffff:127.0.0.1]:1", "/", "127.0.0.1"),
            ("127.0.0.9:1", "/", "App.LocalHost."),
            ("127.0.0.1:1", "http://localhost:8000/", "localhost:8000"),
        ] {
            assert!(is_local(&asked(peer, uri, &[("host", host)])), "{peer} {uri} {host}");
        }
        assert!(is_local(&asked("127.0.0.1:1", "http://localhost/", &[])), "HTTP/2");
    }

    #[test]
    fn others_are_not() {
        for (peer, uri, headers) in [
            ("10.0.0.7:1", "/", vec![("host", "localhost")]),
            ("127.0.0.1:1", "/", vec![("host", "evil.example")]),
            ("127.0.0.1:1", "/", vec![("host", "localhost.evil.example")]),
            ("127.0.0.1:1", "/", vec![("host", "notlocalhost")]),
            ("127.0.0.1:1", "http://evil.example/", vec![("host", "localhost")]),
            ("127.0.0.1:1", "/", vec![("host", "localhost"), ("host", "evil.example")]),
            ("127.0.0.1:1", "/", vec![]),
            ("127.0.0.1:1", "/", vec![("host", "localhost"), ("x-forwarded-for", "127.0.0.1")]),
            ("127.0.0.1:1", "/", vec![("host", "localhost"), ("forwarded", "for=127.0.0.1")]),
        ] {
            assert!(!is_local(&asked(peer, uri, &headers)), "{peer} {uri} {headers:?}");
        }
        assert!(
            !is_local(&Request::get("/").header("host", "localhost").body(()).unwrap()),
            "a peer that is not known"
        );
    }

    #[test]
    fn pages_of_other_origins_are_told_apart() {
        for (name, value, origin, site) in [
            ("sec-fetch-site", "same-origin", true, true),
            ("sec-fetch-site", "none", true, true),
            ("sec-fetch-site", "same-site", false, true),
            ("sec-fetch-site", "cross-site", false, false),
            ("origin", "http://localhost:5173", true, true),
            ("origin", "https://evil.example", false, false),
            ("origin", "null", false, false),
            ("accept", "*/*", true, true),
        ] {
            let request = asked("127.0.0.1:1", "/", &[(name, value)]);
            let found = (is_same_origin(request.headers()), is_same_site(request.headers()));
            assert_eq!(found, (origin, site), "{name}: {value}");
        }
    }
}
