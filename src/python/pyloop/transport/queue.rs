//! What was written and is not sent yet.

use std::collections::VecDeque;
use std::io::IoSlice;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// How many pieces one system call sends.
const GATHER: usize = 64;

/// Pieces in order. They are immutable, so they are kept and not copied.
#[derive(Default)]
pub(super) struct WriteQueue {
    pieces: VecDeque<Py<PyBytes>>,
    /// How much of the first piece is sent.
    sent: usize,
    len: usize,
}

impl WriteQueue {
    pub(super) fn push(&mut self, py: Python<'_>, piece: Py<PyBytes>, from: usize) {
        let len = piece.bind(py).as_bytes().len() - from;
        if len == 0 {
            return;
        }
        // Only a piece that comes first can be sent in part.
        debug_assert!(from == 0 || self.pieces.is_empty());
        if self.pieces.is_empty() {
            self.sent = from;
        }
        self.len += len;
        self.pieces.push_back(piece);
    }

    /// Bytes.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Shows the next pieces to `send`.
    pub(super) fn gathered<R>(&self, py: Python<'_>, send: impl FnOnce(&[IoSlice<'_>]) -> R) -> R {
        let mut slices: [IoSlice<'_>; GATHER] = std::array::from_fn(|_| IoSlice::new(&[]));
        let mut count = 0;
        for (slice, piece) in slices.iter_mut().zip(&self.pieces) {
            let bytes = piece.bind(py).as_bytes();
            *slice = IoSlice::new(if count == 0 { &bytes[self.sent..] } else { bytes });
            count += 1;
        }
        send(&slices[..count])
    }

    /// The first `count` bytes are sent; gives the pieces that are done with.
    #[must_use = "to be dropped without the lock"]
    pub(super) fn advance(&mut self, py: Python<'_>, mut count: usize) -> Vec<Py<PyBytes>> {
        let mut done = Vec::new();
        self.len -= count;
        while count > 0 {
            let Some(first) = self.pieces.front() else { break };
            let left = first.bind(py).as_bytes().len() - self.sent;
            if count < left {
                self.sent += count;
                break;
            }
            count -= left;
            self.sent = 0;
            done.extend(self.pieces.pop_front());
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_leave_in_order_and_in_part() {
        Python::initialize();
        crate::python::attach::at(crate::service::LeafKind::Python, |py| {
            let mut queue = WriteQueue::default();
            queue.push(py, PyBytes::new(py, b"xxabc").unbind(), 2);
            queue.push(py, PyBytes::new(py, b"").unbind(), 0);
            queue.push(py, PyBytes::new(py, b"defg").unbind(), 0);
            let seen = |queue: &WriteQueue| {
                queue.gathered(py, |slices| slices.iter().map(|slice| slice.to_vec()).collect::<Vec<_>>().concat())
            };
            assert_eq!((seen(&queue), queue.len()), (b"abcdefg".to_vec(), 7));
            assert!(queue.advance(py, 2).is_empty());
            assert_eq!(seen(&queue), b"cdefg");
            assert_eq!(queue.advance(py, 3).len(), 1);
            assert_eq!((seen(&queue), queue.len()), (b"fg".to_vec(), 2));
            assert_eq!(queue.advance(py, 2).len(), 1);
            assert!(queue.is_empty());
        });
    }
}
