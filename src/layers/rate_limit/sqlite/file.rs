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
    // Where it is a link, to where that leads.
    std::fs::File::options().write(true).create(true).truncate(false).open(path).map(drop)
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

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_missing_is_made_where_a_link_leads() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("real.db"), folder.path().join("link.db"));
        std::os::unix::fs::symlink("real.db", &link).unwrap();
        let file = QuotaFile::open(&link).unwrap();
        assert!(file.is_at(&link) && file.is_at(&path));
        std::fs::remove_file(&path).unwrap();
        assert!(!file.is_at(&link));
    }

    #[test]
    fn what_a_deleted_file_has_left_goes_and_what_one_has_that_is_there_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("quotas.db");
        let beside = ["-wal", "-shm"].map(|ending| folder.path().join(format!("quotas.db{ending}")));
        for missing in [true, false] {
            beside.iter().for_each(|path| std::fs::write(path, "left").unwrap());
            make(&path).unwrap();
            assert!(path.exists() && beside.iter().all(|path| path.exists() != missing));
        }
    }

    #[test]
    fn one_makes_it_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let lock = locked(folder.path()).unwrap();
        let error = locked(folder.path()).unwrap_err().to_string();
        assert!(error.contains("locked by another process"), "{error}");
        drop(lock);
        assert!(locked(folder.path()).is_ok());
    }

    #[test]
    fn one_counts_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("quotas.db");
        let (mut one, mut other) = (QuotaFile::open(&path).unwrap(), QuotaFile::open(&path).unwrap());
        let held = one.transaction().unwrap();
        assert!(other.transaction().is_err(), "before it has read anything");
        held.commit().unwrap();
        assert!(other.transaction().is_ok());
    }

    #[test]
    fn the_end_of_a_connection_to_a_deleted_file_takes_nothing_of_the_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("quotas.db");
        let of_deleted = QuotaFile::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let mut new = QuotaFile::open(&path).unwrap();
        let count = |file: &mut QuotaFile| {
            file.db.query_row("SELECT count(*) FROM ziggurat_quotas", [], |row| row.get::<_, i64>(0)).unwrap()
        };
        let transaction = new.transaction().unwrap();
        transaction.execute("INSERT INTO ziggurat_quotas VALUES (x'00', 1)", []).unwrap();
        transaction.commit().unwrap();
        drop(of_deleted);
        assert!(folder.path().join("quotas.db-wal").exists());
        assert_eq!(count(&mut QuotaFile::open(&path).unwrap()), 1);
    }
}
