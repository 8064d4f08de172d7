//! What changes in a table, kept by triggers in the same transaction as the change.
//!
//! The table of changes is the buffer: whoever is slow reads it later, until it has been trimmed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension};
use tokio::sync::watch;

use super::table::{Table, quoted};
use super::{SqliteStore, error};
use crate::crud::store::{Change, Changes, ChangesError, Row, StoreError};

/// The tables of all collections' changes. A token is a `seq`; what `since` says of a collection, and before, is not kept.
const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS zg_changes(
        seq INTEGER PRIMARY KEY AUTOINCREMENT, coll TEXT NOT NULL, old_ver INTEGER, old BLOB, new_ver INTEGER, new BLOB) STRICT;
    CREATE INDEX IF NOT EXISTS zg_i_changes ON zg_changes(coll, seq);
    CREATE TABLE IF NOT EXISTS zg_feeds(coll TEXT PRIMARY KEY, since INTEGER NOT NULL) STRICT;";
/// Changes that are kept, those of all collections together.
const KEPT: i64 = 10_000;
/// Changes of other collections after which a feed that has nothing to tell says where it is, before that is forgotten.
const QUIET: i64 = KEPT / 10;
/// Changes and bytes that are read at once.
const BATCH: i64 = 64;
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// How often it is looked for changes of which no commit of ours tells: other processes may write, too.
const LOOK: Duration = Duration::from_secs(1);

/// Makes triggers that keep what changes in `table` from now on.
pub(super) fn keep(db: &Connection, table: &Table) -> Result<(), StoreError> {
    let (name, text) = (quoted(&table.name), table.name.replace('\'', "''"));
    let mut sql = String::from(TABLES);
    for (event, columns, values) in [
        ("INSERT", "new_ver,new", "NEW.ver,NEW.doc"),
        ("UPDATE", "old_ver,old,new_ver,new", "OLD.ver,OLD.doc,NEW.ver,NEW.doc"),
        ("DELETE", "old_ver,old", "OLD.ver,OLD.doc"),
    ] {
        let trigger = quoted(&format!("zg_t_{}_{}", table.name, event.to_ascii_lowercase()));
        sql.push_str(&format!(
            "CREATE TRIGGER IF NOT EXISTS {trigger} AFTER {event} ON {name} BEGIN
               INSERT INTO zg_changes(coll,{columns}) VALUES('{text}',{values});
               DELETE FROM zg_changes WHERE seq <= last_insert_rowid() - {KEPT};
             END;"
        ));
    }
    sql.push_str(&format!("INSERT INTO zg_feeds(coll, since) VALUES('{text}', {LAST}) ON CONFLICT(coll) DO NOTHING;"));
    db.execute_batch(&sql).map_err(error::plain)
}

/// The number of the last change of any collection.
const LAST: &str = "coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'zg_changes'), 0)";

/// Forgets the changes of `table`, whose rows are about to take another shape, and the triggers that would keep this one.
pub(super) fn forget(db: &Connection, table: &Table) -> Result<(), StoreError> {
    let known = db
        .prepare("SELECT 1 FROM sqlite_schema WHERE name = 'zg_changes'")
        .and_then(|mut s| s.exists([]))
        .map_err(error::plain)?;
    if !known {
        return Ok(());
    }
    for event in ["insert", "update", "delete"] {
        let trigger = quoted(&format!("zg_t_{}_{event}", table.name));
        db.execute_batch(&format!("DROP TRIGGER IF EXISTS {trigger}")).map_err(error::plain)?;
    }
    db.execute("DELETE FROM zg_changes WHERE coll = ?", [&table.name]).map_err(error::plain)?;
    db.execute("DELETE FROM zg_feeds WHERE coll = ?", [&table.name]).map(drop).map_err(error::plain)
}

/// The changes of `table` after a token, or from now on.
pub(super) async fn changes(
    store: &SqliteStore,
    table: &Arc<Table>,
    after: Option<String>,
) -> Result<Changes, ChangesError> {
    let commits = store.inner.commits.clone();
    let name = table.name.clone();
    let token = match after.as_deref().map(str::parse) {
        Some(Ok(token)) => Some(token),
        Some(Err(_)) => return Err(ChangesError::Lost),
        None => None,
    };
    let answer = store.read(move |db| bounds(db, &name))?;
    let (first, latest) = store.answered(answer).await?;
    let last = token.unwrap_or(latest);
    if !(first..=latest).contains(&last) {
        return Err(ChangesError::Lost);
    }
    let (store, table) = (store.clone(), Arc::clone(table));
    let feed = Feed { store, table, last, told: last, waiting: VecDeque::new(), commits };
    let stream = stream::unfold(Some(feed), |feed| async {
        let mut feed = feed?;
        match feed.next().await {
            Ok(change) => Some((Ok(change), Some(feed))),
            Err(error) => Some((Err(error), None)),
        }
    });
    Ok(Changes { from: Some(last.to_string()), stream: Box::pin(stream) })
}

/// The least token after which all changes are kept, and the number of the last change.
fn bounds(db: &Connection, coll: &str) -> Result<(i64, i64), StoreError> {
    let sql = format!("SELECT {LAST}, (SELECT min(seq) FROM zg_changes), (SELECT since FROM zg_feeds WHERE coll = ?)");
    let (last, first, since): (i64, Option<i64>, Option<i64>) = db
        .prepare_cached(&sql)
        .and_then(|mut s| s.query_row([coll], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))))
        .map_err(error::plain)?;
    Ok((since.unwrap_or(last).max(first.map_or(0, |first| first - 1)), last))
}

struct Feed {
    store: SqliteStore,
    table: Arc<Table>,
    /// What was read.
    last: i64,
    /// What was told.
    told: i64,
    waiting: VecDeque<(i64, Change)>,
    commits: watch::Receiver<()>,
}

impl Feed {
    async fn next(&mut self) -> Result<Change, ChangesError> {
        loop {
            if let Some((seq, change)) = self.waiting.pop_front() {
                self.last = seq;
                self.told = seq;
                return Ok(change);
            }
            self.commits.mark_unchanged();
            let (table, last) = (Arc::clone(&self.table), self.last);
            let answer = self.store.read(move |db| batch(db, &table.name, last))?;
            let (waiting, latest) = self.store.answered(answer).await?.ok_or(ChangesError::Lost)?;
            self.waiting = waiting;
            if self.waiting.is_empty() {
                // All that came meanwhile is about other collections.
                self.last = latest;
                if latest - self.told >= QUIET {
                    self.told = latest;
                    return Ok(Change { token: latest.to_string(), before: None, after: None });
                }
                match tokio::time::timeout(LOOK, self.commits.changed()).await {
                    Ok(Ok(())) | Err(_) => {}
                    Ok(Err(_)) => return Err(super::stopped().into()),
                }
            }
        }
    }
}

/// Changes and their numbers.
type Batch = VecDeque<(i64, Change)>;

/// The next changes, and a number up to which there are no others; none when the feed has fallen behind what is kept.
fn batch(db: &Connection, coll: &str, last: i64) -> Result<Option<(Batch, i64)>, StoreError> {
    let (_, latest) = bounds(db, coll)?;
    let mut statement = db
        .prepare_cached(
            "SELECT seq, old_ver, json(old), new_ver, json(new) FROM zg_changes WHERE coll = ? AND seq > ? ORDER BY seq LIMIT ?",
        )
        .map_err(error::plain)?;
    let mut rows = statement.query((coll, last, BATCH)).map_err(error::plain)?;
    let (mut found, mut bytes) = (VecDeque::new(), 0);
    while let Some(row) = rows.next().map_err(error::plain)? {
        let seq: i64 = row.get(0).map_err(error::plain)?;
        let (before, after) = (image(row, 1).map_err(error::plain)?, image(row, 3).map_err(error::plain)?);
        bytes += [&before, &after].into_iter().flatten().map(|row| row.json.len()).sum::<usize>();
        found.push_back((seq, Change { token: seq.to_string(), before, after }));
        if bytes > BATCH_BYTES {
            break;
        }
    }
    // Looked at in the end, so that nothing can have been forgotten before it was read.
    let (first, _) = bounds(db, coll)?;
    Ok((last >= first).then_some((found, latest)))
}

fn image(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Option<Row>> {
    let Some(version) = row.get(column)? else { return Ok(None) };
    let json = match row.get_ref(column + 1)? {
        ValueRef::Text(text) => Bytes::copy_from_slice(text),
        other => return Err(rusqlite::Error::InvalidColumnType(column + 1, "doc".into(), other.data_type())),
    };
    Ok(Some(Row { version, json }))
}

/// Whether changes of this table are being kept.
pub(super) fn are_kept(db: &Connection, table: &Table) -> Result<bool, StoreError> {
    let known = db
        .query_row("SELECT 1 FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ? LIMIT 1", [&table.name], |_| {
            Ok(())
        })
        .optional();
    known.map(|found| found.is_some()).map_err(error::plain)
}
