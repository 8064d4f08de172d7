//! A model that is served: which operations, where, under which limits.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use http::Method;

use super::hooks::{Event, Hooks};
use super::policy::Policy;
use super::schema::{Type, suggest};
use super::{Collection, OpenError, Schema, Store, query, service};
use crate::ConfigError;
use crate::service::{Leaf, LeafKind, Problem, Route, RouteTableBuilder};

/// One of the operations on a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    /// `GET` on the collection.
    List,
    /// `POST` on the collection.
    Create,
    /// `GET` on an item.
    Get,
    /// `PUT` on an item.
    Replace,
    /// `PATCH` on an item.
    Patch,
    /// `DELETE` on an item.
    Delete,
    /// `GET` on `_count` below the collection.
    Count,
    /// `GET` on `_export` below the collection.
    Export,
    /// `GET` on `_deleted` below the collection: the rows that are marked as deleted.
    Deleted,
    /// `POST` on `_restore` below an item that is marked as deleted.
    Restore,
    /// `GET` on `_changes` below the collection: what changes, as it happens.
    Changes,
    /// `QUERY` on the collection: a list whose filters are in the body.
    Query,
    /// `PATCH` on the collection: changes all rows that a filter holds for.
    PatchMany,
    /// `DELETE` on the collection: removes all rows that a filter holds for.
    DeleteMany,
}

impl Op {
    /// Those that are served unless others are named.
    pub const CORE: [Self; 6] = [Self::List, Self::Create, Self::Get, Self::Replace, Self::Patch, Self::Delete];

    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::List,
        Self::Create,
        Self::Get,
        Self::Replace,
        Self::Patch,
        Self::Delete,
        Self::Count,
        Self::Export,
        Self::Deleted,
        Self::Restore,
        Self::Changes,
        Self::Query,
        Self::PatchMany,
        Self::DeleteMany,
    ];

    /// Its name in small letters: `list`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Create => "create",
            Self::Get => "get",
            Self::Replace => "replace",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::Count => "count",
            Self::Export => "export",
            Self::Deleted => "deleted",
            Self::Restore => "restore",
            Self::Changes => "changes",
            Self::Query => "query",
            Self::PatchMany => "patch_many",
            Self::DeleteMany => "delete_many",
        }
    }

    /// The method that asks for it.
    pub const fn method(self) -> Method {
        match self {
            Self::List | Self::Get | Self::Count | Self::Export | Self::Deleted | Self::Changes => Method::GET,
            Self::Query => Method::QUERY,
            Self::Create | Self::Restore => Method::POST,
            Self::Replace => Method::PUT,
            Self::Patch | Self::PatchMany => Method::PATCH,
            Self::Delete | Self::DeleteMany => Method::DELETE,
        }
    }

    /// The media types that its body may be of; none where it has no body.
    pub const fn accepts(self) -> &'static [&'static str] {
        match self {
            Self::Create | Self::Replace | Self::Query => &["application/json"],
            Self::Patch | Self::PatchMany => &["application/merge-patch+json", "application/json"],
            _ => &[],
        }
    }

    /// Whether its path holds an id.
    pub const fn is_on_item(self) -> bool {
        matches!(self, Self::Get | Self::Replace | Self::Patch | Self::Delete | Self::Restore)
    }

    /// The segment below the collection or the item that it has for itself; no id begins with `_`.
    pub const fn segment(self) -> Option<&'static str> {
        match self {
            Self::Count => Some("_count"),
            Self::Export => Some("_export"),
            Self::Deleted => Some("_deleted"),
            Self::Restore => Some("_restore"),
            Self::Changes => Some("_changes"),
            _ => None,
        }
    }

    /// Whether it changes rows.
    pub const fn is_write(self) -> bool {
        self.is_on_many() || matches!(self, Self::Create | Self::Replace | Self::Patch | Self::Delete | Self::Restore)
    }

    /// Whether hooks may stand before and after it.
    const fn is_hooked(self) -> bool {
        matches!(self, Self::Create | Self::Replace | Self::Patch | Self::Delete)
    }

    /// Whether it changes all rows that a filter holds for.
    pub const fn is_on_many(self) -> bool {
        matches!(self, Self::PatchMany | Self::DeleteMany)
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Op {
    type Err = ConfigError;

    fn from_str(name: &str) -> Result<Self, ConfigError> {
        Self::ALL.into_iter().find(|op| op.as_str() == name).ok_or_else(|| {
            ConfigError::new(format!("{name:?} is not a CRUD operation"))
                .cure(format!("choose from {}", Self::ALL.map(Self::as_str).join(", ")))
        })
    }
}

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

    fn from_str(name: &str) -> Result<Self, ConfigError> {
        match name {
            "optional" => Ok(Self::Optional),
            "required" => Ok(Self::Required),
            _ => Err(ConfigError::new(format!("concurrency={name:?} is not understood"))
                .cure("write \"optional\" or \"required\"")),
        }
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

    fn from_str(name: &str) -> Result<Self, ConfigError> {
        match name {
            "allow" => Ok(Self::Allow),
            "warn" => Ok(Self::Warn),
            "deny" => Ok(Self::Deny),
            _ => Err(ConfigError::new(format!("unindexed={name:?} is not understood"))
                .cure("write \"allow\", \"warn\" or \"deny\"")),
        }
    }
}

type Wrap = Arc<dyn Fn(Route) -> Route + Send + Sync>;

#[derive(Clone)]
struct Guard {
    op: Op,
    name: String,
    wrap: Wrap,
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
    path: Option<String>,
    /// None means the core.
    ops: Option<Vec<Op>>,
    client_id: bool,
    pub(super) default_limit: usize,
    pub(super) max_limit: usize,
    pub(super) body_limit: usize,
    pub(super) max_affected: u64,
    pub(super) gone: bool,
    pub(super) unindexed: Unindexed,
    pub(super) filterable: Option<Vec<String>>,
    pub(super) sortable: Option<Vec<String>>,
    pub(super) offset: bool,
    pub(super) envelope: bool,
    pub(super) upsert: bool,
    pub(super) bulk: bool,
    pub(super) idempotency: bool,
    pub(super) concurrency: Concurrency,
    pub(super) policy: Policy,
    pub(super) hooks: Hooks,
    public: Vec<Op>,
    guards: Vec<Guard>,
    location: String,
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
            offset: true,
            envelope: true,
            upsert: false,
            bulk: false,
            idempotency: false,
            concurrency: Concurrency::Optional,
            policy: Policy::new(),
            hooks: Hooks::new(),
            public: Vec::new(),
            guards: Vec::new(),
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

    /// Whether a `POST` of one row that comes again with the same `Idempotency-Key` within a day is answered as it was, and not
    /// done again. It needs a store with transactions.
    pub const fn idempotency(mut self, kept: bool) -> Self {
        self.idempotency = kept;
        self
    }

    /// Whether writes to a row must say which version they are meant for.
    pub const fn concurrency(mut self, concurrency: Concurrency) -> Self {
        self.concurrency = concurrency;
        self
    }

    /// Which rows a caller may see and write.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Operations that are meant to be open to everybody: [`Resource::open_writes`] does not name them.
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

/// A model and how it is served.
#[derive(Debug, Clone)]
pub struct Resource {
    pub(super) schema: Arc<Schema>,
    pub(super) options: ResourceOptions,
    path: String,
}

impl Resource {
    /// Serves `schema` as `options` say.
    pub fn new(schema: Arc<Schema>, options: ResourceOptions) -> Self {
        let path = options.path.clone().unwrap_or_else(|| format!("/{}", schema.name.to_lowercase()));
        Self { schema, options, path }
    }

    /// The model.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// The path of the collection.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The path of an item.
    pub fn item_path(&self) -> String {
        format!("{}/{{id}}", self.path.trim_end_matches('/'))
    }

    /// The path that `op` is asked for at.
    pub fn path_of(&self, op: Op) -> String {
        match op.segment() {
            Some(segment) if op.is_on_item() => format!("{}/{segment}", self.item_path()),
            Some(segment) => format!("{}/{segment}", self.path.trim_end_matches('/')),
            None if op.is_on_item() => self.item_path(),
            None => self.path.clone(),
        }
    }

    /// The operations that are served.
    pub fn ops(&self) -> impl Iterator<Item = Op> {
        let ops = self.options.ops.as_deref().unwrap_or(&Op::CORE);
        Op::ALL.into_iter().filter(move |op| ops.contains(op))
    }

    /// Whether clients choose the ids of new rows.
    pub fn client_chooses_id(&self) -> bool {
        self.options.client_id
    }

    /// How many rows a page has when the client does not say, and at most.
    pub fn page_size(&self) -> (usize, usize) {
        (self.options.default_limit, self.options.max_limit)
    }

    /// Whether something wraps `op` alone.
    pub fn is_guarded(&self, op: Op) -> bool {
        self.options.guards.iter().any(|guard| guard.op == op)
    }

    /// The names of the hooks that `op` calls. A `PUT` that may make rows calls those of making them, too.
    pub fn hooks(&self, op: Op) -> impl Iterator<Item = &str> {
        let makes = op == Op::Replace && self.options.upsert;
        let made = makes.then(|| self.options.hooks.names(Op::Create));
        self.options.hooks.names(op).chain(made.into_iter().flatten())
    }

    /// The operations that change rows for anybody who asks, and were not said to be [public](ResourceOptions::public):
    /// nothing wraps them, and no policy asks who it is.
    pub fn open_writes(&self) -> impl Iterator<Item = Op> {
        let asks = |op: Op| self.options.policy.asks_who(op == Op::Create);
        let open = move |op: Op| !self.is_guarded(op) && !asks(op) && !self.options.public.contains(&op);
        self.ops().filter(move |op| op.is_write() && open(*op))
    }

    /// What cannot work, found before the first request.
    ///
    /// # Errors
    /// When the model has no id, its ids must come from clients and may not, the path has parameters, no
    /// operation is served, what is written by a filter would pass by hooks or versions, or the sizes of pages make no
    /// sense.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.checked_id().map(|_| ())
    }

    /// The index of the id.
    fn checked_id(&self) -> Result<usize, ConfigError> {
        let wrong = |error: ConfigError| Err(error.at_if_known(&self.options.location));
        let name = &self.schema.name;
        let Some(index) = self.schema.id else {
            return wrong(
                ConfigError::new(format!("{name} has no id, so its rows cannot be served"))
                    .cure("add a field `id: UUID`"),
            );
        };
        let id = &self.schema.fields[index];
        if !matches!(id.kind, Type::Uuid) && !self.options.client_id && self.ops().any(|op| op == Op::Create) {
            return wrong(
                ConfigError::new(format!("{name}.{}: the server chooses only UUIDs", id.name))
                    .cure("make it a UUID, or let clients choose ids with client_id=True"),
            );
        }
        if let Err(error) = self.options.policy.check(&self.schema) {
            return wrong(error);
        }
        let pinned = self.options.policy.pinned(true);
        let unset =
            self.schema.fields.iter().enumerate().find(|(index, field)| {
                !field.access.is_settable() && field.default.is_none() && !pinned.contains(index)
            });
        if let Some((_, field)) = unset
            && (self.ops().any(|op| op == Op::Create) || self.options.upsert)
        {
            return wrong(
                ConfigError::new(format!("{name}.{}: clients cannot set it, and nothing else does", field.name))
                    .cure("give it a default, or a policy that demands a claim in it"),
            );
        }
        let is_called =
            |op: Op| op.is_hooked() && (self.ops().any(|own| own == op) || (op == Op::Create && self.options.upsert));
        if let Some(op) = self.options.hooks.ops().find(|op| !is_called(*op)) {
            return wrong(ConfigError::new(format!("{name}: a hook of {op} is never called")).cure(
                if op.is_hooked() {
                    "serve that operation, too"
                } else {
                    "hooks stand before and after create, replace, patch and delete"
                },
            ));
        }
        for (what, names) in [("filtered", &self.options.filterable), ("sorted", &self.options.sortable)] {
            for own in names.iter().flatten() {
                let field = self.schema.field(own).map(|index| &self.schema.fields[index]);
                let Some(field) = field.filter(|field| field.access.is_shown()) else {
                    let shown = self.schema.fields.iter().filter(|field| field.access.is_shown());
                    let error = ConfigError::new(format!("{name} has no field {own:?} that rows could be {what} by"));
                    let near = suggest::closest(own, shown.map(|field| &*field.name));
                    return wrong(match near {
                        Some(near) => error.cure(format!("did you mean {near}?")),
                        None => error.cure("name fields of the model that clients see"),
                    });
                };
                if what == "sorted" && !field.kind.is_scalar() {
                    return wrong(
                        ConfigError::new(format!("{name}.{own} holds no single value, so rows cannot be sorted by it"))
                            .cure("leave it out"),
                    );
                }
            }
        }
        if self.schema.deletion().is_none() {
            if let Some(op) = self.ops().find(|op| matches!(op, Op::Deleted | Op::Restore)) {
                return wrong(
                    ConfigError::new(format!("{name}: rows that are deleted are removed, so {op} cannot be served"))
                        .cure("give the model a field `deleted_at: DeletedAt`, or leave it out"),
                );
            }
            if self.options.gone {
                return wrong(
                    ConfigError::new(format!("{name}: of rows that are removed nothing tells that they were there"))
                        .cure("give the model a field `deleted_at: DeletedAt`, or leave gone out"),
                );
            }
        }
        for (many, one) in [(Op::PatchMany, Op::Patch), (Op::DeleteMany, Op::Delete)] {
            if !self.ops().any(|op| op == many) {
                continue;
            }
            if self.options.hooks.has(one) {
                return wrong(
                    ConfigError::new(format!("{name}: rows that {many} writes would pass by the hooks of {one}"))
                        .cure(format!("leave out {many}, or the hooks")),
                );
            }
            if self.options.concurrency == Concurrency::Required {
                return wrong(
                    ConfigError::new(format!("{name}: {many} writes rows without an If-Match, which is required"))
                        .cure(format!("leave out {many}, or make concurrency optional")),
                );
            }
        }
        if self.path.contains(['{', '}']) || self.path.len() < 2 {
            return wrong(
                ConfigError::new(format!("{name}: a collection cannot be at {:?}", self.path))
                    .cure("give it a path of its own without parameters, as \"/users\""),
            );
        }
        if self.ops().next().is_none() {
            return wrong(
                ConfigError::new(format!("{name}: none of the operations is served"))
                    .cure("name at least one, as list or get"),
            );
        }
        if self.options.upsert && !self.options.client_id {
            return wrong(
                ConfigError::new(format!("{name}: PUT cannot make rows whose ids the server chooses"))
                    .cure("let clients choose ids with client_id=True, or leave upsert out"),
            );
        }
        if !self.options.envelope && self.ops().any(|op| op == Op::Query) {
            return wrong(
                ConfigError::new(format!("{name}: an answer to QUERY tells of the next page in the envelope only"))
                    .cure("leave out query, or envelope=False"),
            );
        }
        if self.options.default_limit == 0 || self.options.default_limit > self.options.max_limit {
            return wrong(
                ConfigError::new(format!(
                    "{name}: pages of {} rows and at most {} are not possible",
                    self.options.default_limit, self.options.max_limit
                ))
                .cure("give a default of at least 1 that is not above the most"),
            );
        }
        Ok(index)
    }

    /// Opens the collection of this model as the operations need it.
    ///
    /// # Errors
    /// As [`Store::open`], and when the store cannot tell what changes and is to.
    pub async fn open<S: Store>(&self, store: &S) -> Result<S::Collection, OpenError> {
        let collection = store.open(self.schema.clone()).await?;
        if self.ops().any(|op| op == Op::Changes) {
            collection.keep_changes().await?;
        }
        if self.options.idempotency {
            collection.keep_keys().await?;
        }
        Ok(collection)
    }

    /// The indexes of the named fields; those that there are not have been refused.
    pub(super) fn named(&self, names: Option<&[String]>) -> Option<Vec<usize>> {
        Some(names?.iter().filter_map(|name| self.schema.field(name)).collect())
    }

    /// Adds a leaf for each operation to `table`, answered from `collection`.
    ///
    /// # Errors
    /// As [`check`](Self::check), or when another leaf has one of the paths.
    ///
    /// [`Op::Changes`] tells what has been kept since [`open`](Self::open) or [`Collection::keep_changes`].
    pub fn mount(&self, collection: impl Collection, table: &mut RouteTableBuilder) -> Result<(), ConfigError> {
        let id = self.checked_id()?;
        let needs_transactions = [
            (self.options.bulk, "added", "bulk"),
            (self.ops().any(Op::is_on_many), "written", "patch_many and delete_many"),
        ];
        for (needed, done, what) in needs_transactions {
            if needed && !collection.has_transactions() {
                return Err(ConfigError::new(format!(
                    "{}: this store has no transactions, so several rows cannot be {done} as one",
                    self.schema.name
                ))
                .cure(format!("run MongoDB as a replica set, which may have one member, or leave {what} out"))
                .at_if_known(&self.options.location));
            }
        }
        for field in self.schema.fields.iter().filter(|field| query::is_taken(&field.name)) {
            tracing::warn!(
                "{}.{} cannot be filtered by: lists have a parameter of that name",
                self.schema.name,
                field.name
            );
        }
        for op in self.ops() {
            let route = service::route(op, self, id, collection.clone());
            let mut leaf = Leaf::new(format!("{}.{op}", self.schema.name), LeafKind::Crud, route)
                .at(self.options.location.clone())
                .accepts(op.accepts())
                .hooks(self.hooks(op).map(str::to_owned));
            for guard in self.options.guards.iter().filter(|guard| guard.op == op) {
                leaf = leaf.layer(guard.name.clone(), |route| (guard.wrap)(route));
            }
            table.add(Some(op.method()), &self.path_of(op), leaf)?;
        }
        Ok(())
    }
}
