//! How a model is served: where, under which limits, for whom.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;

use super::Op;
use super::hooks::{Event, Hooks};
use super::policy::Policy;
use crate::ConfigError;
use crate::service::{ErrorFormat, Problem, Requirement, Route};

/// Whether `PUT`, `PATCH` and `DELETE` must carry an `If-Match`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Concurrency {
    /// They may; without one the last writer wins.
    #[default]
    Optional,
    /// They must; without one they are answered 428.
    Required,
}

impl FromStr for Concurrency {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        ConfigError::choose("concurrency", text, &[("optional", Self::Optional), ("required", Self::Required)])
    }
}

/// What becomes of a query that no index narrows, so that every row is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unindexed {
    /// It is answered.
    #[default]
    Allow,
    /// It is answered, and the log tells.
    Warn,
    /// It is refused with 400.
    Deny,
}

impl FromStr for Unindexed {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        ConfigError::choose("unindexed", text, &[("allow", Self::Allow), ("warn", Self::Warn), ("deny", Self::Deny)])
    }
}

/// Which members of a MongoDB replica set are read from; each is called as MongoDB calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReadFrom {
    /// The one that takes writes, which knows of all of them.
    #[default]
    Primary,
    /// That one, and others while there is none.
    PrimaryPreferred,
    /// The others, which may not know of the last writes.
    Secondary,
    /// These, and the one that takes writes when there are none.
    SecondaryPreferred,
    /// Whichever answers soonest.
    Nearest,
}

impl FromStr for ReadFrom {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        ConfigError::choose(
            "read_from",
            text,
            &[
                ("primary", Self::Primary),
                ("primaryPreferred", Self::PrimaryPreferred),
                ("secondary", Self::Secondary),
                ("secondaryPreferred", Self::SecondaryPreferred),
                ("nearest", Self::Nearest),
            ],
        )
    }
}

/// How bodies are read whose values are not of their types as they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Coerce {
    /// They are refused: `"5"` is no int.
    #[default]
    Strict,
    /// They become what pydantic makes of them in its lax mode: `"5"` is the int 5, and `"on"` is true.
    Pydantic,
}

impl FromStr for Coerce {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        ConfigError::choose("coerce", text, &[("strict", Self::Strict), ("pydantic", Self::Pydantic)])
    }
}

type Wrap = Arc<dyn Fn(Route) -> Route + Send + Sync>;

/// A layer around all operations.
#[derive(Clone)]
pub(super) struct Around {
    pub(super) name: String,
    pub(super) wrap: Wrap,
}

impl fmt::Debug for Around {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[derive(Clone)]
pub(super) struct Guard {
    pub(super) op: Op,
    pub(super) name: String,
    pub(super) wrap: Wrap,
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.name, self.op)
    }
}

/// How a model is served.
#[derive(Debug, Clone)]
#[must_use]
pub struct ResourceOptions {
    pub(super) path: Option<String>,
    /// None means the core.
    pub(super) ops: Option<Vec<Op>>,
    pub(super) client_id: bool,
    pub(super) default_limit: usize,
    pub(super) max_limit: usize,
    pub(super) body_limit: usize,
    pub(super) max_affected: u64,
    pub(super) gone: bool,
    pub(super) unindexed: Unindexed,
    pub(super) filterable: Option<Vec<String>>,
    pub(super) sortable: Option<Vec<String>>,
    /// Whether other models show its rows in the place of their ids.
    pub(super) expandable: bool,
    pub(super) dimensions: Vec<String>,
    pub(super) measures: Vec<String>,
    pub(super) offset: bool,
    pub(super) envelope: bool,
    pub(super) cache: Option<String>,
    pub(super) upsert: bool,
    pub(super) bulk: bool,
    pub(super) idempotency: bool,
    pub(super) concurrency: Concurrency,
    pub(super) coerce: Coerce,
    pub(super) errors: ErrorFormat,
    pub(super) policy: Policy,
    pub(super) hooks: Hooks,
    pub(super) public: Vec<Op>,
    pub(super) guards: Vec<Guard>,
    pub(super) layers: Vec<Around>,
    pub(super) skips: Vec<String>,
    pub(super) closed: bool,
    pub(super) asks: Vec<(Op, Vec<Requirement>)>,
    pub(super) read_from: Vec<(Op, ReadFrom)>,
    pub(super) location: String,
}

impl Default for ResourceOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl ResourceOptions {
    /// The core operations at `/` and the model's name in small letters; pages of 50 rows and at most 1000; bodies of at
    /// most 1 MiB; writes by a filter to at most 1000 rows; ids chosen by the server.
    pub const fn new() -> Self {
        Self {
            path: None,
            ops: None,
            client_id: false,
            default_limit: 50,
            max_limit: 1000,
            body_limit: 1024 * 1024,
            max_affected: 1000,
            gone: false,
            unindexed: Unindexed::Allow,
            filterable: None,
            sortable: None,
            expandable: true,
            dimensions: Vec::new(),
            measures: Vec::new(),
            offset: true,
            envelope: true,
            cache: None,
            upsert: false,
            bulk: false,
            idempotency: false,
            concurrency: Concurrency::Optional,
            coerce: Coerce::Strict,
            errors: ErrorFormat::Problem,
            policy: Policy::new(),
            hooks: Hooks::new(),
            public: Vec::new(),
            guards: Vec::new(),
            layers: Vec::new(),
            skips: Vec::new(),
            closed: false,
            asks: Vec::new(),
            read_from: Vec::new(),
            location: String::new(),
        }
    }

    /// The path of the collection, as `/users`; items are one segment below.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Only these operations; other methods are answered 405.
    pub fn ops(mut self, ops: impl IntoIterator<Item = Op>) -> Self {
        self.ops = Some(ops.into_iter().collect());
        self
    }

    /// Lets clients choose the id of a new row. Ids that are ints or strs need it.
    pub const fn client_id(mut self, allowed: bool) -> Self {
        self.client_id = allowed;
        self
    }

    /// How many rows a page has when the client does not say, and at most.
    pub const fn page_size(mut self, default: usize, max: usize) -> Self {
        self.default_limit = default;
        self.max_limit = max;
        self
    }

    /// The most bytes that a body may have.
    pub const fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// To how many rows [`Op::PatchMany`] and [`Op::DeleteMany`] are done at most; clients may ask for less with
    /// `Prefer: max-affected=N`. They are one write, and others wait for it.
    pub const fn max_affected(mut self, rows: u64) -> Self {
        self.max_affected = rows;
        self
    }

    /// What becomes of a query that reads every row.
    pub const fn unindexed(mut self, unindexed: Unindexed) -> Self {
        self.unindexed = unindexed;
        self
    }

    /// Only these fields may be filtered by, with what lies in them.
    pub fn filterable(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.filterable = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Only these fields may be sorted by.
    pub fn sortable(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.sortable = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// What [`Op::Group`] may group rows by: fields as `status` or `home.city`, and parts of dates and times as `month(created_at)`.
    pub fn dimensions(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.dimensions = names.into_iter().map(Into::into).collect();
        self
    }

    /// Whether answers of other models show rows in the place of their ids as this resource shows them: see [`References`](super::References).
    /// Of a model that is served several times, in ways that differ in who may read what, one says so.
    pub const fn expandable(mut self, shown: bool) -> Self {
        self.expandable = shown;
        self
    }

    /// The fields of which [`Op::Group`] computes sums, means, least and greatest values.
    pub fn measures(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.measures = names.into_iter().map(Into::into).collect();
        self
    }

    /// Whether a row that is marked as deleted is answered 410 and not 404.
    pub const fn gone(mut self, told: bool) -> Self {
        self.gone = told;
        self
    }

    /// Whether rows of a list may be skipped by number (`?offset=`), which costs the store as much as reading them.
    pub const fn offset(mut self, allowed: bool) -> Self {
        self.offset = allowed;
        self
    }

    /// Whether a list is `{"items": [...], "next": ...}`; else it is the bare array, and only `Link` leads on.
    pub const fn envelope(mut self, wanted: bool) -> Self {
        self.envelope = wanted;
        self
    }

    /// What `Cache-Control` says of rows that are read one by one or in lists, of counts and of groups, as `public, max-age=30`; without it caches ask
    /// each time. It is only for rows that everybody may read.
    pub fn cache(mut self, control: impl Into<String>) -> Self {
        self.cache = Some(control.into());
        self
    }

    /// Whether `PUT` makes a row that is not there. Clients must be allowed to choose ids.
    pub const fn upsert(mut self, allowed: bool) -> Self {
        self.upsert = allowed;
        self
    }

    /// Whether `POST` takes an array of up to 1000 rows. They are added all or none, which needs a store with transactions.
    pub const fn bulk(mut self, allowed: bool) -> Self {
        self.bulk = allowed;
        self
    }

    /// Whether a `POST`, or a `PATCH` of a row, that comes again with the same `Idempotency-Key` within a day is answered as it was,
    /// and not done again. Other writes with a key are refused. It needs a store with transactions.
    pub const fn idempotency(mut self, kept: bool) -> Self {
        self.idempotency = kept;
        self
    }

    /// Whether writes to a row must say which version they are meant for.
    pub const fn concurrency(mut self, concurrency: Concurrency) -> Self {
        self.concurrency = concurrency;
        self
    }

    /// How bodies are read whose values are not of their types as they stand. Filters, and what code and stores give, are always read
    /// strictly.
    pub const fn coerce(mut self, coerce: Coerce) -> Self {
        self.coerce = coerce;
        self
    }

    /// How clients are told what was wrong. What answers before the operations do, as a guard or the route table, is not asked; see
    /// [`RequireAuth::errors`](crate::layers::jwt::RequireAuth::errors).
    pub const fn errors(mut self, format: ErrorFormat) -> Self {
        self.errors = format;
        self
    }

    /// Which rows a caller may see and write.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Operations that are meant to be open to everybody: [`Resource::open_writes`](super::Resource::open_writes) does not name them.
    pub fn public(mut self, ops: impl IntoIterator<Item = Op>) -> Self {
        self.public = ops.into_iter().collect();
        self
    }

    /// Wraps one operation, as an authorisation guard does; `name` is what the printed stack shows. Guards given later
    /// are outside.
    pub fn guard(
        mut self,
        op: Op,
        name: impl Into<String>,
        wrap: impl Fn(Route) -> Route + Send + Sync + 'static,
    ) -> Self {
        self.guards.push(Guard { op, name: name.into(), wrap: Arc::new(wrap) });
        self
    }

    /// Wraps all operations, outside of their guards; `name` is what the printed stack shows. Layers given later are inside.
    pub fn layer(mut self, name: impl Into<String>, wrap: impl Fn(Route) -> Route + Send + Sync + 'static) -> Self {
        self.layers.push(Around { name: name.into(), wrap: Arc::new(wrap) });
        self
    }

    /// Names layers around every route that requests to these operations do not pass.
    pub fn skip(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.skips.extend(names.into_iter().map(Into::into));
        self
    }

    /// Says whether a layer around its routes refuses everybody who is not known. Then none of its operations is
    /// [open](super::Resource::open_writes), and its rows stand in the place of their ids for those who are known alone.
    pub fn closed(mut self, closed: bool) -> Self {
        self.closed = closed;
        self
    }

    /// Which members of a MongoDB replica set an operation reads from; it must be one that only reads. SQLite has one.
    pub fn read_from(mut self, op: Op, members: ReadFrom) -> Self {
        self.read_from.push((op, members));
        self
    }

    /// Says that the guard of an operation asks for a caller who has this, so that the same can be asked where rows are shown in
    /// the place of their ids: see [`References`](super::References). Without it, rows whose reading is guarded are shown nowhere else.
    pub fn asks(mut self, op: Op, requirements: impl IntoIterator<Item = Requirement>) -> Self {
        self.asks.push((op, requirements.into_iter().collect()));
        self
    }

    /// Calls `hook` before a row is made, replaced, changed or deleted, with the document as it is to be written: a JSON
    /// object. What it gives back is written in its place; of a row that is to be deleted that is nothing. A problem is the
    /// answer to the client, and nothing is written. `name` is what the printed stack shows; hooks are called in the order
    /// in which they were added.
    ///
    /// Policies and validation have passed the document, and do not stand behind the hook, but the rules of the model do.
    /// The row that the hook sees is the one that is written over: when another writer was quicker, the hook is called again
    /// with what the row holds by then.
    ///
    /// ```
    /// use http::StatusCode;
    /// use ziggurat::crud::{Event, Op, ResourceOptions};
    /// use ziggurat::service::Problem;
    ///
    /// let options = ResourceOptions::new().before(Op::Delete, "keep_admins", |event: Event| async move {
    ///     let row: serde_json::Value = serde_json::from_slice(&event.document).unwrap_or_default();
    ///     if row["role"] == "admin" {
    ///         return Err(Problem::of(StatusCode::CONFLICT).detail("admins cannot be deleted"));
    ///     }
    ///     Ok(event.document)
    /// });
    /// ```
    pub fn before<F, Answered>(mut self, op: Op, name: impl Into<String>, hook: F) -> Self
    where
        F: Fn(Event) -> Answered + Send + Sync + 'static,
        Answered: Future<Output = Result<Bytes, Problem>> + Send + 'static,
    {
        self.hooks.add_before(op, name.into(), hook);
        self
    }

    /// Calls `hook` after a row was made, replaced, changed or deleted; the client waits for it, so it should only take note.
    pub fn after(mut self, op: Op, name: impl Into<String>, hook: impl Fn(Event) + Send + Sync + 'static) -> Self {
        self.hooks.add_after(op, name.into(), hook);
        self
    }

    /// Where it was declared, as `file:line`.
    pub fn at(mut self, location: impl Into<String>) -> Self {
        self.location = location.into();
        self
    }
}
