//! What proxies say of a connection before it begins, and what others may not.

use std::time::Duration;

use crate::support::*;

const SHORT: Duration = Duration::from_millis(250);
const REQUEST: &str = "GET /peer HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";

async fn behind() -> Running {
    start(server().proxy_protocol(["127.0.0.0/8"]).unwrap()).await
}

/// The header of version 2.
fn v2(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend([command, family]);
    header.extend(u16::try_from(block.len()).unwrap().to_be_bytes());
    header.extend(block);
    header
}

fn tcp4() -> Vec<u8> {
    [&[192, 0, 2, 1, 203, 0, 113, 1][..], &4711_u16.to_be_bytes(), &443_u16.to_be_bytes()].concat()
}

fn tcp6() -> Vec<u8> {
    let source: std::net::Ipv6Addr = "2001:db8::1".parse().unwrap();
    [&source.octets()[..], &[0; 16], &4711_u16.to_be_bytes(), &443_u16.to_be_bytes()].concat()
}

/// Whom the application sees behind this header; none when the connection is closed without a word.
async fn seen(server: &Running, header: &[u8]) -> Option<String> {
    let answer = server.exchange([header, REQUEST.as_bytes()].concat()).await;
    if answer.is_empty() {
        return None;
    }
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    Some(answer.rsplit("\r\n\r\n").next().unwrap().split(' ').next().unwrap().to_owned())
}

#[tokio::test]
async fn the_peer_is_whom_the_proxy_names() -> Outcome {
    let server = behind().await;
    for (header, peer) in [
        ("PROXY TCP4 192.0.2.1 203.0.113.1 4711 443\r\n", "192.0.2.1:4711"),
        ("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535"),
        ("PROXY TCP4 192.0.2.1 203.0.113.1 0 0\r\n", "192.0.2.1:0"),
        ("PROXY TCP6 2001:DB8::1 ::1 4711 443\r\n", "[2001:db8::1]:4711"),
        (
            "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
            "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
        ),
    ] {
        assert_eq!(seen(&server, header.as_bytes()).await.as_deref(), Some(peer), "{header}");
    }
    let added = |block: Vec<u8>, bytes: usize| [block, vec![b'\n'; bytes]].concat();
    assert_eq!(seen(&server, &v2(0x21, 0x11, &tcp4())).await.as_deref(), Some("192.0.2.1:4711"));
    assert_eq!(seen(&server, &v2(0x21, 0x11, &added(tcp4(), 84))).await.as_deref(), Some("192.0.2.1:4711"));
    assert_eq!(seen(&server, &v2(0x21, 0x21, &tcp6())).await.as_deref(), Some("[2001:db8::1]:4711"));
    assert_eq!(seen(&server, &v2(0x21, 0x21, &added(tcp6(), 4060))).await.as_deref(), Some("[2001:db8::1]:4711"));
    Ok(())
}

#[tokio::test]
async fn a_proxy_may_speak_for_itself() -> Outcome {
    let server = behind().await;
    let unknown = format!("PROXY UNKNOWN {}\r\n", "x".repeat(91));
    assert_eq!(unknown.len(), 107);
    for header in [
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY UNKNOWN \xff 1 2\r\n".to_vec(),
        unknown.into_bytes(),
        v2(0x20, 0x00, b""),
        v2(0x20, 0x11, &tcp4()),
        v2(0x20, 0xff, b"anything"),
        v2(0x21, 0x00, b"anything"),
        v2(0x21, 0x12, &tcp4()),
        v2(0x21, 0x22, &tcp6()),
        v2(0x21, 0x31, &[0; 216]),
    ] {
        let peer = seen(&server, &header).await.unwrap_or_else(|| panic!("{header:?}"));
        assert!(peer.starts_with("127.0.0.1:"), "{peer}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_no_header_closes_the_connection() -> Outcome {
    let server = behind().await;
    for header in [
        "",
        "\r\n",
        "PROXY \r\n",
        "PROXY\r\n",
        "PROXY TCP4 192.0.2.1 203.0.113.1 4711\r\n",
        "PROXY TCP4 192.0.2.1 203.0.113.1 4711 443 1\r\n",
        "PROXY TCP4 192.0.2.1 203.0.113.1 4711 443 \r\n",
        "PROXY TCP4  192.0.2.1 203.0.113.1 4711 443\r\n",
        "PROXY  TCP4 192.0.2.1 203.0.113.1 4711 443\r\n",
        "PROXY TCP4 192.0.2.1 203.0.113.1 4711 443\n",
        "PROXY TCP4 192.0.2.1 203.0.113.1 4711 443\r",
        "PROXY TCP4 192.0.2.1\n203.0.113.1 4711 443\r\n",
        "PROXY TCP4 192.0.2.1 203.0.113.1 04711 443\r\n",
        "PROXY TCP4 192.0.2.1 203.0.113.1 4711 +443\r\n",
        "PROXY TCP4 192.0.2.1 203.0.113.1 65536 443\r\n",
        "PROXY TCP4 192.0.2.1 203.0.113.1 -1 443\r\n",
        "PROXY TCP4 192.0.2.001 203.0.113.1 4711 443\r\n",
        "PROXY TCP4 192.0.2.256 203.0.113.1 4711 443\r\n",
        "PROXY TCP4 192.0.2.1 ::1 4711 443\r\n",
        "PROXY TCP4 ::1 203.0.113.1 4711 443\r\n",
        "PROXY TCP6 192.0.2.1 203.0.113.1 4711 443\r\n",
        "PROXY TCP6 fe80::1%eth0 ::1 4711 443\r\n",
        "PROXY TCP5 192.0.2.1 203.0.113.1 4711 443\r\n",
        "PROXY UDP4 192.0.2.1 203.0.113.1 4711 443\r\n",
        "PROXY UNKNOWNS\r\n",
        "proxy tcp4 192.0.2.1 203.0.113.1 4711 443\r\n",
    ] {
        assert_eq!(seen(&server, header.as_bytes()).await, None, "{header:?}");
    }
    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(92));
    assert_eq!(seen(&server, long.as_bytes()).await, None);
    for (command, family, block) in [
        (0x11, 0x11, tcp4()),
        (0x31, 0x11, tcp4()),
        (0x22, 0x11, tcp4()),
        (0x21, 0x11, tcp4()[..11].to_vec()),
        (0x21, 0x21, tcp6()[..35].to_vec()),
        (0x21, 0x13, tcp4()),
        (0x21, 0x41, tcp4()),
        (0x21, 0x01, tcp4()),
        (0x21, 0x11, vec![0; 4097]),
    ] {
        assert_eq!(seen(&server, &v2(command, family, &block)).await, None, "{command:x} {family:x} {}", block.len());
    }
    let mut signature = v2(0x21, 0x11, &tcp4());
    signature[7] = b'q';
    assert_eq!(seen(&server, &signature).await, None);
    Ok(())
}

#[tokio::test]
async fn a_header_may_come_in_pieces_and_takes_nothing_of_what_follows() -> Outcome {
    let server = behind().await;
    for header in [b"PROXY TCP4 192.0.2.1 203.0.113.1 4711 443\r\n".to_vec(), v2(0x21, 0x11, &tcp4())] {
        let mut client = server.connect().await;
        client.stream.set_nodelay(true)?;
        for byte in &header {
            client.send([*byte]).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        for _ in 0..2 {
            let answer = client.get("/peer").await;
            assert_eq!((answer.status, answer.body.split(' ').next()), (200, Some("192.0.2.1:4711")));
        }
        // One for each connection.
        client.send([&header, REQUEST.as_bytes()].concat()).await;
        let answer = client.rest().await;
        assert!(answer.starts_with("HTTP/1.1 400") || answer.is_empty(), "{answer}");
    }
    Ok(())
}

#[tokio::test]
async fn http2_follows_as_well() -> Outcome {
    let server = behind().await;
    let mut client = server.connect().await;
    client.send("PROXY TCP4 192.0.2.1 203.0.113.1 4711 443\r\n").await;
    let io = hyper_util::rt::TokioIo::new(client.stream);
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(hyper_util::rt::TokioExecutor::new(), io).await?;
    tokio::spawn(connection);
    let request = http::Request::get("http://test/peer").body(http_body_util::Empty::<bytes::Bytes>::new())?;
    let response = within(sender.send_request(request)).await?;
    let body = http_body_util::BodyExt::collect(response.into_body()).await?.to_bytes();
    assert!(body.starts_with(b"192.0.2.1:4711 "), "{body:?}");
    Ok(())
}

#[tokio::test]
async fn nobody_else_may_say_who_they_are() -> Outcome {
    let header = "PROXY TCP4 192.0.2.1 203.0.113.1 4711 443\r\n";
    for builder in [server(), server().proxy_protocol(["10.0.0.0/8", "::1"])?] {
        let server = start(builder).await;
        let mut client = server.connect().await;
        let answer = client.get("/peer").await;
        assert_eq!(answer.body.split(' ').next(), Some(&*client.stream.local_addr()?.to_string()));
        for header in [header.as_bytes(), &v2(0x21, 0x11, &tcp4())] {
            let answer = server.exchange([header, REQUEST.as_bytes()].concat()).await;
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_header_that_does_not_come_is_not_waited_for() -> Outcome {
    let server = start(server().proxy_protocol(["127.0.0.1"])?.first_byte_timeout(SHORT)).await;
    for begun in ["", "PROXY TCP4 192.0.2.1 "] {
        let mut client = server.connect().await;
        client.send(begun).await;
        let took = client.closed_after().await;
        assert!(took > SHORT / 2 && took < Duration::from_secs(5), "{took:?}");
    }
    // However it trickles.
    let mut client = server.connect().await;
    let begin = std::time::Instant::now();
    for byte in b"PROXY UNKNOWN and so on".iter().cycle() {
        if tokio::io::AsyncWriteExt::write_all(&mut client.stream, &[*byte]).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(begin.elapsed() < Duration::from_secs(5));
    Ok(())
}

#[tokio::test]
async fn a_server_that_stops_does_not_wait_for_headers() -> Outcome {
    let server = start(server().proxy_protocol(["127.0.0.1"])?.drain_timeout(Duration::from_secs(60))).await;
    let mut client = server.connect().await;
    client.send("PROXY").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let begin = std::time::Instant::now();
    assert_eq!(server.drained().await.dropped, 0);
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert_eq!(client.rest().await, "");
    Ok(())
}

#[test]
fn networks_of_proxies_are_checked() {
    for (text, what) in [
        ("proxy.example", "is no network; write an address as 10.0.0.7"),
        ("127.0.0.1/8", "has bits beyond its prefix; write 127.0.0.0/8"),
        ("0.0.0.0/0", "clients could name any address themselves; name the networks of your proxies"),
    ] {
        let error = server().proxy_protocol([text]).unwrap_err().to_string();
        assert!(error.starts_with(&format!("proxy_protocol holds {text:?}")) && error.contains(what), "{error}");
    }
}
