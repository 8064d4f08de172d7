use std::fs::File;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::task::{JoinHandle, spawn_blocking};

use super::piece::Piece;

/// A file that is read while it is sent: what is in memory at once, and the rest on threads that may wait for disks.
#[derive(Debug)]
pub(super) struct Chunks {
    /// Where the next bytes are.
    at: u64,
    /// What is still to be sent.
    left: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    Idle(File),
    Reading(JoinHandle<io::Result<(File, Piece)>>),
    /// Failed, or handed out and not come back.
    Over,
}

impl Chunks {
    /// The `length` bytes of `file` from `at` on.
    pub(super) fn new(file: File, at: u64, length: u64) -> Self {
        Self { at, left: length, state: State::Idle(file) }
    }

    pub(super) fn left(&self) -> u64 {
        self.left
    }

    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            match std::mem::replace(&mut self.state, State::Over) {
                State::Idle(mut file) if self.left > 0 => {
                    let mut piece = Piece::new(self.at, self.left);
                    if piece.read_cached(&file) {
                        return Poll::Ready(Some(Ok(self.give(file, piece))));
                    }
                    self.state = State::Reading(spawn_blocking(move || piece.read(&mut file).map(|()| (file, piece))));
                }
                State::Reading(mut reading) => {
                    let Poll::Ready(done) = Pin::new(&mut reading).poll(cx) else {
                        self.state = State::Reading(reading);
                        return Poll::Pending;
                    };
                    // A read that is not finished belongs to a runtime that ends.
                    let (file, piece) = done.map_err(io::Error::other).flatten()?;
                    return Poll::Ready(Some(Ok(self.give(file, piece))));
                }
                State::Idle(_) | State::Over => return Poll::Ready(None),
            }
        }
    }

    fn give(&mut self, file: File, piece: Piece) -> Bytes {
        let bytes = piece.into_bytes();
        self.at += bytes.len() as u64;
        self.left -= bytes.len() as u64;
        self.state = State::Idle(file);
        bytes
    }
}
