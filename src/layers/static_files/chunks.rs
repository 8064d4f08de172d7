use std::fs::File;
use std::future::Future;
use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::task::{JoinHandle, spawn_blocking};

use super::answer::CHUNK;
use super::buffers;

/// A file that is read while it is sent, on threads that may wait for disks.
#[derive(Debug)]
pub(super) struct Chunks {
    /// What is still to be sent.
    left: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    Idle(File),
    Reading(JoinHandle<io::Result<(File, Bytes)>>),
    /// Failed, or handed out and not come back.
    Over,
}

impl Chunks {
    /// The next `length` bytes of `file`.
    pub(super) fn new(file: File, length: u64) -> Self {
        Self { left: length, state: State::Idle(file) }
    }

    pub(super) fn left(&self) -> u64 {
        self.left
    }

    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            match std::mem::replace(&mut self.state, State::Over) {
                State::Idle(mut file) if self.left > 0 => {
                    let length = self.left.min(CHUNK);
                    self.state =
                        State::Reading(spawn_blocking(move || read(&mut file, length).map(|bytes| (file, bytes))));
                }
                State::Reading(mut reading) => {
                    let Poll::Ready(done) = Pin::new(&mut reading).poll(cx) else {
                        self.state = State::Reading(reading);
                        return Poll::Pending;
                    };
                    // A read that is not finished belongs to a runtime that ends.
                    let (file, bytes) = done.map_err(io::Error::other).flatten()?;
                    self.left -= bytes.len() as u64;
                    self.state = State::Idle(file);
                    return Poll::Ready(Some(Ok(bytes)));
                }
                State::Idle(_) | State::Over => return Poll::Ready(None),
            }
        }
    }
}

/// The next `length` bytes.
///
/// # Errors
/// When there are fewer: the file became shorter since its length was told, and nothing that is sent now could be right.
pub(super) fn read(file: &mut File, length: u64) -> io::Result<Bytes> {
    // A small file has room of its own size.
    let is_small = length <= CHUNK / 2;
    let mut bytes =
        if is_small { Vec::with_capacity(usize::try_from(length).unwrap_or_default()) } else { buffers::take() };
    file.take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == length {
        return Ok(if is_small { bytes.into() } else { buffers::filled(bytes) });
    }
    Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter while it was sent"))
}
