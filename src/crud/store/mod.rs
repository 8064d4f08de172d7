//! Where rows are kept.
//!
//! A [`Store`] opens a [`Collection`] for each schema. Both stores pass one conformance suite and give byte-equal rows.

#[cfg(any(feature = "sqlite", feature = "mongodb"))]
mod any;
#[cfg(any(feature = "sqlite", feature = "mongodb"))]
mod differences;
#[cfg(any(feature = "sqlite", feature = "mongodb"))]
mod erased;
#[cfg(feature = "mongodb")]
pub mod mongo;
#[cfg(any(feature = "sqlite", feature = "mongodb"))]
mod names;
mod once;
mod plan;
#[cfg(any(feature = "sqlite", feature = "mongodb"))]
mod shape;
#[cfg(feature = "sqlite")]
pub mod sqlite;
#[cfg(any(feature = "sqlite", feature = "mongodb"))]
mod steps;

#[cfg(any(feature = "sqlite", feature = "mongodb"))]
pub use any::{AnyCollection, AnyStore, Plan};
#[cfg(any(feature = "sqlite", feature = "mongodb"))]
pub use erased::{DynCollection, DynStore};
pub use once::{Key, Once};
pub use plan::{Safety, Step, StepKind, plan};

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::Stream;

use super::query::Grouping;
use super::{Expr, Query, ReadFrom, Schema, Value};
use crate::{BoxError, ConfigError};

/// The largest document in bytes: what MongoDB takes, less the room for an update command around it. As JSON in SQLite, as
/// BSON in MongoDB.
#[cfg(any(feature = "sqlite", feature = "mongodb"))]
const MAX_DOCUMENT: usize = 16 * 1024 * 1024 - 64 * 1024;

/// A place that keeps collections of rows.
pub trait Store: Clone + Send + Sync + 'static {
    /// A collection of this store.
    type Collection: Collection;

    /// Opens the collection of `schema`, making its table and the indexes that are missing. Nothing is ever dropped.
    ///
    /// # Errors
    /// When the store is not there, or what it holds does not fit the schema.
    fn open(&self, schema: Arc<Schema>) -> impl Future<Output = Result<Self::Collection, OpenError>> + Send;

    /// Does all of these writes to collections of this store, or none: for each the row as it is now, nothing where it is gone. They see
    /// each other in their order.
    ///
    /// # Errors
    /// The first that cannot be done.
    fn transact(
        &self,
        writes: Vec<(Self::Collection, Write)>,
    ) -> impl Future<Output = Result<Vec<Option<Row>>, WriteError>> + Send;

    /// What [`open`](Self::open) would do to bring the store in line with `schema`, and what would stand in its way; nothing when
    /// they fit. Nothing is written.
    ///
    /// # Errors
    /// When the store is not there, or cannot keep rows of such a schema at all.
    fn plan(&self, schema: Arc<Schema>) -> impl Future<Output = Result<Vec<Step>, OpenError>> + Send;

    /// Brings the store in line with `schema` as [`open`](Self::open) does, and drops those of our indexes by which opening is refused.
    /// It gives the steps that were taken; `told` hears how many rows were written so far.
    ///
    /// SQLite does all of it or nothing. On MongoDB what was done before a failure stays, and the next attempt goes on from there.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    fn apply(
        &self,
        schema: Arc<Schema>,
        told: impl Fn(u64) + Send + Sync + 'static,
    ) -> impl Future<Output = Result<Vec<Step>, OpenError>> + Send;

    /// A short text for the start-up banner, without credentials: `sqlite app.db`.
    fn describe(&self) -> String;

    /// Finishes what is under way and closes. Later operations answer [`StoreError::Unavailable`].
    fn close(&self) -> impl Future<Output = ()> + Send;
}

/// Rows of one schema.
///
/// Every operation is atomic, and is carried to its end even when the caller drops the future.
pub trait Collection: Clone + Send + Sync + 'static {
    /// The same, with reads from these members of a replica set, where a store has such.
    #[must_use]
    fn reading_from(&self, members: ReadFrom) -> Self {
        let _ = members;
        self.clone()
    }

    /// The row with this id, if `only` holds for it.
    fn get(&self, id: Value<'static>, only: Expr) -> impl Future<Output = Result<Option<Row>, StoreError>> + Send;

    /// One page of rows.
    fn list(&self, query: Query) -> impl Future<Output = Result<Page, StoreError>> + Send;

    /// A number that is another one after each write to the store, and before the write is answered. None where the store does not know of
    /// all writes, as others may make some.
    fn writes(&self) -> Option<u64> {
        None
    }

    /// How many rows hold.
    fn count(&self, filter: Expr) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// How many rows there are, as far as the store knows without looking at them.
    fn estimate(&self) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Groups of rows, and what is computed over each.
    fn group(&self, grouping: Grouping) -> impl Future<Output = Result<Groups, StoreError>> + Send;

    /// Adds a row; `document` is a [`Value::Object`] in the order of the schema, its id included.
    fn insert(&self, document: Value<'static>) -> impl Future<Output = Result<Row, StoreError>> + Send;

    /// Adds all rows or none, each as [`insert`](Self::insert) does.
    fn insert_all(&self, documents: Vec<Value<'static>>) -> impl Future<Output = Result<Vec<Row>, RowError>> + Send;

    /// Adds rows of another store, as they are and with the versions that they had there. Each row is added as a whole, but not
    /// all of them need be when one is refused.
    fn import(&self, rows: Vec<(Value<'static>, i64)>) -> impl Future<Output = Result<(), RowError>> + Send;

    /// Prepares for [`once`](Self::once); done before the first of them.
    ///
    /// # Errors
    /// When the store has no transactions.
    fn keep_keys(&self) -> impl Future<Output = Result<(), OpenError>> + Send;

    /// What became of the request with this key, if it has come before: [`Once::Before`] or [`Once::Other`].
    fn recall(&self, key: Key) -> impl Future<Output = Result<Option<Once>, StoreError>> + Send;

    /// Does all of these writes or none, unless the request with this key has come before. The key, and what was written, are kept
    /// in the same atomic step.
    ///
    /// # Errors
    /// The first that cannot be done; its index is that behind the last when it is the key that cannot be kept.
    fn once(&self, writes: Vec<Write>, key: Key) -> impl Future<Output = Result<Once, WriteError>> + Send;

    /// Whether several rows can be written in one atomic step.
    fn has_transactions(&self) -> bool;

    /// Puts `document` in the place of the row with the same id, and with the same [shard key](Schema::shard_by) if the schema has one.
    fn replace(
        &self,
        document: Value<'static>,
        expect: Expect,
    ) -> impl Future<Output = Result<Outcome<Row>, StoreError>> + Send;

    /// Sets top-level fields, given by index, of the row with this id.
    fn update(
        &self,
        id: Value<'static>,
        changes: Vec<(usize, Value<'static>)>,
        expect: Expect,
    ) -> impl Future<Output = Result<Outcome<Row>, StoreError>> + Send;

    /// Removes the row with this id.
    fn delete(
        &self,
        id: Value<'static>,
        expect: Expect,
    ) -> impl Future<Output = Result<Outcome<()>, StoreError>> + Send;

    /// Sets top-level fields, given by index, of all rows that hold, or of none when more than `most` do. A store without
    /// [transactions](Self::has_transactions) may refuse.
    fn update_all(
        &self,
        filter: Expr,
        changes: Vec<(usize, Value<'static>)>,
        most: u64,
    ) -> impl Future<Output = Result<Many, StoreError>> + Send;

    /// Removes all rows that hold, or none when more than `most` do. A store without
    /// [transactions](Self::has_transactions) may refuse.
    fn delete_all(&self, filter: Expr, most: u64) -> impl Future<Output = Result<Many, StoreError>> + Send;

    /// Keeps what changes from now on, for [`changes`](Self::changes). It costs writes, and space for a bounded number of
    /// changes. That they are kept is not forgotten when the store is closed.
    ///
    /// # Errors
    /// When the store cannot do that.
    fn keep_changes(&self) -> impl Future<Output = Result<(), OpenError>> + Send;

    /// What changes after the change with this token, or from now on, in the order in which it was committed.
    ///
    /// # Errors
    /// [`ChangesError::Lost`] when the token is none, or older than what is kept.
    fn changes(&self, after: Option<String>) -> impl Future<Output = Result<Changes, ChangesError>> + Send;
}

/// A row that was made, changed or removed. Without either row it says no more than where the feed is.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Stands for the place of the change in the feed: letters, digits, `-` and `_`.
    pub token: String,
    /// The row before; none when it was made.
    pub before: Option<Row>,
    /// The row after; none when it was removed.
    pub after: Option<Row>,
}

/// Changes as they happen.
pub struct Changes {
    /// The token of the place before the first of them, if the store tells it.
    pub from: Option<String>,
    /// It ends after an error, when the store is closed at the latest.
    pub stream: Pin<Box<dyn Stream<Item = Result<Change, ChangesError>> + Send>>,
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes").field("from", &self.from).finish_non_exhaustive()
    }
}

/// Why changes cannot be told.
#[derive(Debug)]
pub enum ChangesError {
    /// Some of them are not kept any more.
    Lost,
    /// The store failed.
    Store(StoreError),
}

impl From<StoreError> for ChangesError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl fmt::Display for ChangesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost => f.write_str("the changes after this token are not kept any more"),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ChangesError {}

/// Tells the log what was done to a store.
#[cfg(any(feature = "sqlite", feature = "mongodb"))]
fn log(steps: &[Step]) {
    for step in steps {
        if matches!(step.kind, StepKind::NewStore | StepKind::NewCollection) {
            tracing::debug!("{step}");
        } else {
            tracing::info!("the store was changed: {step}");
        }
    }
}

/// A write that is done together with others, each as the method of [`Collection`] that is called so does it.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// Adds a row.
    Insert(Value<'static>),
    /// Puts a document in the place of a row.
    Replace(Value<'static>, Expect),
    /// Sets fields of a row, given by index.
    Update(Value<'static>, Vec<(usize, Value<'static>)>, Expect),
    /// Removes a row.
    Delete(Value<'static>, Expect),
    /// Leaves a row as it is.
    Leave(Value<'static>, Expect),
}

/// Why several writes were not done.
#[derive(Debug)]
pub struct WriteError {
    /// Which of them was in the way; 0 when it has to do with none.
    pub index: usize,
    /// What happened.
    pub why: Refusal,
}

impl From<StoreError> for WriteError {
    fn from(error: StoreError) -> Self {
        Self { index: 0, why: Refusal::Store(error) }
    }
}

/// Why a write among others was not done.
#[derive(Debug)]
pub enum Refusal {
    /// There is no such row.
    NotFound,
    /// The row has another version.
    Changed,
    /// The store failed, or holds what stands in the way.
    Store(StoreError),
}

/// Why rows were not added.
#[derive(Debug)]
pub struct RowError {
    /// Which of them was refused; 0 when it has to do with none.
    pub index: usize,
    /// What happened.
    pub error: StoreError,
}

impl From<StoreError> for RowError {
    fn from(error: StoreError) -> Self {
        Self { index: 0, error }
    }
}

/// What a row must be like for a write to be done.
#[derive(Debug, Clone, PartialEq)]
pub struct Expect {
    /// It is of one of these versions, the tags of an `If-Match`; none stands for any.
    pub versions: Option<Vec<i64>>,
    /// This holds for it; for the writer there are no other rows.
    pub only: Expr,
}

impl Expect {
    /// Any row will do.
    pub const fn any() -> Self {
        Self { versions: None, only: Expr::True }
    }

    /// A row of one of these versions.
    pub const fn versions(versions: Vec<i64>) -> Self {
        Self { versions: Some(versions), only: Expr::True }
    }

    /// A row for which `only` holds as well.
    #[must_use]
    pub fn only(mut self, only: Expr) -> Self {
        self.only = self.only.and(only);
        self
    }

    /// One that has the shard key of this document, too.
    #[cfg(any(feature = "sqlite", feature = "mongodb"))]
    fn in_shard_of(self, schema: &Schema, document: &Value<'_>) -> Self {
        match document {
            Value::Object(values) => self.only(schema.in_shard_of(values)),
            _ => self,
        }
    }

    /// Whether a row of this version will do.
    pub fn fits(&self, version: i64) -> bool {
        self.versions.as_ref().is_none_or(|versions| versions.contains(&version))
    }
}

/// What became of a conditional write; check and write are one atomic step.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome<T> {
    /// It was done.
    Done(T),
    /// There is no such row for which [`Expect::only`] holds.
    NotFound,
    /// The row has another version.
    Changed,
}

impl<T> Outcome<T> {
    /// The same, with something else in the place of what was done.
    pub(crate) fn map<U>(self, with: impl FnOnce(T) -> U) -> Outcome<U> {
        match self {
            Self::Done(done) => Outcome::Done(with(done)),
            Self::NotFound => Outcome::NotFound,
            Self::Changed => Outcome::Changed,
        }
    }
}

/// What became of a write to all rows that hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Many {
    /// It was done to so many rows.
    Done(u64),
    /// It would have been done to more rows than it may, and was done to none.
    TooMany,
}

/// A row as it is answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Starts at the time of creation in microseconds, plus one for each write.
    pub version: i64,
    /// The document as JSON, fields in the schema's order.
    pub json: Bytes,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The rows as JSON, joined by commas, without brackets.
    pub items: Bytes,
    /// The versions of the rows in the same order.
    pub versions: Vec<i64>,
    /// The boundary after which the next page begins (one value for each sort key), or none when this is the last.
    pub next: Option<Vec<Value<'static>>>,
}

/// Groups of rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Groups {
    /// For each group its dimensions and then its aggregates. A sum of ints is a [`Value::Decimal`], a mean of them a
    /// [`Value::Float`]; computed floats have 15 digits.
    pub rows: Vec<Vec<Value<'static>>>,
    /// Whether there are more groups than were wanted.
    pub more: bool,
}

/// A float that was added up, to as many digits as do not depend on the order.
#[cfg(any(feature = "sqlite", feature = "mongodb"))]
fn rounded(x: f64) -> f64 {
    // Adding 0 takes the sign of -0 away.
    format!("{x:.14e}").parse().unwrap_or(x) + 0.0
}

/// Why a collection cannot be opened.
#[derive(Debug)]
pub enum OpenError {
    /// The schema and the store do not fit.
    Config(ConfigError),
    /// The store failed.
    Store(StoreError),
}

/// Why a store did not do what it was asked.
#[derive(Debug)]
#[non_exhaustive]
pub enum StoreError {
    /// Another row has the same value in a unique field, or the same values in fields that are unique together.
    Duplicate {
        /// Names of the fields: one, or those of the rule in its order.
        fields: Vec<String>,
    },
    /// The document is larger than the store takes.
    TooLarge {
        /// In bytes.
        limit: usize,
    },
    /// The store cannot be reached or is full of work; trying again may help.
    Unavailable {
        /// What happened; for the log.
        source: BoxError,
        /// When trying again makes sense, in seconds.
        retry_after: u32,
    },
    /// The deadline passed.
    Timeout,
    /// No space is left.
    Full,
    /// Anything else; for the log.
    Internal(BoxError),
}

impl StoreError {
    /// The same failure for another of those whom it concerns; what stands behind it cannot be cloned, and is told as text.
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::Duplicate { fields } => Self::Duplicate { fields: fields.clone() },
            Self::TooLarge { limit } => Self::TooLarge { limit: *limit },
            Self::Unavailable { source, retry_after } => {
                Self::Unavailable { source: source.to_string().into(), retry_after: *retry_after }
            }
            Self::Timeout => Self::Timeout,
            Self::Full => Self::Full,
            Self::Internal(source) => Self::Internal(source.to_string().into()),
        }
    }

    /// A write to a collection of another store than the one that is asked.
    #[cfg(any(feature = "sqlite", feature = "mongodb"))]
    fn foreign() -> Self {
        Self::Internal("a write to a collection of another store".into())
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Duplicate { fields } => write!(f, "another row has the same {}", fields.join(" and ")),
            Self::TooLarge { limit } => write!(f, "the document has more than {limit} bytes"),
            Self::Unavailable { source, .. } => write!(f, "the store is not available: {source}"),
            Self::Timeout => f.write_str("the store did not answer in time"),
            Self::Full => f.write_str("the store has no space left"),
            Self::Internal(source) => write!(f, "the store failed: {source}"),
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unavailable { source, .. } | Self::Internal(source) => Some(source.as_ref()),
            _ => None,
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for OpenError {}

impl From<StoreError> for OpenError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<ConfigError> for OpenError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}
