//! The schema of a nested model, which may be one that it stands in itself.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use super::{Schema, Unknown};

/// A nested model, or one further out that holds itself: a comment and its replies.
///
/// A model that holds itself is kept until the process ends.
#[derive(Clone)]
pub struct Nested(Link);

#[derive(Clone)]
enum Link {
    Down(Arc<Schema>),
    /// Set when the model that it leads back to has been made.
    Back {
        name: Arc<str>,
        to: Arc<OnceLock<Arc<Schema>>>,
    },
}

/// What a link that was never set leads to.
static NOTHING: Schema = Schema { name: String::new(), fields: Vec::new(), id: None, unknown: Unknown::Forbid };

impl Nested {
    /// One that leads back to a model which is being made. It is to be set once that has been made.
    pub(super) fn back(name: &str, to: Arc<OnceLock<Arc<Schema>>>) -> Self {
        Self(Link::Back { name: name.into(), to })
    }

    /// Whether it is one that it stands in itself: whoever walks over schemas has been there.
    pub fn is_back(&self) -> bool {
        matches!(self.0, Link::Back { .. })
    }
}

impl Deref for Nested {
    type Target = Schema;

    fn deref(&self) -> &Schema {
        match &self.0 {
            Link::Down(schema) => schema,
            Link::Back { to, .. } => to.get().map_or(&NOTHING, |schema| schema),
        }
    }
}

impl From<Arc<Schema>> for Nested {
    fn from(schema: Arc<Schema>) -> Self {
        Self(Link::Down(schema))
    }
}

impl From<Schema> for Nested {
    fn from(schema: Schema) -> Self {
        Arc::new(schema).into()
    }
}

impl fmt::Debug for Nested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Link::Down(schema) => schema.fmt(f),
            Link::Back { name, .. } => write!(f, "Schema {{ name: {name:?}, .. }}"),
        }
    }
}
