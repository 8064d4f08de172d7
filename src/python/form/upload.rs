//! A file that was sent: in memory, or on disk without a name.

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;

/// How much is copied at a time.
const PIECE: usize = 256 << 10;

pub(in crate::python) struct Upload {
    pub(super) filename: Option<String>,
    pub(super) headers: HeaderMap,
    /// It grows where the app writes to it.
    size: AtomicU64,
    /// None once it was closed.
    content: Mutex<Option<Content>>,
}

#[derive(Clone)]
pub(super) enum Content {
    Memory(Bytes),
    /// Gone when the last of these is.
    Disk(Arc<File>),
}

impl Upload {
    pub(super) fn in_memory(filename: Option<String>, headers: HeaderMap, content: Bytes) -> Self {
        let size = AtomicU64::new(content.len() as u64);
        Self { filename, headers, size, content: Mutex::new(Some(Content::Memory(content))) }
    }

    pub(super) fn on_disk(filename: Option<String>, headers: HeaderMap, size: u64, file: File) -> Self {
        let size = AtomicU64::new(size);
        Self { filename, headers, size, content: Mutex::new(Some(Content::Disk(Arc::new(file)))) }
    }

    /// How many bytes it has.
    pub(super) fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    /// What is in it, unless it was closed.
    pub(super) fn content(&self) -> Option<Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All of it, where it is in memory.
    pub(in crate::python) fn bytes(&self) -> Option<Bytes> {
        match self.content() {
            Some(Content::Memory(bytes)) => Some(bytes),
            _ => None,
        }
    }

    /// Puts bytes at this place of what is in memory, with zeros before them where it ended earlier.
    ///
    /// # Errors
    /// When that is more than memory can hold.
    pub(super) fn write_in_memory(&self, at: u64, data: &[u8]) -> io::Result<()> {
        let too_much = || io::Error::from(io::ErrorKind::FileTooLarge);
        let begin = usize::try_from(at).map_err(|_| too_much())?;
        let end = begin.checked_add(data.len()).ok_or_else(too_much)?;
        let mut content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Content::Memory(held)) = &mut *content else { return Ok(()) };
        // Without a copy, unless somebody reads from it at this moment.
        let mut bytes = Vec::from(std::mem::take(held));
        let has_room = bytes.try_reserve(end.saturating_sub(bytes.len()));
        if has_room.is_ok() {
            bytes.resize(bytes.len().max(end), 0);
            bytes[begin..end].copy_from_slice(data);
            self.size.store(bytes.len() as u64, Ordering::Release);
        }
        *held = Bytes::from(bytes);
        has_room.map_err(|_| too_much())
    }

    /// The same of what is on disk.
    pub(super) fn write_on_disk(&self, file: &File, at: u64, data: &[u8]) -> io::Result<()> {
        file.write_all_at(data, at)?;
        self.size.fetch_max(at + data.len() as u64, Ordering::AcqRel);
        Ok(())
    }

    pub(super) fn close(&self) {
        let content = self.content.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(content);
    }

    /// As the client says it.
    pub(in crate::python) fn content_type(&self) -> Option<&str> {
        self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok())
    }
}

impl PartialEq for Upload {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload").field("filename", &self.filename).field("size", &self.size()).finish_non_exhaustive()
    }
}

/// Reads `length` bytes from `at`, wherever others read.
pub(super) fn read_at(file: &File, at: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, at)?;
    Ok(bytes)
}

/// Writes `content` to `path`, where all of it is at once or nothing.
pub(super) fn save(content: &Content, size: u64, path: &Path, overwrite: bool) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // As the process makes files, and not for its owner alone, as temporary ones are.
    let permissions = std::fs::Permissions::from_mode(0o666);
    let mut file = tempfile::Builder::new().prefix(".upload-").permissions(permissions).tempfile_in(directory)?;
    match content {
        Content::Memory(bytes) => file.write_all(bytes)?,
        Content::Disk(from) => {
            let mut at = 0;
            while at < size {
                let length = usize::try_from(size - at).unwrap_or(PIECE).min(PIECE);
                file.write_all(&read_at(from, at, length)?)?;
                at += length as u64;
            }
        }
    }
    let kept = if overwrite { file.persist(path) } else { file.persist_noclobber(path) };
    kept.map(drop).map_err(|failed| failed.error)
}
