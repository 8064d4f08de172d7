//! Opening the file: the lock, the settings, and clear words when it cannot be done.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{Durability, functions, group};
use crate::ConfigError;

/// Statements kept ready in each connection.
const STATEMENTS: usize = 256;

/// Keeps a second process away from the file for as long as a thread of the store lives.
#[derive(Debug)]
pub(super) struct Lock {
    _file: Option<File>,
    /// A folder that goes away with the store.
    scratch: Option<PathBuf>,
}

impl Lock {
    /// No lock, for a file that several processes share.
    pub(super) fn none() -> Self {
        Self { _file: None, scratch: None }
    }

    /// Removes `folder` when the store is closed.
    pub(super) fn scratch(mut self, folder: Option<PathBuf>) -> Self {
        self.scratch = folder;
        self
    }

    pub(super) fn take(path: &Path) -> Result<Self, ConfigError> {
        let beside = beside(path);
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&beside).map_err(|error| {
                ConfigError::new(format!("the lock file {} cannot be opened: {error}", beside.display()))
            })?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                let holder = if holder.is_empty() { "unknown".into() } else { holder };
                return Err(ConfigError::new(format!(
                    "the store file {} is in use by the process {}",
                    path.display(),
                    holder.trim()
                ))
                .cure("stop that process, or add ?shared=true to the store's URL in all of them"));
            }
            Err(TryLockError::Error(error)) => {
                return Err(ConfigError::new(format!("the lock file {} cannot be locked: {error}", beside.display())));
            }
        }
        // Only for the message above; the lock itself is the operating system's and ends with the process.
        let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| write!(file, "{}", std::process::id()));
        Ok(Self { _file: Some(file), scratch: None })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Some(folder) = &self.scratch {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-lock");
    name.into()
}

/// A connection that writes.
pub(crate) fn writer(path: &Path, durability: Durability) -> Result<Connection, ConfigError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || -> rusqlite::Result<Connection> {
        let db = Connection::open_with_flags(path, flags)?;
        // The first statement that touches the file: one that is no database is found here.
        db.query_row("PRAGMA journal_mode=WAL", [], |_| Ok(()))?;
        settings(&db)?;
        db.pragma_update(
            None,
            "synchronous",
            match durability {
                Durability::Full => "FULL",
                Durability::Normal => "NORMAL",
                Durability::Off => "OFF",
            },
        )?;
        db.pragma_update(None, "journal_size_limit", 64 << 20)?;
        // A file on which nothing can be written is better found now than at the first POST.
        db.execute_batch("BEGIN IMMEDIATE; ROLLBACK")?;
        Ok(db)
    };
    open().map_err(|error| explain(path, &error))
}

/// A connection that only reads.
pub(super) fn reader(path: &Path) -> Result<Connection, ConfigError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || -> rusqlite::Result<Connection> {
        let db = Connection::open_with_flags(path, flags)?;
        settings(&db)?;
        db.pragma_update(None, "query_only", true)?;
        Ok(db)
    };
    open().map_err(|error| explain(path, &error))
}

fn settings(db: &Connection) -> rusqlite::Result<()> {
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    db.busy_timeout(Duration::from_secs(2))?;
    db.pragma_update(None, "cache_size", -16 * 1024)?;
    db.pragma_update(None, "mmap_size", 256 << 20)?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    db.pragma_update(None, "trusted_schema", false)?;
    functions::add(db)?;
    group::add(db)
}

fn explain(path: &Path, error: &rusqlite::Error) -> ConfigError {
    let path = path.display();
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => ConfigError::new(format!("the store file {path} is not a SQLite database")),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            ConfigError::new(format!("the store file {path} cannot be written: {error}"))
                .cure("give this user the right to write to the file and its folder")
        }
        Some(ErrorCode::DatabaseBusy) => {
            ConfigError::new(format!("the store file {path} is in use by another program"))
        }
        Some(ErrorCode::DatabaseCorrupt) => ConfigError::new(format!("the store file {path} is damaged: {error}"))
            .cure("restore it from a backup, or try the `.recover` command of the sqlite3 program"),
        _ => ConfigError::new(format!("the store file {path} cannot be opened: {error}")),
    }
}
