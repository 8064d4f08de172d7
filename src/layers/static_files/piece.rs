//! A part of a file, read into memory.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use bytes::Bytes;

use super::answer::CHUNK;
use super::buffers;

/// What is at most this long has room of its own size, so that small files do not hold large buffers while they are sent.
const SMALL: usize = CHUNK / 8;

/// The bytes of a file from a place on, as far as they were read.
#[derive(Debug)]
pub(super) struct Piece {
    room: Vec<u8>,
    from: u64,
    length: usize,
    filled: usize,
}

impl Piece {
    /// To hold `length` bytes at `from`; no more than fit into one piece.
    pub(super) fn new(from: u64, length: u64) -> Self {
        let length = usize::try_from(length).map_or(CHUNK, |length| length.min(CHUNK));
        let room = if length <= SMALL { vec![0; length] } else { buffers::take() };
        Self { room, from, length, filled: 0 }
    }

    /// Reads as much of it as the system has in memory; says whether that is all.
    #[cfg(target_os = "linux")]
    pub(super) fn read_cached(&mut self, file: &File) -> bool {
        use rustix::io::{ReadWriteFlags, preadv2};
        while self.filled < self.length {
            let rest = io::IoSliceMut::new(&mut self.room[self.filled..self.length]);
            match preadv2(file, &mut [rest], self.from + self.filled as u64, ReadWriteFlags::NOWAIT) {
                Ok(read) if read > 0 => self.filled += read,
                // It has to be waited for, or has no such call; or the file has become shorter.
                _ => return false,
            }
        }
        true
    }

    /// Elsewhere one cannot ask for that.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn read_cached(&mut self, _: &File) -> bool {
        self.length == 0
    }

    /// Reads the rest of it. It may wait for a disk.
    ///
    /// # Errors
    /// When there is less: the file became shorter since its length was told, and nothing that is sent now could be right.
    pub(super) fn read(&mut self, file: &mut File) -> io::Result<()> {
        file.seek(SeekFrom::Start(self.from + self.filled as u64))?;
        file.read_exact(&mut self.room[self.filled..self.length]).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter while it was sent")
            }
            _ => error,
        })?;
        self.filled = self.length;
        Ok(())
    }

    /// The bytes that were read.
    pub(super) fn into_bytes(mut self) -> Bytes {
        if self.length <= SMALL {
            self.room.truncate(self.filled);
            return self.room.into();
        }
        buffers::filled(self.room, self.filled)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn it_is_read_from_its_place_whichever_way() {
        let mut file = tempfile::tempfile().unwrap();
        let text: Vec<u8> = (0..=255).cycle().take(CHUNK + 1000).collect();
        file.write_all(&text).unwrap();
        for (from, length) in [(0, 10), (3, SMALL), (7, SMALL + 1), (1000, CHUNK), (0, 0)] {
            for cached in [true, false] {
                let mut piece = Piece::new(from, length as u64);
                if !(cached && piece.read_cached(&file)) {
                    piece.read(&mut file).unwrap();
                }
                assert_eq!(piece.into_bytes(), text[from as usize..][..length]);
            }
        }
    }

    #[test]
    fn what_is_in_memory_is_read_at_once() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"just written").unwrap();
        assert_eq!(Piece::new(0, 12).read_cached(&file), cfg!(target_os = "linux"));
    }

    #[test]
    fn a_file_that_is_shorter_has_no_such_piece() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"short").unwrap();
        let mut piece = Piece::new(0, 6);
        assert!(!piece.read_cached(&file));
        let error = piece.read(&mut file).unwrap_err();
        assert_eq!(error.to_string(), "the file became shorter while it was sent");
    }
}
