//! The PROXY protocol: a proxy that hands bytes on says first whose they are.
//!
//! Versions 1 and 2 of <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>. What version 2 may add to the addresses is
//! passed over, checksums as well.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt};

/// What version 2 begins with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// The shortest header of both versions: `PROXY UNKNOWN` and the end of the line. So much can be read without taking anything of
/// what follows.
const SHORTEST: usize = 15;
/// The longest line of version 1.
const LONGEST_LINE: usize = 107;
/// What version 2 may add; the certificates that some proxies hand on fit in.
const LONGEST_BLOCK: usize = 4096;

/// Reads a header and nothing after it: the address of the client, or none when the proxy speaks for itself.
///
/// # Errors
/// When it is none, and for what reading fails with.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<SocketAddr>> {
    let mut first = [0; SHORTEST];
    stream.read_exact(&mut first).await?;
    if first.starts_with(SIGNATURE) {
        let [.., version, family, high] = first;
        let length = u16::from_be_bytes([high, stream.read_u8().await?]).into();
        if length > LONGEST_BLOCK {
            return Err(malformed());
        }
        let mut block = vec![0; length];
        stream.read_exact(&mut block).await?;
        return binary(version, family, &block).ok_or_else(malformed);
    }
    if !first.starts_with(b"PROXY ") {
        return Err(malformed());
    }
    let mut line = Vec::with_capacity(LONGEST_LINE);
    line.extend_from_slice(&first);
    // Byte by byte: it is not known how many belong to it, and what follows is for others to read.
    while !line.ends_with(b"\r\n") {
        if line.len() == LONGEST_LINE {
            return Err(malformed());
        }
        line.push(stream.read_u8().await?);
    }
    text(&line).ok_or_else(malformed)
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "malformed PROXY header")
}

/// Of version 1; the outer none is what is malformed.
fn text(line: &[u8]) -> Option<Option<SocketAddr>> {
    let line = line.strip_suffix(b"\r\n")?;
    if let Some(rest) = line.strip_prefix(b"PROXY UNKNOWN") {
        // Whatever comes then.
        return (rest.is_empty() || rest.starts_with(b" ")).then_some(None);
    }
    let mut words = std::str::from_utf8(line).ok()?.split(' ').skip(1);
    let mut next = || words.next();
    let (family, source, destination) = (next()?, next()?, next()?);
    let (source_port, destination_port) = (next()?, next()?);
    if next().is_some() {
        return None;
    }
    port(destination_port)?;
    let source = match family {
        "TCP4" => destination.parse::<Ipv4Addr>().ok().and(source.parse::<Ipv4Addr>().ok())?.into(),
        "TCP6" => destination.parse::<Ipv6Addr>().ok().and(source.parse::<Ipv6Addr>().ok())?.into(),
        _ => return None,
    };
    Some(Some(SocketAddr::new(source, port(source_port)?)))
}

fn port(text: &str) -> Option<u16> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_plain)
}

/// Of version 2; the outer none is what is malformed.
fn binary(version: u8, family: u8, block: &[u8]) -> Option<Option<SocketAddr>> {
    match (version, family) {
        // Its own, as for a health check.
        (0x20, _) => Some(None),
        (0x21, 0x11) => {
            let (source, rest) = block.split_first_chunk::<4>()?;
            Some(Some((*source, source_port(rest.split_first_chunk::<4>()?.1)?).into()))
        }
        (0x21, 0x21) => {
            let (source, rest) = block.split_first_chunk::<16>()?;
            Some(Some((*source, source_port(rest.split_first_chunk::<16>()?.1)?).into()))
        }
        // Nothing that a client of HTTP has: not told, datagrams, the sockets of one machine.
        (0x21, 0x00 | 0x12 | 0x22 | 0x31 | 0x32) => Some(None),
        _ => None,
    }
}

/// The first of both.
fn source_port(ports: &[u8]) -> Option<u16> {
    ports.first_chunk::<4>().map(|[high, low, ..]| u16::from_be_bytes([*high, *low]))
}
