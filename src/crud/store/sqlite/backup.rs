//! A copy of a store file, taken while others write to it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::open;
use crate::ConfigError;

/// Copies the store at `source` to a new file: what it held at one moment, without the space that was free. Other processes may
/// go on reading and writing meanwhile. It gives the size of the copy in bytes.
///
/// The file appears under its name once it is whole, checked and on the disk.
///
/// # Errors
/// When `source` is no store, `target` is there already, or the copy cannot be written.
pub fn backup(source: impl AsRef<Path>, target: impl AsRef<Path>) -> Result<u64, ConfigError> {
    let (source, target) = (source.as_ref(), target.as_ref());
    if target.exists() {
        return Err(ConfigError::new(format!("{} is there already, and no copy is written over it", target.display()))
            .cure("give the copy another name"));
    }
    if !source.is_file() {
        return Err(ConfigError::new(format!("there is no store at {}", source.display())));
    }
    let mut partial = target.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let made = copy(source, &partial, target);
    if made.is_err() {
        // It may not have been begun.
        let _ = fs::remove_file(&partial);
    }
    made
}

fn copy(source: &Path, partial: &Path, target: &Path) -> Result<u64, ConfigError> {
    let failed = |what: &str, error: &dyn std::fmt::Display| {
        ConfigError::new(format!("{} cannot be copied to {}: {what}: {error}", source.display(), target.display()))
    };
    if partial.exists() {
        // Of a copy that was broken off.
        fs::remove_file(partial).map_err(|e| failed("an earlier attempt is in the way", &e))?;
    }
    let db = open::reader(source)?;
    // It writes to another file, which is a write all the same.
    db.pragma_update(None, "query_only", false).map_err(|e| failed("the store cannot be read", &e))?;
    let path = partial.to_string_lossy();
    db.execute("VACUUM INTO ?", [&*path]).map_err(|e| failed("the copy was not written", &e))?;
    let copy = open::reader(partial)?;
    let check: String = copy
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|e| failed("the copy cannot be read", &e))?;
    if check != "ok" {
        return Err(failed("the copy is damaged", &check));
    }
    drop(copy);
    let file = File::open(partial).map_err(|e| failed("the copy is gone", &e))?;
    file.sync_all().map_err(|e| failed("the copy is not on the disk", &e))?;
    let bytes = file.metadata().map_err(|e| failed("the copy is gone", &e))?.len();
    fs::rename(partial, target).map_err(|e| failed("the copy cannot be given its name", &e))?;
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Not every system lets a folder be opened; the copy is whole in any case.
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
    Ok(bytes)
}
