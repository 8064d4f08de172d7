//! The datagrams that a socket did not take yet.

use std::collections::VecDeque;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rustix::net::SocketAddrAny;

/// Data and where it goes. The data is immutable, so it is kept and not copied.
pub(super) struct Datagram {
    pub(super) data: Py<PyBytes>,
    pub(super) to: To,
}

/// Where a datagram goes.
pub(super) enum To {
    /// To whom the socket is connected.
    Peer,
    Address(SocketAddrAny),
    /// To what only the `socket` module makes sense of.
    Python(Py<PyAny>),
}

/// Datagrams in order, with their size.
pub(super) struct Datagrams {
    queue: VecDeque<Datagram>,
    size: usize,
    /// What each counts beside its data.
    header: usize,
}

impl Datagrams {
    pub(super) fn new(header: usize) -> Self {
        Self { queue: VecDeque::new(), size: 0, header }
    }

    fn size_of(&self, py: Python<'_>, datagram: &Datagram) -> usize {
        datagram.data.bind(py).as_bytes().len() + self.header
    }

    pub(super) fn push(&mut self, py: Python<'_>, datagram: Datagram) {
        self.size += self.size_of(py, &datagram);
        self.queue.push_back(datagram);
    }

    pub(super) fn pop(&mut self, py: Python<'_>) -> Option<Datagram> {
        let datagram = self.queue.pop_front()?;
        self.size -= self.size_of(py, &datagram);
        Some(datagram)
    }

    /// Puts one back that could not be sent.
    pub(super) fn give_back(&mut self, py: Python<'_>, datagram: Datagram) {
        self.size += self.size_of(py, &datagram);
        self.queue.push_front(datagram);
    }

    /// Bytes, with headers.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Takes all; to be dropped without the lock.
    #[must_use = "dropping it may run Python code"]
    pub(super) fn take(&mut self) -> VecDeque<Datagram> {
        self.size = 0;
        std::mem::take(&mut self.queue)
    }

    pub(super) fn objects(&self) -> impl Iterator<Item = &Py<PyAny>> {
        self.queue.iter().filter_map(|datagram| match &datagram.to {
            To::Python(address) => Some(address),
            To::Peer | To::Address(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_count_on_the_way_in_and_out() {
        Python::initialize();
        crate::python::attach::at(crate::service::LeafKind::Python, |py| {
            let mut queue = Datagrams::new(8);
            for data in [&b"abc"[..], b""] {
                queue.push(py, Datagram { data: PyBytes::new(py, data).unbind(), to: To::Peer });
            }
            assert_eq!(queue.size(), 19);
            let first = queue.pop(py).unwrap();
            assert_eq!((first.data.bind(py).as_bytes(), queue.size()), (&b"abc"[..], 8));
            queue.give_back(py, first);
            assert_eq!((queue.size(), queue.take().len()), (19, 2));
            assert!(queue.is_empty());
            assert_eq!(queue.size(), 0);
        });
    }
}
