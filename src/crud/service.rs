//! The leaves of a resource: one route for each operation, all written once for every store.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use tower::service_fn;

use super::etag::Condition;
use super::expand::Expansion;
use super::feed::Feed;
use super::hooks::Hooks;
use super::memo::Memo;
use super::ops::idempotency::Running;
use super::policy::{Caller, Policy};
use super::query::{Expand, ListRules, Shown};
use super::schema::validate::{IdRule, Rejection};
use super::schema::{Field, Type, check};
use super::store::{Expect, Outcome, StoreError};
use super::{Coerce, Concurrency, Op, References, Resource, Unindexed};
use super::{Collection, Expr, Row, Schema, Value, ops};
use crate::service::stopwatch::Stopwatch;
use crate::service::{Claims, ErrorFormat, Location, PathParams, Problem, Route, Violation, push_token};
use crate::{Request, Response};

/// What every operation of a resource needs.
pub(super) struct Served<C> {
    pub(super) schema: Arc<Schema>,
    /// Index of the id in the schema.
    pub(super) id: usize,
    pub(super) collection: C,
    pub(super) client_id: bool,
    pub(super) list: ListRules,
    pub(super) envelope: bool,
    /// What `Cache-Control` says of what this operation answers.
    pub(super) cache: Option<HeaderValue>,
    pub(super) upsert: bool,
    pub(super) bulk: bool,
    pub(super) idempotency: bool,
    /// The claims that tell whose key it is.
    pub(super) caller_claims: Option<Vec<String>>,
    pub(super) running: Running,
    pub(super) needs_if_match: bool,
    pub(super) policy: Policy,
    pub(super) hooks: Hooks,
    pub(super) body_limit: usize,
    pub(super) max_affected: u64,
    pub(super) gone: bool,
    pub(super) unindexed: Unindexed,
    pub(super) coerce: Coerce,
    pub(super) errors: ErrorFormat,
    pub(super) op: Op,
    pub(super) references: Arc<References>,
    pub(super) memo: Memo,
    /// Filled only while somebody watches.
    pub(super) feed: Feed<C>,
}

/// The route that answers `op`.
pub(super) fn route<C: Collection>(
    op: Op,
    resource: &Resource,
    id: usize,
    collection: C,
    references: &Arc<References>,
) -> Route {
    let from = resource.options.read_from.iter().find(|(own, _)| *own == op);
    let collection = from.map_or_else(|| collection.clone(), |(_, members)| collection.reading_from(*members));
    let served = Arc::new(Served {
        feed: Feed::new(resource.schema.clone(), collection.clone()),
        schema: resource.schema.clone(),
        id,
        collection,
        client_id: resource.client_chooses_id(),
        list: ListRules {
            default_limit: resource.options.default_limit,
            max_limit: resource.options.max_limit,
            offset: resource.options.offset,
            filterable: resource.named(resource.options.filterable.as_deref()),
            sortable: resource.named(resource.options.sortable.as_deref()),
            dimensions: resource.dimensions().unwrap_or_default(),
            measures: resource.measures().unwrap_or_default(),
        },
        envelope: resource.options.envelope,
        cache: resource.options.cache.as_deref().filter(|_| op.is_cached()).and_then(|text| text.parse().ok()),
        upsert: resource.options.upsert,
        bulk: resource.options.bulk,
        idempotency: resource.options.idempotency,
        caller_claims: resource.options.policy.caller_claims(&resource.schema),
        running: Running::default(),
        needs_if_match: resource.options.concurrency == Concurrency::Required,
        policy: resource.options.policy.clone(),
        hooks: resource.options.hooks.clone(),
        body_limit: resource.options.body_limit,
        max_affected: resource.options.max_affected,
        gone: resource.options.gone,
        unindexed: resource.options.unindexed,
        coerce: resource.options.coerce,
        errors: resource.options.errors,
        op,
        references: Arc::clone(references),
        memo: Memo::default(),
    });
    match op {
        Op::List => leaf(served, ops::list::list),
        Op::Create => leaf(served, ops::create::create),
        Op::Get => leaf(served, ops::get::get),
        Op::Replace => leaf(served, ops::replace::replace),
        Op::Patch => leaf(served, ops::patch::patch),
        Op::Delete => leaf(served, ops::delete::delete),
        Op::Count => leaf(served, ops::count::count),
        Op::Group => leaf(served, ops::group::group),
        Op::Export => leaf(served, ops::export::export),
        Op::Import => leaf(served, ops::import::import),
        Op::Deleted => leaf(served, ops::list::deleted),
        Op::Restore => leaf(served, ops::restore::restore),
        Op::Changes => leaf(served, ops::changes::changes),
        Op::Query => leaf(served, ops::list::query),
        Op::PatchMany => leaf(served, ops::many::patch),
        Op::DeleteMany => leaf(served, ops::many::delete),
    }
}

fn leaf<C, F, Fut>(served: Arc<Served<C>>, answer: F) -> Route
where
    C: Collection,
    F: Fn(Arc<Served<C>>, Request) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<Response, Problem>> + Send + 'static,
{
    Route::new(service_fn(move |request: Request| {
        let watch = request.extensions().get::<Stopwatch>().cloned();
        let answered = ops::idempotency::check(&served, request.headers()).map(|()| answer(served.clone(), request));
        let told = (served.errors != ErrorFormat::Problem).then(|| served.clone());
        let cache = served.cache.clone();
        async move {
            let answered = match answered {
                Ok(answer) => Stopwatch::within(watch, answer).await,
                Err(problem) => Err(problem),
            };
            let mut response = answered.unwrap_or_else(|problem| match told {
                Some(served) => served.failure(problem),
                None => problem.into_response(),
            });
            let is_open = response.extensions().get::<ops::answer::Expanded>().is_none();
            if let Some(cache) =
                cache.filter(|_| is_open && matches!(response.status(), StatusCode::OK | StatusCode::NOT_MODIFIED))
            {
                response.headers_mut().insert(CACHE_CONTROL, cache);
            }
            // Browsers must not guess that a row is a page or a script.
            response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
            Ok::<_, Infallible>(response)
        }
    }))
}

impl<C: Collection> Served<C> {
    /// The id in the path. A malformed one is answered as one that is not there, so that it tells nothing.
    pub(super) fn path_id(&self, parts: &http::request::Parts) -> Result<Value<'static>, Problem> {
        let text = parts.extensions.get::<PathParams>().and_then(|params| params.get("id")).unwrap_or_default();
        let id = match self.schema.fields[self.id].kind {
            Type::Uuid | Type::LegacyUuid(_) => check::uuid(text).ok().map(Value::Uuid),
            Type::ObjectId => check::object_id(text).ok().map(|()| Value::Str(text.to_owned().into())),
            // One row has one path: 007 and +7 are not 7.
            Type::Int(_) | Type::IntText(_) => {
                text.parse().ok().filter(|id: &i64| id.to_string() == text).map(Value::Int)
            }
            _ => (!text.is_empty()).then(|| Value::Str(text.to_owned().into())),
        };
        id.ok_or_else(not_found)
    }

    /// What is said of a query that reads every row, unless it is indexed.
    pub(super) fn check_indexed(&self, is_indexed: impl FnOnce() -> bool) -> Result<(), Problem> {
        if self.unindexed == Unindexed::Allow || is_indexed() {
            return Ok(());
        }
        let has_index = |(index, field): &(usize, &Field)| self.schema.id == Some(*index) || field.index.is_some();
        let shown = self.schema.fields.iter().enumerate().filter(|(_, field)| field.access.is_shown());
        let names: Vec<&str> = shown.filter(has_index).map(|(_, field)| &*field.name).collect();
        if self.unindexed == Unindexed::Warn {
            tracing::warn!(model = self.schema.name, indexed = names.join(", "), "a query reads every row");
            return Ok(());
        }
        Err(Problem::bad_request(format!(
            "this would read every row; compare at least one of {} with a value, or sort by it without a filter",
            names.join(", ")
        )))
    }

    /// Who chooses the id of a new row.
    pub(super) fn new_id(&self) -> IdRule<'static> {
        if self.client_id { IdRule::Chosen } else { IdRule::Generated }
    }

    pub(super) fn caller<'a>(&'a self, parts: &'a http::request::Parts) -> Caller<'a> {
        Caller { schema: &self.schema, claims: parts.extensions.get::<Claims>() }
    }

    /// The rows that there are for the caller.
    pub(super) fn readable(&self, parts: &http::request::Parts) -> Expr {
        self.policy.readable(self.caller(parts)).and(self.schema.alive())
    }

    /// The rows that there were for the caller until they were deleted.
    pub(super) fn deleted(&self, parts: &http::request::Parts) -> Expr {
        self.policy.readable(self.caller(parts)).and(self.schema.deleted())
    }

    /// The rows that the caller may write.
    pub(super) fn writable(&self, parts: &http::request::Parts) -> Expr {
        self.policy.writable(self.caller(parts)).and(self.schema.alive())
    }

    /// The row with this id, if `only` holds for it.
    pub(super) async fn row(&self, id: Value<'static>, only: Expr) -> Result<Row, Problem> {
        self.done(self.collection.get(id, only).await)?.ok_or_else(not_found)
    }

    /// Why there is no row with this id that the caller may write.
    pub(super) async fn unwritable(&self, parts: &http::request::Parts, id: Value<'static>) -> Problem {
        if !self.policy.tells_writers_apart() {
            return not_found();
        }
        match self.row(id, self.readable(parts)).await {
            Ok(_) => Problem::forbidden("the caller may read this row and not write it"),
            Err(problem) => problem,
        }
    }

    /// What a write demands of the row: that the caller may write it, and what its conditions say of the version.
    pub(super) async fn expect(&self, parts: &http::request::Parts, id: &Value<'static>) -> Result<Expect, Problem> {
        let if_match = Condition::if_match(&parts.headers)?;
        let none_match = Condition::if_none_match(&parts.headers)?;
        if self.needs_if_match && if_match.is_none() && none_match != Some(Condition::Any) {
            return Err(unconditional());
        }
        let only = self.writable(parts);
        let expect = if_match.as_ref().map_or(Expect::any(), Condition::expect).only(only);
        let Some(none_match) = none_match else {
            return Ok(expect);
        };
        // Rare on writes: look at the row first, then insist on what was seen.
        let row = self.row(id.clone(), self.readable(parts)).await?;
        if none_match.matches_weakly(row.version) || if_match.is_some_and(|tags| !tags.matches_strongly(row.version)) {
            return Err(changed());
        }
        self.seen(&row, &expect)
    }

    /// What a write demands of a row that was read: that it is still the same.
    pub(super) fn seen(&self, row: &Row, expect: &Expect) -> Result<Expect, Problem> {
        let shard = self.schema.in_shard_of_row(&row.json).map_err(|rejection| self.unfit(&rejection))?;
        Ok(Expect { versions: Some(vec![row.version]), only: expect.only.clone() }.only(shard))
    }

    /// What the restoring of a row demands of it.
    pub(super) fn expect_deleted(&self, parts: &http::request::Parts) -> Result<Expect, Problem> {
        let if_match = Condition::if_match(&parts.headers)?;
        if self.needs_if_match && if_match.is_none() {
            return Err(unconditional());
        }
        let only = self.policy.writable(self.caller(parts)).and(self.schema.deleted());
        Ok(if_match.as_ref().map_or(Expect::any(), Condition::expect).only(only))
    }

    /// Removes a row, or marks it as deleted where the model says so.
    pub(super) async fn remove(&self, id: Value<'static>, expect: Expect) -> Result<Outcome<()>, Problem> {
        match self.schema.deleting() {
            Some(changes) => Ok(match self.done(self.collection.update(id, changes, expect).await)? {
                Outcome::Done(_) => Outcome::Done(()),
                Outcome::NotFound => Outcome::NotFound,
                Outcome::Changed => Outcome::Changed,
            }),
            None => self.done(self.collection.delete(id, expect).await),
        }
    }

    /// What is shown of the JSON of a row.
    pub(super) fn show(&self, shown: &Shown, json: Bytes) -> Result<Bytes, Problem> {
        if shown.is_whole(&self.schema) {
            return Ok(json);
        }
        shown.row(&self.schema, &json).map(Bytes::from).map_err(|error| self.internal(&error))
    }

    /// What is shown of the JSON of several rows, which commas join.
    pub(super) fn show_all(&self, shown: &Shown, rows: Bytes) -> Result<Bytes, Problem> {
        if shown.is_whole(&self.schema) {
            return Ok(rows);
        }
        let array = [b"[", &rows[..], b"]"].concat();
        shown.rows(&self.schema, &array).map(Bytes::from).map_err(|error| self.internal(&error))
    }

    /// What a store answered, with its failures as problems.
    pub(super) fn done<T>(&self, result: Result<T, StoreError>) -> Result<T, Problem> {
        result.map_err(|error| self.problem(error))
    }

    pub(super) fn problem(&self, error: StoreError) -> Problem {
        problem(&self.schema, error)
    }

    /// What is to be expanded, as a list says it, or a fault of the request.
    pub(super) fn expansion(&self, parts: &http::request::Parts, asked: Option<Expand>) -> Result<Expansion, Problem> {
        asked.map_or_else(
            || Ok(Expansion::default()),
            |Expand { names, at }| Expansion::read(&self.schema, &self.references, &names, &at, parts),
        )
    }

    /// Rows that commas join, with what is expanded in them.
    pub(super) async fn expanded(
        &self,
        expansion: &Expansion,
        rows: Bytes,
        parts: &http::request::Parts,
    ) -> Result<Bytes, Problem> {
        if expansion.is_empty() {
            return Ok(rows);
        }
        let array = [b"[", &rows[..], b"]"].concat();
        let written = Bytes::from(expansion.rows(&self.schema, &array, parts).await?);
        Ok(written.slice(1..written.len() - 1))
    }

    /// A row in the store that is none of the model.
    pub(super) fn unfit(&self, rejection: &Rejection) -> Problem {
        self.internal(&format_args!("a stored row does not fit the model: {rejection}"))
    }

    /// A fault of ours: the log learns what it was, the client does not.
    pub(super) fn internal(&self, error: &dyn std::fmt::Display) -> Problem {
        internal(&self.schema, error)
    }
}

/// The failure of a store as a client learns it; the log learns more.
pub(super) fn problem(schema: &Schema, error: StoreError) -> Problem {
    let model = &schema.name;
    match error {
        StoreError::Duplicate { fields } => duplicate(schema, &fields),
        StoreError::TooLarge { limit } => Problem::too_large(limit),
        StoreError::Unavailable { source, retry_after } => {
            tracing::warn!(model, error = %source, "the store is not available");
            Problem::unavailable("the store cannot be reached at the moment", retry_after)
        }
        StoreError::Full => {
            tracing::error!(model, "the store has no space left");
            Problem::unavailable("the store has no space left", 60)
        }
        StoreError::Timeout => {
            tracing::warn!(model, "the store did not answer in time");
            Problem::of(StatusCode::GATEWAY_TIMEOUT)
                .detail("the store did not answer in time; whether a write was done is not known")
        }
        StoreError::Internal(source) => internal(schema, &source),
    }
}

/// 409: another row has the same in these fields. Of several, those are named that clients know of.
fn duplicate(schema: &Schema, fields: &[String]) -> Problem {
    let is_known = |name: &&String| schema.field(name).is_none_or(|index| schema.fields[index].access.is_known());
    let mut named: Vec<&str> = fields.iter().filter(is_known).map(String::as_str).collect();
    if named.is_empty() {
        named = fields.iter().map(String::as_str).collect();
    }
    let all = named.join(" and ");
    let told = match named.len() {
        1 => "another row has this value".to_owned(),
        _ => format!("another row has the same {all}"),
    };
    let violation = |field: &str| {
        let mut pointer = String::new();
        push_token(&mut pointer, field);
        Violation::new(Location::Pointer(pointer), "unique", told.clone())
    };
    Problem::of(StatusCode::CONFLICT)
        .detail(format!("another {} has the same {all}", schema.name))
        .errors(named.into_iter().map(violation).collect())
}

/// A fault of ours: the log learns what it was, the client does not.
pub(super) fn internal(schema: &Schema, error: &dyn std::fmt::Display) -> Problem {
    tracing::error!(model = schema.name, error = %error, "a CRUD operation failed");
    Problem::internal()
}

pub(super) fn not_found() -> Problem {
    Problem::not_found("there is no row with this id")
}

/// 428: a write that does not say which version it is meant for.
fn unconditional() -> Problem {
    let detail = "send If-Match with the ETag of the row, as it came with GET";
    Problem::of(StatusCode::PRECONDITION_REQUIRED).detail(detail).errors(vec![Violation::new(
        Location::Header("if-match".to_owned()),
        "missing",
        detail,
    )])
}

pub(super) fn changed() -> Problem {
    Problem::of(StatusCode::PRECONDITION_FAILED)
        .detail("the row is not in the version that the request is meant for; get it again")
}
