//! Where a loop reads into before it knows how much there is.
//!
//! A bytes object of the size that a read asks for is far above the threshold from which the allocator maps and unmaps
//! memory; one of the size that came is not. So reads go here, and what came is copied out.

use std::mem;
use std::sync::{Mutex, PoisonError};

/// The most that one read takes; asyncio asks for as much.
pub(in crate::python::pyloop) const SIZE: usize = 256 * 1024;

/// The buffer of one loop, made when it is first wanted.
#[derive(Default)]
pub(in crate::python::pyloop) struct Scratch(Mutex<Vec<u8>>);

impl Scratch {
    /// Lends a buffer of at least `size` bytes to `f`.
    pub(in crate::python::pyloop) fn with_size<R>(&self, size: usize, f: impl FnOnce(&mut [u8]) -> R) -> R {
        if size <= SIZE { self.with(f) } else { f(&mut vec![0; size]) }
    }

    /// Lends the buffer to `f`. A nested call gets a buffer of its own.
    pub(in crate::python::pyloop) fn with<R>(&self, f: impl FnOnce(&mut [u8]) -> R) -> R {
        let mut buffer = mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if buffer.is_empty() {
            buffer = vec![0; SIZE];
        }
        let result = f(&mut buffer);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = buffer;
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_loans_do_not_overlap() {
        let scratch = Scratch::default();
        scratch.with(|outer| {
            outer[0] = 1;
            scratch.with(|inner| inner[0] = 2);
            assert_eq!(outer[0], 1);
            assert_eq!(outer.len(), SIZE);
        });
    }
}
