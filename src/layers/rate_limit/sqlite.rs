//! Quotas in a SQLite file.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use tokio::sync::oneshot;

use super::shared::QuotaStore;
use super::{InMemory, Quota, Verdict};
use crate::crud::store::sqlite::{Durability, check_place, connect};
use crate::{BoxError, ConfigError};

/// How many requests may wait for the file; more fail at once.
const WAITING: usize = 1024;
/// How many are taken in one transaction at most.
const TOGETHER: usize = 256;
/// How often keys are deleted whose time has passed.
const SWEEP: Duration = Duration::from_secs(10);
/// Longer than any time of a key is ahead: the clock was set back since it was written.
const AHEAD: u64 = 2 * 366 * 24 * 60 * 60 * 1_000_000_000;

const TABLE: &str =
    "CREATE TABLE IF NOT EXISTS ziggurat_quotas (key BLOB PRIMARY KEY, arrival INTEGER NOT NULL) STRICT, WITHOUT ROWID";
const READ: &str = "SELECT arrival FROM ziggurat_quotas WHERE key = ?1";
const WRITE: &str = "INSERT INTO ziggurat_quotas (key, arrival) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET arrival = excluded.arrival";
const PASSED: &str = "DELETE FROM ziggurat_quotas WHERE arrival <= ?1 OR arrival > ?2";
const COUNT: &str = "SELECT count(*) FROM ziggurat_quotas";
const SOONEST: &str =
    "DELETE FROM ziggurat_quotas WHERE key IN (SELECT key FROM ziggurat_quotas ORDER BY arrival LIMIT ?1)";

/// A SQLite file that the processes of one machine share. Clones share a connection.
///
/// A thread of its own takes what waits in one transaction, which keeps other processes out while it reads and writes. It is begun by the
/// first request. The file is one for quotas alone: it is not synced to the disk at each request, and a write to it should not wait
/// for others.
#[derive(Debug, Clone)]
pub struct SqliteQuotas {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    max_keys: u64,
    jobs: Mutex<Option<SyncSender<Job>>>,
}

/// One request that asks.
struct Job {
    key: [u8; 16],
    quota: Quota,
    /// When nobody waits for it any more.
    until: Instant,
    answer: oneshot::Sender<Result<Verdict, Arc<str>>>,
}

impl SqliteQuotas {
    /// The file at `path`, which is made when it is missing, but not its folder. About so many keys are remembered; then those make
    /// way who have taken least.
    ///
    /// # Errors
    /// When no such file can be there, or `max_keys` is none.
    pub fn open(path: impl Into<PathBuf>, max_keys: usize) -> Result<Self, ConfigError> {
        let path = path.into();
        check_place(&path)?;
        // The same bounds for both.
        InMemory::check(max_keys)?;
        Ok(Self { inner: Arc::new(Inner { path, max_keys: max_keys as u64, jobs: Mutex::new(None) }) })
    }
}

impl Inner {
    fn push(&self, job: Job) -> Result<(), BoxError> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let mut job = Some(job);
        // Twice, as the thread may have ended by a panic.
        for _ in 0..2 {
            let sender = match &*jobs {
                Some(sender) => sender,
                None => jobs.insert(self.begin()?),
            };
            match job.take().map(|job| sender.try_send(job)) {
                None | Some(Ok(())) => return Ok(()),
                Some(Err(TrySendError::Full(_))) => return Err("too many requests wait for it".into()),
                Some(Err(TrySendError::Disconnected(back))) => {
                    job = Some(back);
                    *jobs = None;
                }
            }
        }
        Err("its thread has ended".into())
    }

    /// Not earlier: a process that forks has no threads then.
    fn begin(&self) -> Result<SyncSender<Job>, BoxError> {
        let (sender, jobs) = sync_channel(WAITING);
        let (path, max_keys) = (self.path.clone(), self.max_keys);
        std::thread::Builder::new()
            .name("ziggurat-quotas".to_owned())
            .spawn(move || Keeper { path, max_keys, db: None, swept: None }.run(&jobs))?;
        Ok(sender)
    }
}

impl QuotaStore for SqliteQuotas {
    fn describe(&self) -> String {
        format!("sqlite {}", self.inner.path.display())
    }

    fn take(
        &self,
        key: [u8; 16],
        quota: Quota,
        limit: Duration,
    ) -> impl Future<Output = Result<Verdict, BoxError>> + Send + 'static {
        let (answer, answered) = oneshot::channel();
        let pushed = self.inner.push(Job { key, quota, until: Instant::now() + limit, answer });
        async move {
            pushed?;
            match tokio::time::timeout(limit, answered).await {
                Ok(Ok(outcome)) => outcome.map_err(|error| error.as_ref().into()),
                Ok(Err(_)) => Err("its thread has ended".into()),
                Err(_) => Err(format!("no answer within {} s", limit.as_secs_f64()).into()),
            }
        }
    }
}

/// The thread.
struct Keeper {
    path: PathBuf,
    max_keys: u64,
    db: Option<Connection>,
    swept: Option<Instant>,
}

impl Keeper {
    fn run(mut self, jobs: &Receiver<Job>) {
        let mut batch = Vec::new();
        while let Ok(first) = jobs.recv() {
            batch.push(first);
            batch.extend(std::iter::from_fn(|| jobs.try_recv().ok()).take(TOGETHER - 1));
            // Who has gone on without it is not counted.
            batch.retain(|job| !job.answer.is_closed() && Instant::now() < job.until);
            if batch.is_empty() {
                continue;
            }
            let outcome = self.settle(&batch);
            if outcome.is_err() {
                // Whatever was wrong: the file may have been replaced.
                self.db = None;
            }
            match outcome {
                Ok(verdicts) => {
                    for (job, verdict) in batch.drain(..).zip(verdicts) {
                        let _ = job.answer.send(Ok(verdict));
                    }
                }
                Err(error) => {
                    let error: Arc<str> = error.to_string().into();
                    for job in batch.drain(..) {
                        let _ = job.answer.send(Err(error.clone()));
                    }
                }
            }
        }
    }

    fn settle(&mut self, batch: &[Job]) -> Result<Vec<Verdict>, BoxError> {
        let db = match &mut self.db {
            Some(db) => db,
            none => none.insert(open(&self.path)?),
        };
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let now = now();
        let verdicts =
            batch.iter().map(|job| take(&transaction, &job.key, &job.quota, now)).collect::<Result<_, _>>()?;
        if self.swept.is_none_or(|swept| swept.elapsed() >= SWEEP) {
            sweep(&transaction, self.max_keys, now)?;
            self.swept = Some(Instant::now());
        }
        transaction.commit()?;
        Ok(verdicts)
    }
}

fn open(path: &Path) -> Result<Connection, BoxError> {
    let mut db = connect(path, Durability::Normal)?;
    db.busy_handler(Some(wait))?;
    db.execute(TABLE, [])?;
    Ok(db)
}

/// Another process writes, which takes it a fraction of a millisecond: SQLite's own handler would soon sleep for much longer.
fn wait(times: i32) -> bool {
    std::thread::sleep(Duration::from_micros(100 * u64::from(times.clamp(1, 10).unsigned_abs())));
    times < 250
}

/// By the clock that the processes of a machine share.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or_default()
}

fn take(db: &Transaction<'_>, key: &[u8; 16], quota: &Quota, now: u64) -> rusqlite::Result<Verdict> {
    let arrival: Option<i64> = db.prepare_cached(READ)?.query_row([key], |row| row.get(0)).optional()?;
    let before = arrival.and_then(|arrival| u64::try_from(arrival).ok()).unwrap_or(0);
    let (verdict, after) = quota.take(before, now);
    if after != before {
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        db.prepare_cached(WRITE)?.execute(params![key, after])?;
    }
    Ok(verdict)
}

fn sweep(db: &Transaction<'_>, max_keys: u64, now: u64) -> rusqlite::Result<()> {
    let time = |time: u64| i64::try_from(time).unwrap_or(i64::MAX);
    db.prepare_cached(PASSED)?.execute([time(now), time(now.saturating_add(AHEAD))])?;
    let count: i64 = db.prepare_cached(COUNT)?.query_row([], |row| row.get(0))?;
    let excess = u64::try_from(count).unwrap_or(0).saturating_sub(max_keys);
    if excess > 0 {
        db.prepare_cached(SOONEST)?.execute([time(excess)])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    /// Some time in 2026.
    const NOW: u64 = 1_780_000_000 * SECOND;

    fn quota() -> Quota {
        Quota::new(2, Duration::from_secs(20)).unwrap()
    }

    fn file() -> (tempfile::TempDir, Connection) {
        let folder = tempfile::tempdir().unwrap();
        let db = open(&folder.path().join("quotas.db")).unwrap();
        (folder, db)
    }

    fn is_allowed(db: &mut Connection, key: u8, now: u64) -> bool {
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
        let verdict = take(&transaction, &[key; 16], &quota(), now).unwrap();
        transaction.commit().unwrap();
        matches!(verdict, Verdict::Allowed { .. })
    }

    #[test]
    fn a_clock_that_is_set_back_holds_nobody_for_long() {
        let (_folder, mut db) = file();
        assert!([true, true, false].iter().all(|wanted| is_allowed(&mut db, 1, NOW) == *wanted));
        // By a year: what was taken counts on, and comes back as it would have.
        let back = NOW - 365 * 86_400 * SECOND;
        assert!(!is_allowed(&mut db, 1, back));
        assert!(!is_allowed(&mut db, 1, back + 9 * SECOND));
        assert!(is_allowed(&mut db, 1, back + 10 * SECOND));
        assert!(!is_allowed(&mut db, 1, back + 10 * SECOND));
    }

    #[test]
    fn keys_whose_time_has_passed_are_deleted_and_those_who_have_taken_least() {
        let (_folder, mut db) = file();
        for key in 0..10 {
            assert!(is_allowed(&mut db, key, NOW));
        }
        assert!(is_allowed(&mut db, 3, NOW) && is_allowed(&mut db, 4, NOW));
        let mut left = |max_keys, now| {
            let transaction = db.transaction().unwrap();
            sweep(&transaction, max_keys, now).unwrap();
            transaction.commit().unwrap();
            let mut keys = db.prepare("SELECT key FROM ziggurat_quotas ORDER BY key").unwrap();
            let keys = keys.query_map([], |row| row.get::<_, [u8; 16]>(0)).unwrap();
            keys.map(|key| key.unwrap()[0]).collect::<Vec<_>>()
        };
        assert_eq!(left(10, NOW).len(), 10);
        let seven = left(7, NOW);
        assert!(seven.len() == 7 && seven.contains(&3) && seven.contains(&4), "{seven:?}");
        assert_eq!(left(7, NOW + 10 * SECOND), [3, 4]);
        assert!(left(7, NOW + 20 * SECOND).is_empty());
        assert!(is_allowed(&mut db, 1, NOW));
        let mut left = |now| {
            let transaction = db.transaction().unwrap();
            sweep(&transaction, 10, now).unwrap();
            transaction.commit().unwrap();
            db.query_row(COUNT, [], |row| row.get::<_, i64>(0)).unwrap()
        };
        assert_eq!((left(NOW - AHEAD + 60 * SECOND), left(NOW - AHEAD)), (1, 0), "of a clock that was set back");
    }
}
