//! Rows whose time has come are removed, as MongoDB removes those of an index with `expireAfterSeconds`.

use std::sync::{Arc, Weak};
use std::time::Duration;

use rusqlite::OptionalExtension;

use super::table::{Table, quoted};
use super::{Inner, SqliteStore, error};
use crate::crud::schema::validate;
use crate::crud::store::StoreError;
use crate::crud::{Value, json};

/// How long it is waited before looking again, at least and at most: a row may come that expires before all others.
const LOOK: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// Rows that are removed in one write: others wait for it.
const AT_ONCE: i64 = 500;

/// Removes rows of `table` as long as the store is open, if it has any that expire.
pub(super) fn start(store: &SqliteStore, table: &Arc<Table>) {
    for (field, ttl) in table.schema.fields.iter().enumerate().filter_map(|(at, field)| Some((at, field.index?.ttl?))) {
        let (store, table) = (Arc::downgrade(&store.inner), Arc::clone(table));
        tokio::spawn(watch(store, table, field, i64::from(ttl) * 1000));
    }
}

/// Looks again and again; the store ends it, by being closed or forgotten.
async fn watch(store: Weak<Inner>, table: Arc<Table>, field: usize, ttl: i64) {
    loop {
        let Some(inner) = store.upgrade() else { return };
        let pause = match sweep(&SqliteStore { inner }, &table, field, ttl).await {
            Ok(pause) => pause,
            Err(failure) => {
                if store.upgrade().is_none_or(|inner| inner.ended.has_changed().is_err()) {
                    return;
                }
                tracing::warn!(model = table.schema.name, error = %failure, "rows that have expired are not removed yet");
                LOOK.1
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// Removes rows whose time has come; when it is worth looking again. Where there are none nothing is written.
async fn sweep(store: &SqliteStore, table: &Arc<Table>, field: usize, ttl: i64) -> Result<Duration, StoreError> {
    let Some(first) = first(store, table, field).await? else { return Ok(LOOK.1) };
    let left = first.saturating_add(ttl).saturating_sub(validate::now());
    if let Ok(left @ 1..) = u64::try_from(left) {
        return Ok(Duration::from_millis(left).clamp(LOOK.0, LOOK.1));
    }
    let (name, column) = (quoted(&table.name), &table.columns[field]);
    let sql = format!("DELETE FROM {name} WHERE seq IN (SELECT seq FROM {name} WHERE {column} <= ? LIMIT {AT_ONCE})");
    let until = validate::now().saturating_sub(ttl).clamp(json::FIRST_INSTANT, json::LAST_INSTANT);
    let until = String::from_utf8_lossy(&json::datetime_text(until)).into_owned();
    let answer = store.write(move |db| {
        db.prepare_cached(&sql).and_then(|mut s| s.execute([until])).map(drop).map_err(error::plain)
    })?;
    store.answered(answer).await?;
    // There may be more of them.
    Ok(Duration::ZERO)
}

/// The least time that there is.
async fn first(store: &SqliteStore, table: &Arc<Table>, field: usize) -> Result<Option<i64>, StoreError> {
    let (name, column) = (quoted(&table.name), &table.columns[field]);
    let sql = format!("SELECT {column} FROM {name} WHERE {column} IS NOT NULL ORDER BY {column} LIMIT 1");
    let table = Arc::clone(table);
    let answer = store.read(move |db| {
        let found = db
            .prepare_cached(&sql)
            .and_then(|mut s| s.query_row([], |row| Ok(table.unbind(field, row.get_ref(0)?))).optional())
            .map_err(error::plain)?;
        Ok(match found.transpose()? {
            Some(Value::DateTime(at)) => Some(at),
            _ => None,
        })
    })?;
    store.answered(answer).await
}
