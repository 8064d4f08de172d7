//! The one thread that writes.
//!
//! Writes that wait together share a transaction, so one sync of the disk pays for up to [`GROUP`] of them. Each has its
//! own savepoint and fails alone; none is answered before the commit.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

use super::error;
use super::queue::{Popper, Queue};
use crate::crud::StoreError;

/// How many writes share one transaction at most.
const GROUP: usize = 64;

/// A write that waits for its turn.
pub(super) trait Job: Send {
    /// Does the work inside a savepoint; whether it is to be kept.
    fn run(&mut self, db: &Connection) -> bool;
    /// The transaction that held the work is lost.
    fn lost(&mut self, error: StoreError);
    /// Tells the caller; a caller that has gone away is no concern.
    fn answer(self: Box<Self>);
}

/// A [`Job`] made of a closure.
pub(super) struct Write<T, F> {
    work: Option<F>,
    result: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Write<T, F> {
    pub(super) fn new(work: F) -> (Self, oneshot::Receiver<Result<T, StoreError>>) {
        let (reply, answer) = oneshot::channel();
        (Self { work: Some(work), result: None, reply }, answer)
    }
}

impl<T: Send, F: FnOnce(&Connection) -> Result<T, StoreError> + Send> Job for Write<T, F> {
    fn run(&mut self, db: &Connection) -> bool {
        let Some(work) = self.work.take() else { return false };
        let result = catch_unwind(AssertUnwindSafe(|| work(db)))
            .unwrap_or_else(|_| Err(StoreError::Internal("a write panicked".into())));
        let keep = result.is_ok();
        self.result = Some(result);
        keep
    }

    fn lost(&mut self, error: StoreError) {
        if !matches!(self.result, Some(Err(_))) {
            self.result = Some(Err(error));
        }
    }

    fn answer(self: Box<Self>) {
        if let Some(result) = self.result {
            let _ = self.reply.send(result);
        }
    }
}

/// Runs until the queue is closed and empty, then leaves the file tidy.
pub(super) fn run(db: Connection, queue: Arc<Queue<Box<dyn Job>>>, committed: watch::Sender<()>, written: &AtomicU64) {
    let _popper = Popper(&queue);
    let mut group = Vec::with_capacity(GROUP);
    while let Some(first) = queue.pop() {
        group.push(first);
        queue.drain_into(&mut group, GROUP - 1);
        commit(&db, &mut group);
        // Before anybody learns of it; a reader that was quicker has the older number, which is right to be too old.
        written.fetch_add(1, Ordering::Release);
        committed.send_replace(());
        for job in group.drain(..) {
            job.answer();
        }
    }
    if let Err(error) = db.execute_batch("PRAGMA optimize; PRAGMA wal_checkpoint(TRUNCATE)") {
        tracing::warn!(%error, "the store file was closed without a checkpoint");
    }
}

/// Does all jobs in one transaction.
fn commit(db: &Connection, jobs: &mut [Box<dyn Job>]) {
    let mut from = 0;
    while from < jobs.len() {
        from += match transaction(db, &mut jobs[from..]) {
            Ok(done) => done,
            Err((tried, failure)) => {
                if !db.is_autocommit() {
                    // Nothing to do about a failure here; the next BEGIN will tell.
                    let _ = db.execute_batch("ROLLBACK");
                }
                for job in &mut jobs[from..from + tried] {
                    job.lost(failure.again());
                }
                tried
            }
        };
    }
}

/// One transaction over as many jobs as it survives: how many it has committed, or how many are lost and why.
fn transaction(db: &Connection, jobs: &mut [Box<dyn Job>]) -> Result<usize, (usize, StoreError)> {
    let all = jobs.len();
    // When no transaction can begin, none of them will fare better.
    execute(db, "BEGIN IMMEDIATE").map_err(|e| (all, e))?;
    for (index, job) in jobs.iter_mut().enumerate() {
        execute(db, "SAVEPOINT job").map_err(|e| (index + 1, e))?;
        let keep = job.run(db);
        if db.is_autocommit() {
            // A full disk or a failing one makes SQLite roll back everything: the earlier jobs are lost with this one.
            return Err((
                index + 1,
                StoreError::Unavailable { source: "the transaction was lost".into(), retry_after: 1 },
            ));
        }
        if !keep {
            execute(db, "ROLLBACK TO job").map_err(|e| (index + 1, e))?;
        }
        execute(db, "RELEASE job").map_err(|e| (index + 1, e))?;
    }
    execute(db, "COMMIT").map_err(|e| (all, e))?;
    Ok(all)
}

fn execute(db: &Connection, sql: &str) -> Result<(), StoreError> {
    db.prepare_cached(sql).and_then(|mut statement| statement.execute([])).map(drop).map_err(error::plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job<T: Send + 'static>(
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> (Box<dyn Job>, oneshot::Receiver<Result<T, StoreError>>) {
        let (write, answer) = Write::new(work);
        (Box::new(write), answer)
    }

    fn add(number: i64) -> (Box<dyn Job>, oneshot::Receiver<Result<(), StoreError>>) {
        job(move |db| db.execute("INSERT INTO t VALUES (?)", [number]).map(drop).map_err(error::plain))
    }

    fn rows(db: &Connection) -> i64 {
        db.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn a_failing_or_panicking_job_fails_alone() {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch("CREATE TABLE t(x UNIQUE)").unwrap();
        let (one, mut a1) = add(1);
        let (same, mut a2) = add(1);
        let (bad, mut a3) = job::<()>(|db| {
            db.execute("INSERT INTO t VALUES (7)", []).unwrap();
            panic!("on purpose")
        });
        let (two, mut a4) = add(2);
        let mut jobs = vec![one, same, bad, two];
        commit(&db, &mut jobs);
        for job in jobs {
            job.answer();
        }
        assert!(a1.try_recv().unwrap().is_ok());
        assert!(a2.try_recv().unwrap().is_err());
        assert!(matches!(a3.try_recv().unwrap(), Err(StoreError::Internal(_))));
        assert!(a4.try_recv().unwrap().is_ok());
        assert_eq!(rows(&db), 2);
    }

    #[test]
    fn a_lost_transaction_is_told_to_all_whose_work_it_held() {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch("CREATE TABLE t(x UNIQUE)").unwrap();
        let (one, mut a1) = add(1);
        // What SQLite does by itself when the disk is full.
        let (full, mut a2) = job::<()>(|db| {
            db.execute_batch("ROLLBACK").unwrap();
            Err(StoreError::Full)
        });
        let (two, mut a3) = add(2);
        let mut jobs = vec![one, full, two];
        commit(&db, &mut jobs);
        for job in jobs {
            job.answer();
        }
        assert!(matches!(a1.try_recv().unwrap(), Err(StoreError::Unavailable { .. })));
        assert!(matches!(a2.try_recv().unwrap(), Err(StoreError::Full)));
        assert!(a3.try_recv().unwrap().is_ok());
        assert_eq!(rows(&db), 1);
    }
}
