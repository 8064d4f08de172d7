//! Who the client is, and who it never is.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::mpsc;

use tower::{ServiceExt, service_fn};
use tower_layer::Layer;
use ziggurat::layers::client_ip::{ForwardedHeader, Peer};
use ziggurat::layers::{ClientIp, ClientIpLayer};
use ziggurat::{Request, Response};

use crate::support::get;

/// What the inner service sees of a request over a connection from `peer`.
async fn seen<P: Peer + Clone>(layer: ClientIpLayer<P>, peer: &str, headers: &[(&str, &str)]) -> String {
    let (tell, told) = mpsc::channel();
    let inner = service_fn(move |request: Request| {
        tell.send(request.extensions().get::<ClientIp>().copied()).unwrap();
        std::future::ready(Ok::<Response, Infallible>(Response::default()))
    });
    let mut request = get("/", &[]);
    for (name, value) in headers {
        let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
        request.headers_mut().append(name, http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    if !peer.is_empty() {
        request.extensions_mut().insert(SocketAddr::new(peer.parse().unwrap(), 4711));
    }
    layer.layer(inner).oneshot(request).await.unwrap();
    told.recv().unwrap().map_or_else(|| "nobody".to_owned(), |client| client.0.to_string())
}

fn trusting() -> ClientIpLayer {
    ClientIpLayer::new().trusted(["10.0.0.0/8", "203.0.113.9", "2001:db8:ffff::/48"]).unwrap()
}

#[tokio::test]
async fn a_peer_that_is_not_trusted_is_the_client_whatever_it_says() {
    let says = [("x-forwarded-for", "198.51.100.7"), ("forwarded", "for=198.51.100.7"), ("x-real-ip", "198.51.100.7")];
    for header in [ForwardedHeader::XForwardedFor, ForwardedHeader::Forwarded] {
        for peer in ["192.0.2.1", "10.0.0.1", "127.0.0.1", "::1"] {
            assert_eq!(seen(ClientIpLayer::new().header(header), peer, &says).await, peer);
        }
        for peer in ["192.0.2.1", "11.0.0.0", "9.255.255.255", "203.0.113.8", "2001:db8:fffe::1", "::a00:1"] {
            assert_eq!(seen(trusting().header(header), peer, &says).await, peer);
        }
        // It is not known who sends it.
        assert_eq!(seen(trusting().header(header), "", &says).await, "nobody");
    }
    let one = ClientIpLayer::new().trusted(["10.0.0.1"]).unwrap();
    assert_eq!(seen(one.clone(), "10.0.0.2", &says).await, "10.0.0.2");
    assert_eq!(seen(one, "10.0.0.1", &says).await, "198.51.100.7");
}

#[tokio::test]
async fn the_first_from_the_right_that_is_not_trusted_is_the_client() {
    let cases: [(&[&str], &str); 16] = [
        (&[], "10.0.0.1"),
        (&[""], "10.0.0.1"),
        (&[" , ,"], "10.0.0.1"),
        (&["198.51.100.7"], "198.51.100.7"),
        (&["  198.51.100.7\t"], "198.51.100.7"),
        // The client wrote what is further left.
        (&["192.0.2.66, 198.51.100.7"], "198.51.100.7"),
        (&["10.0.0.9,198.51.100.7,10.0.0.2 , ,203.0.113.9,"], "198.51.100.7"),
        (&["198.51.100.7, 2001:db8:ffff::1"], "198.51.100.7"),
        (&["2001:DB8::7"], "2001:db8::7"),
        // All are ours: the one that began it.
        (&["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        // Lines are one list.
        (&["192.0.2.66", "198.51.100.7", "10.0.0.2"], "198.51.100.7"),
        (&["198.51.100.7, 10.0.0.3", "", "10.0.0.2"], "198.51.100.7"),
        (&["198.51.100.7:1234"], "198.51.100.7"),
        (&["[2001:db8::7]"], "2001:db8::7"),
        (&["[2001:db8::7]:1234, 10.0.0.2:80"], "2001:db8::7"),
        (&["::ffff:198.51.100.7, ::ffff:10.0.0.2, [::ffff:a00:3]:1"], "198.51.100.7"),
    ];
    for (lines, client) in cases {
        let headers: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
        assert_eq!(seen(trusting(), "10.0.0.1", &headers).await, client, "{lines:?}");
        // As a socket that takes both kinds tells IPv4 addresses.
        assert_eq!(seen(trusting(), "::ffff:10.0.0.1", &headers).await, client, "{lines:?}");
    }
}

#[tokio::test]
async fn what_is_no_address_ends_the_walk_at_the_last_that_is_trusted() {
    let bad = [
        "unknown",
        "_hidden",
        "localhost",
        "proxy.example",
        "198.51.100",
        "198.51.100.256",
        "198.051.100.7",
        "0xC6336407",
        "198.51.100.7/32",
        "198.51.100.7:",
        "198.51.100.7:http",
        "198.51.100.7:123456",
        "198.51.100.7:-1",
        "198.51.100.7:1:2",
        "198.51.100.7 x",
        "198.51.100.7;x",
        "\"198.51.100.7\"",
        "2001:db8::7::1",
        "[2001:db8::7",
        "2001:db8::7]",
        "[2001:db8::7]x",
        "[2001:db8::7]:",
        "[198.51.100.7]",
        "[]",
        ":80",
        "fe80::1%eth0",
        "[fe80::1%25eth0]",
        "for=198.51.100.7",
        "caf\u{e9}",
        "*",
        "-",
    ];
    for entry in bad {
        let list = format!("192.0.2.66, 10.0.0.3, {entry}, 10.0.0.2");
        assert_eq!(seen(trusting(), "10.0.0.1", &[("x-forwarded-for", &list)]).await, "10.0.0.2", "{entry}");
        assert_eq!(seen(trusting(), "10.0.0.1", &[("x-forwarded-for", entry)]).await, "10.0.0.1", "{entry}");
    }
}

#[tokio::test]
async fn forwarded_is_read_as_its_standard_says() {
    let cases: [(&[&str], &str); 21] = [
        (&["for=198.51.100.7"], "198.51.100.7"),
        (&["For=198.51.100.7;proto=https;by=203.0.113.43"], "198.51.100.7"),
        (&["proto=http; by=_me ;\tFOR=\"198.51.100.7:80\""], "198.51.100.7"),
        (&["for=\"[2001:db8::7]\""], "2001:db8::7"),
        (&["for=\"[2001:db8::7]:4711\""], "2001:db8::7"),
        (&["for=\"198.51.100.7:_port-1.x\";;"], "198.51.100.7"),
        (&["for=192.0.2.66, for=198.51.100.7 , for=10.0.0.2;host=\"a;b=\\\"c\""], "198.51.100.7"),
        (&["for=192.0.2.66", "for=198.51.100.7", "for=10.0.0.2,"], "198.51.100.7"),
        (&["for=\"[::ffff:198.51.100.7]\""], "198.51.100.7"),
        // What a client leaves open does not swallow what a proxy adds.
        (&["for=\", for=198.51.100.7"], "198.51.100.7"),
        (&["for=\"", "for=198.51.100.7"], "198.51.100.7"),
        (&["for=192.0.2.66;x=\"\\, for=198.51.100.7, for=\"10.0.0.2\""], "198.51.100.7"),
        // What a client gets a proxy to quote is no element.
        (&["for=192.0.2.66;host=\"a, for=192.0.2.67\""], "10.0.0.1"),
        (&["for=192.0.2.66;host=\"a, for=192.0.2.67, b\""], "10.0.0.1"),
        (&["for=192.0.2.66;host=\"a, for=192.0.2.67;x=\\\"\""], "10.0.0.1"),
        (&["for=198.51.100.7, proto=https"], "10.0.0.1"),
        (&["for=198.51.100.7, for=_hidden, for=10.0.0.2"], "10.0.0.2"),
        (&["for=198.51.100.7, for=unknown, for=10.0.0.2"], "10.0.0.2"),
        (&["for=198.51.100.7, for=10.0.0.3;for=10.0.0.4"], "10.0.0.1"),
        (&["for=198.51.100.7, 10.0.0.3"], "10.0.0.1"),
        (&[";"], "10.0.0.1"),
    ];
    let layer = trusting().header(ForwardedHeader::Forwarded);
    for (lines, client) in cases {
        let mut headers: Vec<_> = lines.iter().map(|line| ("forwarded", *line)).collect();
        headers.push(("x-forwarded-for", "192.0.2.99"));
        assert_eq!(seen(layer.clone(), "10.0.0.1", &headers).await, client, "{lines:?}");
    }
    for element in [
        "for",
        "for=",
        "for=\"\"",
        "=198.51.100.7",
        "for =198.51.100.7",
        "for= 198.51.100.7",
        "for=198.51.100.7:80",
        "for=[2001:db8::7]",
        "for=\"2001:db8::7\"",
        "for=\"198.51.100.7",
        "for=\"198.51.100.7\"x",
        "for=198.51.100.7 by=x",
        "for=198.51.100.7;by",
        "for=198.51.100.7;by=",
        "for=198.51.100.7;b\"y=x",
        "for=\"198.51.100.7:_\"",
        "for=\"198.51.100.7:_a b\"",
        "for=\"[fe80::1%eth0]\"",
        "for=\"198\\.51.100.7\"",
        "for=198.51.100.7;x=\"\\\"",
        "for='198.51.100.7'",
        "for=caf\u{e9}",
    ] {
        let list = format!("for=192.0.2.66, {element}, for=10.0.0.2");
        assert_eq!(seen(layer.clone(), "10.0.0.1", &[("forwarded", &list)]).await, "10.0.0.2", "{element}");
    }
    // The other header is not looked at either way.
    assert_eq!(seen(trusting(), "10.0.0.1", &[("forwarded", "for=198.51.100.7")]).await, "10.0.0.1");
}

#[tokio::test]
async fn proxies_without_fixed_addresses_are_counted() {
    let list = [("x-forwarded-for", "192.0.2.66, 198.51.100.7, 198.51.100.8, 10.0.0.2")];
    for (hops, client) in
        [(0, "203.0.113.1"), (1, "10.0.0.2"), (2, "198.51.100.8"), (3, "198.51.100.7"), (32, "192.0.2.66")]
    {
        assert_eq!(seen(ClientIpLayer::new().hops(hops).unwrap(), "203.0.113.1", &list).await, client);
    }
    // Known ones beyond those.
    let both = trusting().hops(1).unwrap();
    assert_eq!(seen(both.clone(), "203.0.113.1", &list).await, "198.51.100.8");
    // A Unix socket's other end has no address, and is the proxy all the same.
    assert_eq!(seen(both.clone(), "", &list).await, "198.51.100.8");
    assert_eq!(seen(both.clone(), "", &[("x-forwarded-for", "_x")]).await, "nobody");
    assert_eq!(seen(both, "", &[]).await, "nobody");
    let error = ClientIpLayer::new().hops(33).unwrap_err().to_string();
    assert!(error.contains("hops is 33") && error.contains("from 0 to 32"), "{error}");
}

#[tokio::test]
async fn a_list_without_end_is_looked_at_in_part() {
    let trusted: Vec<_> = (0..40).rev().map(|n| format!("10.0.1.{n}")).collect();
    let list = format!("198.51.100.7, {}", trusted.join(", "));
    assert_eq!(seen(trusting(), "10.0.0.1", &[("x-forwarded-for", &list)]).await, "10.0.1.31");
    let gap = format!("198.51.100.7{}", ",".repeat(40));
    assert_eq!(seen(trusting(), "10.0.0.1", &[("x-forwarded-for", &gap)]).await, "10.0.0.1");
}

#[tokio::test]
async fn the_peer_is_found_where_one_says() {
    let elsewhere = |extensions: &http::Extensions| extensions.get::<SocketAddr>().map(|_| IpAddr::from([10, 0, 0, 1]));
    let layer = trusting().peer(elsewhere);
    assert_eq!(seen(layer.clone(), "192.0.2.1", &[("x-forwarded-for", "198.51.100.7")]).await, "198.51.100.7");
    assert_eq!(seen(layer, "", &[("x-forwarded-for", "198.51.100.7")]).await, "nobody");
}

#[test]
fn networks_are_written_in_one_way() {
    for text in [
        "",
        "*",
        "proxy.example",
        "10.0.0",
        "10.0.0.0/33",
        "10.0.0.0/",
        "/8",
        "10.0.0.0/08",
        "10.0.0.0/+8",
        "10.0.0.0/255.0.0.0",
        "10.0.0.0/8/8",
        "010.0.0.0/8",
        " 10.0.0.0/8",
        "10.0.0.1:80",
        "[::1]",
        "::/129",
        "fe80::1%eth0",
        "10.0.0.0-10.0.0.9",
    ] {
        let error = ClientIpLayer::new().trusted([text]).unwrap_err().to_string();
        assert!(error.starts_with(&format!("ClientIp: trusted holds {text:?}, which is no network; write")), "{error}");
    }
    for (text, cure) in [
        ("10.0.0.1/8", "write 10.0.0.0/8 for the network, 10.0.0.1 for the one address"),
        ("2001:db8::1/32", "write 2001:db8::/32 for the network, 2001:db8::1 for the one address"),
        ("::ffff:0:0/95", "has bits beyond its prefix"),
        ("0.0.0.0/0", "so clients could name any address themselves; name the networks of your proxies"),
        ("::/0", "say with hops how many there are"),
        ("::ffff:0:0/96", "so clients could name any address themselves"),
    ] {
        let error = ClientIpLayer::new().trusted([text]).unwrap_err().to_string();
        assert!(error.contains(cure), "{error}");
    }
    let none: [&str; 0] = [];
    assert!(ClientIpLayer::new().trusted(none).is_ok());
}

#[tokio::test]
async fn networks_of_mapped_addresses_are_ipv4() {
    let layer = ClientIpLayer::new().trusted(["::ffff:10.0.0.0/104", "::ffff:203.0.113.9"]).unwrap();
    let list = [("x-forwarded-for", "198.51.100.7, 203.0.113.9")];
    assert_eq!(seen(layer.clone(), "10.0.0.1", &list).await, "198.51.100.7");
    assert_eq!(seen(layer.clone(), "::ffff:10.0.0.1", &list).await, "198.51.100.7");
    assert_eq!(seen(layer, "11.0.0.1", &list).await, "11.0.0.1");
}
