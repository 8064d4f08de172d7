//! Room that pieces of files are read into, used again: what is freshly had from the system has to be made page by page first.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use super::answer::CHUNK;

/// How many wait for the next piece at most; together 4 MiB.
const KEPT: usize = 4 * 1024 * 1024 / CHUNK;

static BUFFERS: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// One of the length of a piece. What is in it is of no meaning.
pub(super) fn take() -> Vec<u8> {
    let kept = BUFFERS.lock().unwrap_or_else(PoisonError::into_inner).pop();
    kept.unwrap_or_else(|| vec![0; CHUNK])
}

/// The first `length` bytes of `buffer`, which goes back when nobody needs them any more.
pub(super) fn filled(buffer: Vec<u8>, length: usize) -> Bytes {
    Bytes::from_owner(Filled { buffer, length })
}

struct Filled {
    buffer: Vec<u8>,
    length: usize,
}

impl AsRef<[u8]> for Filled {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.length]
    }
}

impl Drop for Filled {
    fn drop(&mut self) {
        let mut kept = BUFFERS.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT {
            kept.push(std::mem::take(&mut self.buffer));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_when_the_last_view_of_it_is_gone() {
        let mut buffer = take();
        buffer[..6].copy_from_slice(b"secret");
        let address = buffer.as_ptr();
        let piece = filled(buffer, 4);
        let view = piece.slice(2..);
        drop(piece);
        assert_eq!(view, "cr");
        drop(view);
        let again = std::iter::repeat_with(take).take(KEPT + 1).find(|buffer| buffer.as_ptr() == address);
        assert_eq!(again.map(|buffer| buffer.len()), Some(CHUNK));
    }
}
