//! Room that pieces of files are read into, used again: what is freshly had from the system has to be made page by page first.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use super::answer::CHUNK;

/// How many wait for the next piece at most; together 4 MiB.
const KEPT: usize = 16;

static BUFFERS: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// An empty one, with room for a piece.
pub(super) fn take() -> Vec<u8> {
    let kept = BUFFERS.lock().unwrap_or_else(PoisonError::into_inner).pop();
    kept.unwrap_or_else(|| Vec::with_capacity(usize::try_from(CHUNK).unwrap_or_default()))
}

/// What is in `buffer`, which goes back when nobody needs it any more.
pub(super) fn filled(buffer: Vec<u8>) -> Bytes {
    Bytes::from_owner(Filled(buffer))
}

struct Filled(Vec<u8>);

impl AsRef<[u8]> for Filled {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Filled {
    fn drop(&mut self) {
        let mut buffer = std::mem::take(&mut self.0);
        buffer.clear();
        let mut kept = BUFFERS.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT {
            kept.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_empty_when_the_last_view_of_it_is_gone() {
        let mut buffer = take();
        buffer.extend_from_slice(b"secret");
        let address = buffer.as_ptr();
        let piece = filled(buffer);
        let view = piece.slice(2..);
        drop(piece);
        assert_eq!(view, "cret");
        drop(view);
        let again = std::iter::repeat_with(take).take(KEPT + 1).find(|buffer| buffer.as_ptr() == address);
        assert_eq!(again.map(|buffer| buffer.len()), Some(0));
    }
}
