//! A client of server-sent events: counts those that have data, and takes the time from one to the next.

use std::io;
use std::time::Instant;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::{Counts, ask};

/// What each event has once.
const FIELD: &[u8] = b"data:";

pub(crate) async fn client(port: u16, path: &str, counts: &Counts) -> io::Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let head = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n");
    let mut found = Found::default();
    let mut last = None;
    let mut take = |bytes: &[u8]| {
        for _ in 0..found.within(bytes) {
            let now = Instant::now();
            match last.replace(now) {
                Some(before) => counts.answered(bytes.len(), now - before),
                None => counts.is_ready(),
            }
        }
    };
    take(&ask(&mut stream, &head, "200").await?);
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => take(&buffer[..count]),
        }
    }
}

/// How much of the field was seen last: it may be cut by the end of what was read.
#[derive(Default)]
struct Found(usize);

impl Found {
    fn within(&mut self, bytes: &[u8]) -> usize {
        let mut times = 0;
        for &byte in bytes {
            self.0 = match byte == FIELD[self.0] {
                true => self.0 + 1,
                false => usize::from(byte == FIELD[0]),
            };
            if self.0 == FIELD.len() {
                (self.0, times) = (0, times + 1);
            }
        }
        times
    }
}
