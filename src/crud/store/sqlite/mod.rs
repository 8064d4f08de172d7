//! SQLite, embedded.
//!
//! One thread writes and groups what waits into one transaction; others read, each over a connection of its own. A write
//! is answered after its transaction is on the disk ([`Durability::Full`]).
//!
//! Rows are kept as JSONB in a table for each schema, shaped like the answer. JSONB keeps the text of every number and
//! string as it was written, so a row is read back equal to the byte; the conformance suite checks it.
//!
//! The file must be on a local disk. Only one process opens it unless [`SqliteOptions::shared`] is set.
//!
//! ```
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//!
//! use ziggurat::crud::schema::{Bounds, Field, Type, Unknown};
//! use ziggurat::crud::store::sqlite::{SqliteOptions, SqliteStore};
//! use ziggurat::crud::store::{Collection, Store};
//! use ziggurat::crud::{Expr, Schema, Value};
//!
//! let int = || Type::Int(Bounds::default());
//! let fields = vec![Field::new("id", int()), Field::new("age", int())];
//! let schema = Schema { name: "Cat".into(), fields, id: Some(0), unknown: Unknown::Forbid };
//!
//! let store = SqliteStore::in_memory(SqliteOptions::default())?;
//! let cats = store.open(Arc::new(schema)).await?;
//! cats.insert(Value::Object(vec![Value::Int(1), Value::Int(9)])).await?;
//! let cat = cats.get(Value::Int(1), Expr::True).await?.ok_or("no cat")?;
//! assert_eq!(&cat.json[..], br#"{"id":1,"age":9}"#);
//! store.close().await;
//! # Ok(())
//! # }
//! # tokio::runtime::Runtime::new().unwrap().block_on(run()).unwrap();
//! ```

mod backup;
mod changes;
mod collection;
mod compile;
mod ddl;
mod error;
mod expire;
mod functions;
mod group;
mod indexes;
mod keys;
mod open;
mod place;
mod plan;
mod queue;
mod readers;
mod reshape;
mod search;
mod table;
#[cfg(test)]
mod tests;
mod transact;
mod writer;
mod writes;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::oneshot;

pub use backup::backup;
pub use collection::SqliteCollection;
pub use plan::plan;
// For what else is kept in files of SQLite.
#[cfg(feature = "rate-limit")]
pub(crate) use open::writer as connect;
#[cfg(feature = "rate-limit")]
pub(crate) use place::check as check_place;

use super::steps::Look;
use super::{OpenError, Row, Step, Store, StoreError, Write, WriteError, log};
use crate::ConfigError;
use crate::crud::Schema;
use crate::service::stopwatch::in_store;
use queue::Queue;
use table::Table;

/// What an acknowledged write survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// The loss of power, if the disk is honest.
    #[default]
    Full,
    /// The death of the process; a loss of power may undo the last writes, but never damages the file.
    Normal,
    /// Nothing.
    Off,
}

/// How a SQLite store works.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SqliteOptions {
    /// What an acknowledged write survives.
    pub durability: Durability,
    /// How many threads read.
    pub readers: usize,
    /// How many operations may wait; more are answered with [`StoreError::Unavailable`].
    pub queue: usize,
    /// How long an operation may take, waiting included.
    pub timeout: Duration,
    /// Other processes may open the file as well.
    pub shared: bool,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        let readers = thread::available_parallelism().map_or(2, usize::from).clamp(2, 16);
        Self { durability: Durability::Full, readers, queue: 1024, timeout: Duration::from_secs(5), shared: false }
    }
}

impl SqliteOptions {
    /// What an acknowledged write survives.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// How many threads read.
    #[must_use]
    pub fn readers(mut self, readers: usize) -> Self {
        self.readers = readers;
        self
    }

    /// How many operations may wait.
    #[must_use]
    pub fn queue(mut self, queue: usize) -> Self {
        self.queue = queue;
        self
    }

    /// How long an operation may take.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Whether other processes may open the file as well.
    #[must_use]
    pub fn shared(mut self, shared: bool) -> Self {
        self.shared = shared;
        self
    }
}

/// A store in one file.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    inner: Arc<Inner>,
}

struct Inner {
    /// As it was given.
    name: String,
    timeout: Duration,
    writes: Arc<Queue<Box<dyn writer::Job>>>,
    reads: Arc<Queue<readers::Job>>,
    /// Told of each commit.
    commits: tokio::sync::watch::Receiver<()>,
    /// How many commits there were; none where other processes write, too.
    written: Option<Arc<AtomicU64>>,
    /// Closed when the last thread has ended.
    ended: tokio::sync::watch::Receiver<()>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.reads.close();
        self.writes.close();
    }
}

impl SqliteStore {
    /// Opens the file at `path`, making it when it is missing, but not its folder.
    ///
    /// # Errors
    /// When the file cannot be written, is no database, or is in use by another process.
    pub fn open(path: impl AsRef<Path>, options: SqliteOptions) -> Result<Self, OpenError> {
        let path = path.as_ref();
        place::check(path)?;
        let lock = if options.shared { open::Lock::none() } else { open::Lock::take(path)? };
        Self::start(path, path.display().to_string(), lock, &options)
    }

    /// Opens an empty store that is gone when it is closed.
    ///
    /// It is a file of its own in the system's folder for temporary files, since several connections can share no
    /// database in memory without locking each other out; nothing of it is synced to the disk.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn in_memory(options: SqliteOptions) -> Result<Self, OpenError> {
        let options = SqliteOptions { durability: Durability::Off, ..options };
        let folder = std::env::temp_dir().join(format!("ziggurat-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&folder)
            .map_err(|error| ConfigError::new(format!("the folder {} cannot be made: {error}", folder.display())))?;
        let lock = open::Lock::none().scratch(Some(folder.clone()));
        Self::start(&folder.join("store.db"), ":memory:".into(), lock, &options)
    }

    fn start(path: &Path, name: String, lock: open::Lock, options: &SqliteOptions) -> Result<Self, OpenError> {
        let path: PathBuf = path.into();
        let lock = Arc::new(lock);
        let writes = Arc::new(Queue::new(options.queue));
        let reads = Arc::new(Queue::new(options.queue));
        let (alive, ended) = tokio::sync::watch::channel(());
        let alive = Arc::new(alive);
        let (committed, commits) = tokio::sync::watch::channel(());
        let (queued, asked) = (Arc::clone(&writes), Arc::clone(&reads));
        let written = Arc::new(AtomicU64::new(0));
        let known = (!options.shared).then(|| Arc::clone(&written));
        let inner =
            Inner { name, timeout: options.timeout, writes: queued, reads: asked, commits, written: known, ended };
        let db = open::writer(&path, options.durability)?;
        spawn("ziggurat-db-write", (Arc::clone(&lock), Arc::clone(&alive)), db, move |db| {
            writer::run(db, writes, committed, &written)
        })?;
        for _ in 0..options.readers.max(1) {
            let db = open::reader(&path)?;
            let reads = Arc::clone(&reads);
            spawn("ziggurat-db-read", (Arc::clone(&lock), Arc::clone(&alive)), db, move |db| readers::run(db, reads))?;
        }
        Ok(Self { inner: Arc::new(inner) })
    }

    /// How many commits there were, as far as nobody else makes some.
    fn writes(&self) -> Option<u64> {
        // Read before a query, so that what it finds is at least as new.
        self.inner.written.as_ref().map(|written| written.load(Ordering::Acquire))
    }

    /// Whether they are the same.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// Brings a table in line with its schema; what was done.
    async fn ensure(&self, table: &Arc<Table>, told: impl Fn(u64) + Send + 'static) -> Result<Vec<Step>, OpenError> {
        let table = Arc::clone(table);
        // Building an index may take its time, so there is no deadline.
        let answer = self.write(move |db| {
            let steps = plan::of(db, &table, Look::Shape)?;
            ddl::ensure(db, &table, &told)?;
            Ok(steps)
        })?;
        let steps = answer.await.unwrap_or_else(|_| Err(stopped())).map_err(opened)?;
        log(&steps);
        Ok(steps)
    }

    /// Queues a write at once; the answer may be waited for or not.
    fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<oneshot::Receiver<Result<T, StoreError>>, StoreError> {
        let (job, answer) = writer::Write::new(work);
        self.inner.writes.push(Box::new(job))?;
        Ok(answer)
    }

    /// Queues a read at once.
    fn read<T: Send + 'static>(
        &self,
        work: impl FnMut(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<oneshot::Receiver<Result<T, StoreError>>, StoreError> {
        let (job, answer) = readers::Job::new(self.inner.timeout, work);
        self.inner.reads.push(job)?;
        Ok(answer)
    }

    /// Waits for an answer as long as an operation may take.
    async fn answered<T>(&self, answer: oneshot::Receiver<Result<T, StoreError>>) -> Result<T, StoreError> {
        match in_store(tokio::time::timeout(self.inner.timeout, answer)).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(stopped()),
            Err(_) => Err(StoreError::Timeout),
        }
    }
}

/// Why a collection cannot be opened: a [`ConfigError`] comes boxed.
fn opened(error: StoreError) -> OpenError {
    match error {
        StoreError::Internal(error) => match error.downcast::<ConfigError>() {
            Ok(config) => OpenError::Config(*config),
            Err(error) => OpenError::Store(StoreError::Internal(error)),
        },
        other => other.into(),
    }
}

/// Long enough for what is only done once.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn stopped() -> StoreError {
    StoreError::Unavailable { source: "a thread of the store has stopped".into(), retry_after: 1 }
}

/// Starts a thread that holds `until_end` as long as it lives, and longer than its connection.
fn spawn<T: Send + 'static>(
    name: &str,
    until_end: T,
    db: Connection,
    body: impl FnOnce(Connection) + Send + 'static,
) -> Result<(), OpenError> {
    let thread = thread::Builder::new().name(name.into()).spawn(move || {
        let until_end = until_end;
        body(db);
        drop(until_end);
    });
    thread.map(drop).map_err(|error| ConfigError::new(format!("no thread for the store: {error}")).into())
}

impl Store for SqliteStore {
    type Collection = SqliteCollection;

    async fn open(&self, schema: Arc<Schema>) -> Result<SqliteCollection, OpenError> {
        let table = Arc::new(Table::new(schema)?);
        self.ensure(&table, |_| {}).await?;
        expire::start(self, &table);
        Ok(SqliteCollection::new(self.clone(), table))
    }

    async fn plan(&self, schema: Arc<Schema>) -> Result<Vec<Step>, OpenError> {
        let table = Table::new(schema)?;
        // Looking at each row may take its time, too.
        let (job, answer) = readers::Job::new(DAY, move |db| plan::of(db, &table, Look::Rows));
        self.inner.reads.push(job)?;
        answer.await.unwrap_or_else(|_| Err(stopped())).map_err(opened)
    }

    async fn apply(
        &self,
        schema: Arc<Schema>,
        told: impl Fn(u64) + Send + Sync + 'static,
    ) -> Result<Vec<Step>, OpenError> {
        self.ensure(&Arc::new(Table::new(schema)?), told).await
    }

    async fn transact(&self, writes: Vec<(SqliteCollection, Write)>) -> Result<Vec<Option<Row>>, WriteError> {
        transact::run(self, writes).await
    }

    fn describe(&self) -> String {
        format!("sqlite {}", self.inner.name)
    }

    async fn close(&self) {
        self.inner.reads.close();
        self.inner.writes.close();
        // Fails when the last sender is dropped, which is what is waited for.
        let mut ended = self.inner.ended.clone();
        while ended.changed().await.is_ok() {}
    }
}
