//! The file of quotas, which may go away while it is used.

use std::io;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::BoxError;
use crate::crud::store::sqlite::{Durability, connect};

const TABLE: &str =
    "CREATE TABLE IF NOT EXISTS ziggurat_quotas (key BLOB PRIMARY KEY, arrival INTEGER NOT NULL) STRICT, WITHOUT ROWID";

/// A connection to the file, and which file that was.
pub(super) struct QuotaFile {
    db: Connection,
    id: Option<Id>,
}

type Id = (u64, u64);

impl QuotaFile {
    pub(super) fn open(path: &Path) -> Result<Self, BoxError> {
        make(path)?;
        // Before it is opened: of one that is replaced meanwhile it is noticed later.
        let id = id(path);
        let mut db = connect(path, Durability::Normal)?;
        db.busy_handler(Some(wait))?;
        // It would remove its log at the end by its name, and by then that may be the log of another file.
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        // Whoever shortens the file is not to end the process by it.
        db.pragma_update(None, "mmap_size", 0)?;
        db.execute(TABLE, [])?;
        Ok(Self { db, id })
    }

    /// Whether it is still at `path`. What counts in a file that was deleted counts alone: others open that which is there now.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        self.id.is_some() && self.id == id(path)
    }

    /// Keeps other processes out until it ends.
    pub(super) fn transaction(&mut self) -> rusqlite::Result<Transaction<'_>> {
        self.db.transaction_with_behavior(TransactionBehavior::Immediate)
    }
}

#[cfg(unix)]
fn id(path: &Path) -> Option<Id> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Where an open file cannot be deleted it stays the same.
#[cfg(not(unix))]
fn id(_: &Path) -> Option<Id> {
    Some((0, 0))
}

/// Makes the file where it is missing, by one process at a time.
///
/// What a deleted one has left beside it goes first: SQLite would take the log for one of the new file, and share memory with processes
/// that still have the deleted one.
#[cfg(unix)]
fn make(path: &Path) -> io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let _lock = locked(folder)?;
    if path.exists() {
        return Ok(());
    }
    for ending in ["-wal", "-shm"] {
        let mut beside = path.as_os_str().to_owned();
        beside.push(ending);
        match std::fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    std::fs::File::create_new(path).map(drop)
}

#[cfg(not(unix))]
fn make(_: &Path) -> io::Result<()> {
    Ok(())
}

/// A folder that is locked until this is dropped.
#[cfg(unix)]
fn locked(folder: &Path) -> io::Result<std::fs::File> {
    use std::fs::TryLockError;
    let file = std::fs::File::open(folder)?;
    // Others hold it for as long as it takes to make a file.
    for _ in 0..100 {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(10)),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Err(io::Error::other("the folder of the file is locked by another process"))
}

/// Another process writes, which takes it a fraction of a millisecond: SQLite's own handler would soon sleep for much longer.
fn wait(times: i32) -> bool {
    std::thread::sleep(Duration::from_micros(100 * u64::from(times.clamp(1, 10).unsigned_abs())));
    times < 250
}
