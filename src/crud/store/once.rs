//! Requests that may come again.

use super::Row;
#[cfg(any(feature = "sqlite", feature = "mongodb"))]
use super::{MAX_DOCUMENT, StoreError};

/// How long a [`Key`] is kept.
#[cfg(any(feature = "sqlite", feature = "mongodb"))]
pub(super) const KEYS_LIVE: std::time::Duration = std::time::Duration::from_secs(24 * 60 * 60);

/// Stands for a request that may come again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Who sent it, where to, and what the client calls it.
    pub name: String,
    /// Stands for what was sent.
    pub fingerprint: i64,
}

/// What became of a request that may have come before.
#[derive(Debug, Clone, PartialEq)]
pub enum Once {
    /// It is the first, and was done: the rows as they are now, without those that are gone.
    Done(Vec<Row>),
    /// It has come before, and this is what it wrote then: the rows as JSON, joined by commas, with the version of the first.
    Before(Row),
    /// Another request has come with this key.
    Other,
    /// It is being done at this moment.
    Running,
}

/// What is kept of the rows that a request wrote.
#[cfg(any(feature = "sqlite", feature = "mongodb"))]
pub(super) fn kept(rows: &[Row]) -> Result<Row, StoreError> {
    let kept = match rows {
        [row] => row.clone(),
        rows => {
            let parts: Vec<&[u8]> = rows.iter().map(|row| &row.json[..]).collect();
            Row { version: rows.first().map_or(0, |row| row.version), json: parts.join(&b',').into() }
        }
    };
    if kept.json.len() > MAX_DOCUMENT { Err(StoreError::TooLarge { limit: MAX_DOCUMENT }) } else { Ok(kept) }
}
