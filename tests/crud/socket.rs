//! A resource behind the crate's own server, and a client that sends what it likes, byte by byte.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use ziggurat::service::server::Server;

use crate::support::{Answer, App};

/// Listens as long as it lives.
pub struct Listening {
    pub addr: SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl App {
    /// On a port of its own.
    pub fn listen(&self) -> Listening {
        let bound = Server::builder().port(0).build().unwrap().bind().unwrap();
        let addr = bound.local_addr();
        let (stop, stopped) = oneshot::channel::<()>();
        let service = self.dispatcher.clone();
        tokio::spawn(async move { bound.serve(service, async { drop(stopped.await) }).await.unwrap() });
        Listening { addr, _stop: stop }
    }
}

/// A connection that is made anew when it was closed.
pub struct Client {
    addr: SocketAddr,
    stream: Option<TcpStream>,
}

impl Client {
    pub fn new(addr: SocketAddr) -> Self {
        Self { addr, stream: None }
    }

    /// Sends one request and reads its answer; after a failure the next one is sent on a new connection.
    pub async fn send(
        &mut self,
        method: &str,
        target: impl AsRef<[u8]>,
        headers: &[(&str, &[u8])],
        body: impl AsRef<[u8]>,
    ) -> Result<Answer> {
        let body = body.as_ref();
        let mut bytes = [method.as_bytes(), b" ", target.as_ref(), b" HTTP/1.1\r\nhost: test\r\n"].concat();
        for (name, value) in headers {
            bytes.extend_from_slice(&[name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
        bytes.extend_from_slice(body);
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => TcpStream::connect(self.addr).await?,
        };
        stream.write_all(&bytes).await?;
        let (answer, left) = read(&mut stream).await?;
        assert!(left.is_empty(), "more than one answer: {}", String::from_utf8_lossy(&left));
        // Of what is too long nobody reads the rest, so such a connection ends.
        if answer.header("connection") != "close" && ![413, 414, 431].contains(&answer.status.as_u16()) {
            self.stream = Some(stream);
        }
        Ok(answer)
    }
}

/// One answer of a known length, and what came after it.
async fn read(stream: &mut TcpStream) -> Result<(Answer, Vec<u8>)> {
    let mut buffer = Vec::new();
    let end = loop {
        if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        more(stream, &mut buffer).await?;
    };
    let head = String::from_utf8(buffer.drain(..end).collect()).unwrap();
    let mut lines = head.trim_end().split("\r\n");
    let status = StatusCode::from_bytes(&lines.next().unwrap().as_bytes()[9..12]).unwrap();
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("no header: {line:?}"));
        headers.append(HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value).unwrap());
    }
    let length: usize = headers.get("content-length").map_or(0, |value| value.to_str().unwrap().parse().unwrap());
    assert!(!headers.contains_key("transfer-encoding"), "an answer without a length: {head}");
    while buffer.len() < length {
        more(stream, &mut buffer).await?;
    }
    let left = buffer.split_off(length);
    Ok((Answer { status, headers, body: Bytes::from(buffer) }, left))
}

async fn more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<()> {
    match stream.read_buf(buffer).await? {
        0 => Err(Error::from(ErrorKind::UnexpectedEof)),
        _ => Ok(()),
    }
}
