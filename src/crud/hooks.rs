//! Code that writes pass through: before a row is written, and after.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;

use super::schema::validate;
use super::service::Served;
use super::{Collection, Op, Row, Value, json};
use crate::service::Problem;

/// What is about to happen to a row, or has happened.
#[derive(Debug, Clone)]
pub struct Event {
    /// What happens to the row. A `PUT` that makes a row which was not there is [`Op::Create`].
    pub op: Op,
    /// The head of the request.
    pub request: Arc<Parts>,
    /// The row as it was before; none where it is made.
    pub stored: Option<Row>,
    /// The document as JSON, hidden fields and all: as it is to be written, as it was written, or as it was before it was deleted.
    pub document: Bytes,
    /// The version that was written; none before, and where the row is deleted.
    pub version: Option<i64>,
}

type Answer = Pin<Box<dyn Future<Output = Result<Bytes, Problem>> + Send>>;
type Before = Arc<dyn Fn(Event) -> Answer + Send + Sync>;
type After = Arc<dyn Fn(Event) + Send + Sync>;

/// One of them, and its operation and name.
struct Hook<F> {
    op: Op,
    name: String,
    call: F,
}

impl<F: Clone> Clone for Hook<F> {
    fn clone(&self) -> Self {
        Self { op: self.op, name: self.name.clone(), call: self.call.clone() }
    }
}

/// The hooks of a resource.
#[derive(Clone)]
pub(super) struct Hooks {
    before: Vec<Hook<Before>>,
    after: Vec<Hook<After>>,
}

impl Hooks {
    pub(super) const fn new() -> Self {
        Self { before: Vec::new(), after: Vec::new() }
    }

    pub(super) fn add_before<F, Answered>(&mut self, op: Op, name: String, hook: F)
    where
        F: Fn(Event) -> Answered + Send + Sync + 'static,
        Answered: Future<Output = Result<Bytes, Problem>> + Send + 'static,
    {
        self.before.push(Hook { op, name, call: Arc::new(move |event| Box::pin(hook(event))) });
    }

    pub(super) fn add_after(&mut self, op: Op, name: String, hook: impl Fn(Event) + Send + Sync + 'static) {
        self.after.push(Hook { op, name, call: Arc::new(hook) });
    }

    /// Their operations.
    pub(super) fn ops(&self) -> impl Iterator<Item = Op> {
        self.before.iter().map(|hook| hook.op).chain(self.after.iter().map(|hook| hook.op))
    }

    /// Whether any is called for `op`.
    pub(super) fn has(&self, op: Op) -> bool {
        self.ops().any(|own| own == op)
    }

    /// The names of those that are called for `op`.
    pub(super) fn names(&self, op: Op) -> impl Iterator<Item = &str> {
        let before = self.before.iter().filter(move |hook| hook.op == op).map(|hook| &*hook.name);
        before.chain(self.after.iter().filter(move |hook| hook.op == op).map(|hook| &*hook.name))
    }

    fn before(&self, op: Op) -> impl Iterator<Item = &Hook<Before>> {
        self.before.iter().filter(move |hook| hook.op == op)
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let before = self.before.iter().map(|hook| (hook.op, &hook.name));
        f.debug_list().entries(before.chain(self.after.iter().map(|hook| (hook.op, &hook.name)))).finish()
    }
}

impl<C: Collection> Served<C> {
    /// The document as the hooks want it written, or their refusal.
    pub(super) async fn before(
        &self,
        op: Op,
        parts: &Parts,
        stored: Option<&Row>,
        document: Value<'static>,
    ) -> Result<Value<'static>, Problem> {
        if self.hooks.before(op).next().is_none() {
            return Ok(document);
        }
        let was = json::document(&self.schema, &document);
        let mut json = was.clone();
        for hook in self.hooks.before(op) {
            json = (hook.call)(event(op, parts, stored.cloned(), json, None)).await?;
        }
        if json == was {
            return Ok(document);
        }
        let values = validate::whole(&self.schema, &json).map_err(|rejection| {
            self.internal(&format_args!("a hook of {op} makes a row that breaks the rules of its model: {rejection}"))
        })?;
        if op != Op::Create
            && let Value::Object(before) = &document
        {
            for (field, what) in [(Some(self.id), "the id"), (self.schema.shard_key(), "the shard key")] {
                if field.is_some_and(|field| before[field] != values[field]) {
                    return Err(self.internal(&format_args!("a hook of {op} changes {what} of the row")));
                }
            }
        }
        Ok(Value::Object(values))
    }

    /// Lets the hooks look at a row that is to be deleted, and refuse it.
    pub(super) async fn before_delete(&self, parts: &Parts, row: &Row) -> Result<(), Problem> {
        for hook in self.hooks.before(Op::Delete) {
            (hook.call)(event(Op::Delete, parts, Some(row.clone()), row.json.clone(), None)).await?;
        }
        Ok(())
    }

    /// Tells the hooks what has happened: `written` is the row as it is now, if it is still there.
    pub(super) fn after(&self, op: Op, parts: &Parts, stored: Option<&Row>, written: Option<&Row>) {
        for hook in self.hooks.after.iter().filter(|hook| hook.op == op) {
            if let Some(row) = written.or(stored) {
                let version = written.map(|row| row.version);
                (hook.call)(event(op, parts, stored.cloned(), row.json.clone(), version));
            }
        }
    }
}

fn event(op: Op, parts: &Parts, stored: Option<Row>, document: Bytes, version: Option<i64>) -> Event {
    Event { op, request: Arc::new(parts.clone()), stored, document, version }
}
