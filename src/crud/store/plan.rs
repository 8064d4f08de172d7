//! In what a store differs from a schema, and what becomes of it: told before anything is done.

use std::fmt;
use std::sync::Arc;

use super::{OpenError, Store};
#[cfg(feature = "mongodb")]
use crate::ConfigError;
use crate::crud::Schema;

/// One thing in which a store differs from a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step {
    /// The name of the model; empty where it is about the store itself.
    pub model: String,
    /// The field, with dots between those of nested models; of a rule over several fields all of them, with commas between.
    pub field: Option<String>,
    /// What it is about.
    pub kind: StepKind,
    /// Who does it.
    pub safety: Safety,
    /// Rows that are written by it, or of a conflict those that stand in the way.
    pub rows: u64,
    /// The ids of a few rows that stand in the way, as JSON.
    pub ids: Vec<String>,
    /// What to do about a conflict.
    pub cure: Option<String>,
    /// Without the model, the field and the number of rows that are written.
    pub(super) text: String,
}

/// What a [`Step`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StepKind {
    /// The store holds nothing yet.
    NewStore,
    /// A table or a collection is made.
    NewCollection,
    /// A collection of other programs becomes that of a model.
    Adopted,
    /// The model has a field that it did not have.
    NewField,
    /// The model has a field no longer.
    FieldGone,
    /// A field has another type.
    NewType,
    /// The fields are in another order.
    Order,
    /// Generated columns are added.
    Columns,
    /// An index is built.
    NewIndex,
    /// An index goes: a rule that the model no longer has, or one that another takes the place of.
    IndexGone,
    /// Rows expire after another time.
    Expiry,
    /// What a feed would tell of earlier changes is forgotten.
    Feed,
    /// What stored rows hold is not of the type.
    Unfit,
    /// Stored rows lack a value that they must have.
    Missing,
    /// Stored rows share a value that is to be unique.
    Duplicates,
    /// Another model, or another program, has taken the name.
    Taken,
}

impl StepKind {
    /// `new_field`
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NewStore => "new_store",
            Self::NewCollection => "new_collection",
            Self::Adopted => "adopted",
            Self::NewField => "new_field",
            Self::FieldGone => "field_gone",
            Self::NewType => "new_type",
            Self::Order => "order",
            Self::Columns => "columns",
            Self::NewIndex => "new_index",
            Self::IndexGone => "index_gone",
            Self::Expiry => "expiry",
            Self::Feed => "feed",
            Self::Unfit => "unfit",
            Self::Missing => "missing",
            Self::Duplicates => "duplicates",
            Self::Taken => "taken",
        }
    }
}

/// Who does what a [`Step`] tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Safety {
    /// [`Store::open`] does it, and nothing is lost by it.
    Safe,
    /// [`Store::open`] refuses it, since others may rely on what is there; [`Store::apply`] does it.
    OnRequest,
    /// Nobody does it: rows stand in the way, and it is for people to say what becomes of them.
    Conflict,
}

impl Safety {
    /// `safe`, `on_request` or `conflict`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Safe => "safe",
            Self::OnRequest => "on_request",
            Self::Conflict => "conflict",
        }
    }
}

impl Step {
    /// What is done, or stands in the way, without the model and the field.
    pub fn what(&self) -> String {
        let text = &self.text;
        match (self.safety, self.rows, &self.ids[..]) {
            (_, 0, []) => text.clone(),
            (Safety::Conflict, rows, []) => format!("{text} ({})", count(rows)),
            (Safety::Conflict, 1, [id]) => format!("{text} (1 row, id {id})"),
            (Safety::Conflict, rows, ids) => {
                let more = if rows > ids.len() as u64 { ", …" } else { "" };
                format!("{text} ({}, ids {}{more})", count(rows), ids.join(", "))
            }
            (_, rows, _) => format!("{text}; writes {}", count(rows)),
        }
    }

    /// That it cannot be done.
    #[cfg(feature = "mongodb")]
    pub(super) fn refusal(&self) -> ConfigError {
        let error = ConfigError::new(self.to_string());
        match &self.cure {
            Some(cure) => error.cure(cure),
            None => error,
        }
    }

    /// `User.email`
    pub fn place(&self) -> String {
        match &self.field {
            Some(field) => format!("{}.{field}", self.model),
            None => self.model.clone(),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.place() {
            "" => f.write_str(&self.what()),
            place => write!(f, "{place}: {}", self.what()),
        }
    }
}

/// `1 row`, `7 rows`
fn count(rows: u64) -> String {
    if rows == 1 { "1 row".into() } else { format!("{rows} rows") }
}

/// What [`Store::open`] would do for each of the schemas, without doing it; nothing is told twice.
///
/// # Errors
/// As [`Store::plan`].
pub async fn plan<S: Store>(store: &S, schemas: &[Arc<Schema>]) -> Result<Vec<Step>, OpenError> {
    let mut steps = Vec::new();
    for schema in schemas {
        add(&mut steps, store.plan(Arc::clone(schema)).await?);
    }
    Ok(steps)
}

/// Adds what a schema brings to what was found before.
pub(super) fn add(steps: &mut Vec<Step>, found: Vec<Step>) {
    let is_known = steps.iter().any(|step| step.kind == StepKind::NewStore);
    steps.extend(found.into_iter().filter(|step| !is_known || step.kind != StepKind::NewStore));
}
