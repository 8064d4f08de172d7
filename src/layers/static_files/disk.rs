use std::io;

/// Whether a file is looked for where one may wait for a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disk {
    MayWait,
    /// What is not in memory fails with [`would_wait`]. It is not there for all systems and file systems, and for none but Linux.
    InMemory,
}

/// How a look into memory fails that has not found all that it needs.
pub(super) fn would_wait() -> io::Error {
    io::ErrorKind::WouldBlock.into()
}
