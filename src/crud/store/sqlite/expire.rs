//! Rows whose time has come are removed, as MongoDB removes those of an index with `expireAfterSeconds`.

use std::sync::{Arc, Weak};
use std::time::Duration;

use rusqlite::OptionalExtension;

use super::table::{Table, quoted};
use super::{Inner, SqliteStore, error};
use crate::crud::json;
use crate::crud::schema::validate;
use crate::crud::store::StoreError;

/// How often it is looked for rows of which nothing was known, and at most how often at all.
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
        let looked = sweep(&SqliteStore { inner }, &table, field, ttl).await;
        let pause = match looked {
            // There may be more of them.
            Ok(Swept { removed: AT_ONCE, .. }) => Duration::ZERO,
            Ok(Swept { next: Some(next), .. }) => {
                let left = next.saturating_add(ttl).saturating_sub(validate::now());
                Duration::from_millis(u64::try_from(left).unwrap_or(0)).clamp(LOOK.0, LOOK.1)
            }
            Ok(_) => LOOK.1,
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

struct Swept {
    removed: i64,
    /// The least time that is left.
    next: Option<i64>,
}

async fn sweep(store: &SqliteStore, table: &Arc<Table>, field: usize, ttl: i64) -> Result<Swept, StoreError> {
    let (name, column) = (quoted(&table.name), table.columns[field].clone());
    let until = validate::now().saturating_sub(ttl).clamp(json::FIRST_INSTANT, json::LAST_INSTANT);
    let until = String::from_utf8_lossy(&json::datetime_text(until)).into_owned();
    let table = Arc::clone(table);
    let answer = store.write(move |db| {
        let removed = db
            .prepare_cached(&format!(
                "DELETE FROM {name} WHERE seq IN (SELECT seq FROM {name} WHERE {column} <= ? LIMIT {AT_ONCE})"
            ))
            .and_then(|mut s| s.execute([until]))
            .map_err(error::plain)?;
        let next = db
            .prepare_cached(&format!(
                "SELECT {column} FROM {name} WHERE {column} IS NOT NULL ORDER BY {column} LIMIT 1"
            ))
            .and_then(|mut s| s.query_row([], |row| Ok(table.unbind(field, row.get_ref(0)?))).optional())
            .map_err(error::plain)?;
        let next = match next.transpose()? {
            Some(crate::crud::Value::DateTime(at)) => Some(at),
            _ => None,
        };
        Ok(Swept { removed: i64::try_from(removed).unwrap_or(AT_ONCE), next })
    })?;
    store.answered(answer).await
}
