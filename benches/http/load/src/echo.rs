//! A client of WebSockets: sends a text, and the next one when it has come back.

use std::io;
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{Counts, ask};

const TEXT: &[u8; 32] = b"the same text as it was sent ...";
const MASK: [u8; 4] = [0x12, 0x34, 0x56, 0x78];
const IS_LAST_TEXT: u8 = 0x81;
const IS_MASKED: u8 = 0x80;

pub(crate) async fn client(port: u16, path: &str, counts: &Counts) -> io::Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    let mut read = ask(&mut stream, &head, "101").await?;
    let mut frame = vec![IS_LAST_TEXT, IS_MASKED | TEXT.len() as u8];
    frame.extend_from_slice(&MASK);
    frame.extend(TEXT.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    let mut buffer = [0; 256];
    let mut is_first = true;
    loop {
        let sent = Instant::now();
        stream.write_all(&frame).await?;
        loop {
            if let Some(text) = take(&mut read) {
                if text != TEXT {
                    return Err(io::Error::other("another text came back"));
                }
                break;
            }
            match stream.read(&mut buffer).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => read.extend_from_slice(&buffer[..count]),
            }
        }
        match is_first {
            true => counts.is_ready(),
            false => counts.answered(TEXT.len(), sent.elapsed()),
        }
        is_first = false;
    }
}

/// The next text that has come whole; what is no text, as a ping, is passed over.
fn take(read: &mut Vec<u8>) -> Option<Vec<u8>> {
    loop {
        let [kind, length, ..] = read[..] else { return None };
        let end = 2 + usize::from(length & 0x7f);
        if read.len() < end {
            return None;
        }
        let content = read[2..end].to_vec();
        read.drain(..end);
        if kind == IS_LAST_TEXT {
            return Some(content);
        }
    }
}
