//! A socket of Tokio's, as the protocol sees it: one that never blocks.

use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::deflate::Marks;

/// The socket, for one poll.
pub(super) struct SyncIo<'a, 'c, T> {
    pub(super) io: &'a mut T,
    pub(super) cx: &'a mut Context<'c>,
    /// Set when bytes went out.
    pub(super) wrote: &'a mut bool,
    /// Reads along, where messages may be compressed.
    pub(super) marks: Option<&'a mut Marks>,
}

fn would_block<T>(poll: Poll<io::Result<T>>) -> io::Result<T> {
    match poll {
        Poll::Ready(result) => result,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

impl<T: AsyncRead + Unpin> Read for SyncIo<'_, '_, T> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(bytes);
        would_block(Pin::new(&mut *self.io).poll_read(self.cx, &mut buffer))?;
        if let Some(marks) = &mut self.marks {
            marks.read(buffer.filled_mut());
        }
        Ok(buffer.filled().len())
    }
}

impl<T: AsyncWrite + Unpin> Write for SyncIo<'_, '_, T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = would_block(Pin::new(&mut *self.io).poll_write(self.cx, bytes))?;
        *self.wrote |= count > 0;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        would_block(Pin::new(&mut *self.io).poll_flush(self.cx))
    }
}
