//! Several writes as one.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;

use super::collection::SqliteCollection;
use super::writes::Planned;
use super::{SqliteStore, keys};
use crate::crud::store::{Key, Once, Outcome, Refusal, Row, StoreError, Write, WriteError, once};

/// Does all of `writes`, or nothing.
pub(super) async fn run(
    store: &SqliteStore,
    writes: Vec<(SqliteCollection, Write)>,
) -> Result<Vec<Option<Row>>, WriteError> {
    let planned = plan(writes, |(collection, write)| match collection.store.is(store) {
        true => collection.plan(write),
        false => Err(StoreError::foreign()),
    })?;
    let stopped = Stopped::default();
    let seen = stopped.clone();
    let answer = store.write(move |db| seen.run(db, planned))?;
    store.answered(answer).await.map_err(|error| stopped.by(error))
}

/// Does all of `writes` and keeps the key with what they wrote, or nothing.
pub(super) async fn once(collection: &SqliteCollection, writes: Vec<Write>, key: Key) -> Result<Once, WriteError> {
    let planned = plan(writes, |write| collection.plan(write))?;
    let stopped = Stopped::default();
    let seen = stopped.clone();
    let answer = collection.store.write(move |db| {
        // The one writer: nobody comes between the looking and the writing.
        if let Some(once) = keys::recall(db, &key)? {
            return Ok(once);
        }
        let rows = seen.run(db, planned)?;
        seen.note(rows.len(), None);
        let rows: Vec<Row> = rows.into_iter().flatten().collect();
        keys::record(db, &key, &once::kept(&rows)?)?;
        Ok(Once::Done(rows))
    })?;
    collection.store.answered(answer).await.map_err(|error| stopped.by(error))
}

fn plan<W>(writes: Vec<W>, plan: impl Fn(W) -> Result<Planned, StoreError>) -> Result<Vec<Planned>, WriteError> {
    let ready = |(index, write)| plan(write).map_err(|error| WriteError { index, why: Refusal::Store(error) });
    writes.into_iter().enumerate().map(ready).collect()
}

/// Where it was stopped, and whether because of the row.
#[derive(Clone, Default)]
struct Stopped(Arc<Mutex<(usize, Option<Refusal>)>>);

impl Stopped {
    fn note(&self, index: usize, why: Option<Refusal>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (index, why);
    }

    /// Does one after the other; an error undoes what was done before.
    fn run(&self, db: &Connection, planned: Vec<Planned>) -> Result<Vec<Option<Row>>, StoreError> {
        let mut rows = Vec::with_capacity(planned.len());
        for (index, planned) in planned.into_iter().enumerate() {
            self.note(index, None);
            rows.push(match planned.run(db)? {
                Outcome::Done(row) => row,
                outcome => {
                    let is_there = outcome == Outcome::Changed;
                    self.note(index, Some(if is_there { Refusal::Changed } else { Refusal::NotFound }));
                    return Err(StoreError::Internal("a row is not as it was expected".into()));
                }
            });
        }
        Ok(rows)
    }

    fn by(&self, error: StoreError) -> WriteError {
        let (index, why) = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        WriteError { index, why: why.unwrap_or(Refusal::Store(error)) }
    }
}
