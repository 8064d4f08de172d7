//! The threads that read, each with a connection of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::error;
use super::queue::{Popper, Queue};
use crate::crud::StoreError;

/// A read that waits for a thread.
pub(super) struct Job {
    deadline: Instant,
    work: Box<dyn FnOnce(&Connection) + Send>,
}

impl Job {
    /// `work`, and where its answer will come. A read whose caller has gone away is not begun.
    pub(super) fn new<T: Send + 'static>(
        timeout: Duration,
        mut work: impl FnMut(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> (Self, oneshot::Receiver<Result<T, StoreError>>) {
        let (reply, answer) = oneshot::channel();
        let deadline = Instant::now() + timeout;
        let work = Box::new(move |db: &Connection| {
            if reply.is_closed() {
                return;
            }
            let result = if Instant::now() > deadline {
                Err(StoreError::Timeout)
            } else {
                catch_unwind(AssertUnwindSafe(|| settled(db, &mut work)))
                    .unwrap_or_else(|_| Err(StoreError::Internal("a read panicked".into())))
            };
            let _ = reply.send(result);
        });
        (Self { deadline, work }, answer)
    }
}

/// What `work` answers. Another process may change the schema at any time: SQLite does a statement over by itself then, but only once
/// where it opens a virtual table. So what fails because of that is done again on a snapshot, in which the schema stands still.
fn settled<T>(db: &Connection, work: &mut impl FnMut(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
    match work(db) {
        Err(error) if error::is_of_schema(&error) => {}
        result => return result,
    }
    let snapshot = db.unchecked_transaction().map_err(error::plain)?;
    snapshot.execute_batch("SELECT 1 FROM sqlite_schema LIMIT 1").map_err(error::plain)?;
    work(&snapshot)
}

/// Runs until the queue is closed and empty.
pub(super) fn run(mut db: Connection, queue: Arc<Queue<Job>>) {
    let _popper = Popper(&queue);
    let epoch = Instant::now();
    let deadline = Arc::new(AtomicU64::new(u64::MAX));
    let seen = Arc::clone(&deadline);
    // Asked every thousand steps of SQLite's machine, some ten microseconds: no query outlives its deadline for long.
    let expired = move || u128::from(seen.load(Ordering::Relaxed)) < epoch.elapsed().as_micros();
    if let Err(error) = db.progress_handler(1000, Some(expired)) {
        tracing::warn!(%error, "reads of this store have no deadline");
    }
    while let Some(job) = queue.pop() {
        let micros = job.deadline.saturating_duration_since(epoch).as_micros();
        deadline.store(u64::try_from(micros).unwrap_or(u64::MAX), Ordering::Relaxed);
        (job.work)(&db);
        deadline.store(u64::MAX, Ordering::Relaxed);
    }
}
