//! A model that is served: what cannot work, and the leaves that answer.

use std::sync::Arc;

use super::schema::suggest;
use super::{Collection, Concurrency, Op, OpenError, References, ResourceOptions, Schema, Store, query, service};
use crate::ConfigError;
use crate::service::{Leaf, LeafKind, RouteTableBuilder};

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
        let makes = (op == Op::Replace && self.options.upsert) || op == Op::Import;
        let made = makes.then(|| self.options.hooks.names(Op::Create));
        self.options.hooks.names(op).chain(made.into_iter().flatten())
    }

    /// The operations that change rows for anybody who asks, and were not said to be [public](ResourceOptions::public):
    /// nothing wraps them, and no policy asks who it is.
    pub fn open_writes(&self) -> impl Iterator<Item = Op> {
        let asks = |op: Op| self.options.policy.asks_who(op.makes_rows());
        let open = move |op: Op| !self.is_guarded(op) && !asks(op) && !self.options.public.contains(&op);
        self.ops().filter(move |op| !self.options.closed && op.is_write() && open(*op))
    }

    /// What cannot work, found before the first request.
    ///
    /// # Errors
    /// When the model has no id, its ids must come from clients and may not, or may and would not be unique, the path has parameters,
    /// no operation is served, what is written by a filter would pass by hooks or versions, or the sizes of pages make no
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
        if !id.kind.is_made_here() && !self.options.client_id && self.ops().any(Op::makes_rows) {
            return wrong(
                ConfigError::new(format!("{name}.{}: the server chooses only UUIDs and ObjectIds", id.name))
                    .cure("make it a UUID or an ObjectId, or let clients choose ids with client_id=True"),
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
            && (self.ops().any(Op::makes_rows) || self.options.upsert)
        {
            return wrong(
                ConfigError::new(format!("{name}.{}: clients cannot set it, and nothing else does", field.name))
                    .cure("give it a default, or a policy that demands a claim in it"),
            );
        }
        let makes_rows = self.options.upsert || self.ops().any(Op::makes_rows);
        let is_called =
            |op: Op| op.is_hooked() && (self.ops().any(|own| own == op) || (op == Op::Create && makes_rows));
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
        if let Err(error) = self.dimensions().and(self.measures()) {
            return wrong(error);
        }
        let is_grouped = self.ops().any(|op| op == Op::Group);
        if !is_grouped && self.options.dimensions.len() + self.options.measures.len() > 0 {
            return wrong(
                ConfigError::new(format!("{name}: dimensions and measures are of group, which is not served"))
                    .cure("serve group, too"),
            );
        }
        if self.options.idempotency && !self.ops().any(Op::takes_key) {
            return wrong(
                ConfigError::new(format!("{name}: idempotency is for create and patch, and neither is served"))
                    .cure("serve one of them, or leave idempotency out"),
            );
        }
        if let Some((op, _)) = self.options.read_from.iter().find(|(op, _)| op.is_write() || *op == Op::Changes) {
            return wrong(ConfigError::new(format!("{name}: {op} reads from the member that takes writes")).cure(
                "choose members for operations that only read: list, get, count, group, export, deleted, query",
            ));
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
        if self.options.upsert && self.ops().any(|op| op == Op::Create) {
            let asked = |op: Op| {
                let of = self.options.asks.iter().find(|(own, _)| *own == op);
                of.map(|(_, asked)| asked.iter().map(ToString::to_string).collect::<Vec<_>>())
            };
            let (create, replace) = (asked(Op::Create), asked(Op::Replace));
            let is_less = match (&create, &replace) {
                (None, _) => false,
                (Some(_), None) => true,
                (Some(create), Some(replace)) => !create.iter().all(|asked| replace.contains(asked)),
            };
            if is_less {
                return wrong(
                    ConfigError::new(format!("{name}: PUT makes rows, too, and asks less of its caller than POST"))
                        .cure("ask the same of create and replace, or leave upsert out"),
                );
            }
        }
        if let Some(key) = self.schema.shard_beside_id().filter(|_| self.options.client_id) {
            let key = &self.schema.fields[key].name;
            return wrong(
                ConfigError::new(format!(
                    "{name} is sharded by {key}, so MongoDB would not see that an id which a client chooses is taken"
                ))
                .cure(format!("leave client_id out, or shard by {}", id.name)),
            );
        }
        if let Some(control) = &self.options.cache {
            if http::HeaderValue::from_str(control).is_err() || control.trim().is_empty() {
                return wrong(
                    ConfigError::new(format!("{name}: {control:?} is no value of Cache-Control"))
                        .cure("write it as in \"public, max-age=30\""),
                );
            }
            let guarded = self.ops().find(|op| op.is_cached() && self.is_guarded(*op));
            if guarded.is_some() || self.options.closed || self.options.policy.has_read() {
                return wrong(
                    ConfigError::new(format!("{name}: caches would show rows to callers who may not read them")).cure(
                        "leave out cache, or let everybody read the rows: without policy and auth of what reads them",
                    ),
                );
            }
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

    /// What rows may be grouped by.
    pub(super) fn dimensions(&self) -> Result<Vec<query::Dimension>, ConfigError> {
        self.options.dimensions.iter().map(|name| query::Dimension::of(&self.schema, name)).collect()
    }

    /// What may be computed of.
    pub(super) fn measures(&self) -> Result<Vec<query::Path>, ConfigError> {
        self.options.measures.iter().map(|name| query::measure(&self.schema, name)).collect()
    }

    /// Adds a leaf for each operation to `table`, answered from `collection`.
    ///
    /// # Errors
    /// As [`check`](Self::check), or when another leaf has one of the paths.
    ///
    /// [`Op::Changes`] tells what has been kept since [`open`](Self::open) or [`Collection::keep_changes`].
    pub fn mount(&self, collection: impl Collection, table: &mut RouteTableBuilder) -> Result<(), ConfigError> {
        self.mount_with(collection, &References::new(), table)
    }

    /// As [`mount`](Self::mount), with rows of other models to stand in the place of their ids (`?expand=author`).
    ///
    /// # Errors
    /// As [`mount`](Self::mount).
    pub fn mount_with(
        &self,
        collection: impl Collection,
        references: &References,
        table: &mut RouteTableBuilder,
    ) -> Result<(), ConfigError> {
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
        let references = Arc::new(references.clone());
        for op in self.ops() {
            let route = service::route(op, self, id, collection.clone(), &references);
            let mut leaf = Leaf::new(format!("{}.{op}", self.schema.name), LeafKind::Crud, route)
                .at(self.options.location.clone())
                .accepts(op.accepts())
                .hooks(self.hooks(op).map(str::to_owned));
            for guard in self.options.guards.iter().filter(|guard| guard.op == op) {
                leaf = leaf.layer(guard.name.clone(), |route| (guard.wrap)(route));
            }
            for layer in self.options.layers.iter().rev() {
                leaf = leaf.layer(layer.name.clone(), |route| (layer.wrap)(route));
            }
            leaf = leaf.skip(&self.options.skips);
            table.add(Some(op.method()), &self.path_of(op), leaf)?;
        }
        Ok(())
    }
}
