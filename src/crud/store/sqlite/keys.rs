//! Requests that may come again, kept in the same transaction as what they made.

use rusqlite::{Connection, OptionalExtension};

use super::error;
use crate::crud::store::once::KEYS_LIVE;
use crate::crud::store::{Key, Once, Row, StoreError, names};

const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS zg_keys(
        name TEXT PRIMARY KEY, print INTEGER NOT NULL, at INTEGER NOT NULL, ver INTEGER NOT NULL, doc TEXT NOT NULL) STRICT;
    CREATE INDEX IF NOT EXISTS zg_i_keys ON zg_keys(at);";

pub(super) fn keep(db: &Connection) -> Result<(), StoreError> {
    db.execute_batch(TABLE).map_err(error::plain)
}

/// What became of the request with this key, if it has come before.
pub(super) fn recall(db: &Connection, key: &Key) -> Result<Option<Once>, StoreError> {
    let found: Option<(i64, i64, String)> = db
        .prepare_cached("SELECT print, ver, doc FROM zg_keys WHERE name = ? AND at > ?")
        .and_then(|mut s| {
            s.query_row((&key.name, forgotten()), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()
        })
        .map_err(error::plain)?;
    Ok(found.map(
        |(print, version, json)| {
            if print == key.fingerprint { Once::Before(Row { version, json: json.into() }) } else { Once::Other }
        },
    ))
}

/// Keeps what the request made, and forgets those that came long ago.
pub(super) fn record(db: &Connection, key: &Key, row: &Row) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM zg_keys WHERE at <= ?")
        .and_then(|mut s| s.execute([forgotten()]))
        .map_err(error::plain)?;
    db.prepare_cached("INSERT INTO zg_keys(name, print, at, ver, doc) VALUES (?, ?, ?, ?, ?)")
        .and_then(|mut s| {
            let json = String::from_utf8_lossy(&row.json);
            s.execute((&key.name, key.fingerprint, names::first_version() / 1000, row.version, &*json))
        })
        .map(drop)
        .map_err(error::plain)
}

/// What came by then is forgotten, in milliseconds since 1970.
fn forgotten() -> i64 {
    names::first_version() / 1000 - i64::try_from(KEYS_LIVE.as_millis()).unwrap_or(0)
}
