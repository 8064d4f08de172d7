//! Quotas in a SQLite file.

mod file;
mod sweep;

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rusqlite::{OptionalExtension, Transaction, params};
use tokio::sync::oneshot;

use self::file::QuotaFile;
use self::sweep::Sweep;
use super::shared::QuotaStore;
use super::{InMemory, Quota, Verdict};
use crate::crud::store::sqlite::check_place;
use crate::{BoxError, ConfigError};

/// How many requests may wait for the file; more fail at once.
const WAITING: usize = 1024;
/// How many are taken in one transaction at most.
const TOGETHER: usize = 256;
const READ: &str = "SELECT arrival FROM ziggurat_quotas WHERE key = ?1";
const WRITE: &str = "INSERT INTO ziggurat_quotas (key, arrival) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET arrival = excluded.arrival";

/// A SQLite file that the processes of one machine share. Clones share a connection.
///
/// A thread of its own takes what waits in one transaction, which keeps other processes out while it reads and writes. It is begun by the
/// first request. The file is one for quotas alone: it is not synced to the disk at each request, and a write to it should not wait
/// for others. Where it is deleted, all processes go on with a new one, and quotas begin anew.
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
            .spawn(move || Keeper { path, file: None, sweep: Sweep::new(max_keys) }.run(&jobs))?;
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
    file: Option<QuotaFile>,
    sweep: Sweep,
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
                self.file = None;
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
        if self.file.take_if(|file| !file.is_at(&self.path)).is_some() {
            tracing::warn!(path = %self.path.display(), "the file of quotas was deleted or replaced; they begin anew");
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(QuotaFile::open(&self.path)?),
        };
        let transaction = file.transaction()?;
        let now = now();
        let verdicts =
            batch.iter().map(|job| take(&transaction, &job.key, &job.quota, now)).collect::<Result<_, _>>()?;
        self.sweep.go_on(&transaction, now)?;
        transaction.commit()?;
        Ok(verdicts)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) const SECOND: u64 = 1_000_000_000;
    /// Some time in 2026.
    pub(super) const NOW: u64 = 1_780_000_000 * SECOND;

    pub(super) fn open() -> (tempfile::TempDir, QuotaFile) {
        let folder = tempfile::tempdir().unwrap();
        let file = QuotaFile::open(&folder.path().join("quotas.db")).unwrap();
        (folder, file)
    }

    pub(super) fn is_allowed(file: &mut QuotaFile, key: u8, now: u64) -> bool {
        let transaction = file.transaction().unwrap();
        let quota = Quota::new(2, Duration::from_secs(20)).unwrap();
        let verdict = take(&transaction, &[key; 16], &quota, now).unwrap();
        transaction.commit().unwrap();
        matches!(verdict, Verdict::Allowed { .. })
    }

    #[test]
    fn a_clock_that_is_set_back_holds_nobody_for_long() {
        let (_folder, mut file) = open();
        assert!([true, true, false].iter().all(|wanted| is_allowed(&mut file, 1, NOW) == *wanted));
        // By a year: what was taken counts on, and comes back as it would have.
        let back = NOW - 365 * 86_400 * SECOND;
        assert!(!is_allowed(&mut file, 1, back));
        assert!(!is_allowed(&mut file, 1, back + 9 * SECOND));
        assert!(is_allowed(&mut file, 1, back + 10 * SECOND));
        assert!(!is_allowed(&mut file, 1, back + 10 * SECOND));
    }
}
