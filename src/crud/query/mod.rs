//! The one query AST. Each store compiles it; none of it ever comes from a client unparsed.

mod body;
mod condition;
mod cursor;
mod evaluate;
mod group;
mod grouping;
mod indexed;
mod parse;
mod path;
mod pattern;
mod search;
mod shown;

pub(crate) use body::listing_of_body;
pub(crate) use condition::value as text_value;
pub use grouping::{Aggregate, Dimension, Function, Grouping, Order, Part};
pub(crate) use grouping::{aggregates, grouping, measure};
pub(crate) use parse::{
    Expand, FARTHEST_OFFSET, ListRules, Listing, SEARCH, export, filter, is_taken, listing, shown, watched,
};
pub use path::Path;
pub use pattern::Pattern;
pub(crate) use shown::Shown;

use std::convert::Infallible;

use super::{Schema, Value};
use crate::ConfigError;

/// A list request, typed and checked against the schema.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// Which rows.
    pub filter: Expr,
    /// In which order; the id is always the last key, so the order is total.
    pub sort: Vec<Sort>,
    /// At most how many rows.
    pub limit: usize,
    /// How many rows are skipped first.
    pub offset: usize,
    /// Only rows after this boundary: one value for each key of `sort`.
    pub after: Option<Vec<Value<'static>>>,
}

/// One sort key. Null comes first when ascending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    /// Index of a top-level field in the schema.
    pub field: usize,
    /// Largest first.
    pub descending: bool,
}

impl Sort {
    /// The order by the named fields, `-` before one for largest first, and by the id at last, which makes it total.
    ///
    /// # Errors
    /// When the schema has no such field, it holds no single value, or is named twice.
    pub fn total(schema: &Schema, names: &[String]) -> Result<Vec<Self>, ConfigError> {
        let mut keys: Vec<Self> = Vec::with_capacity(names.len() + 1);
        for name in names {
            let (name, descending) = name.strip_prefix('-').map_or((&**name, false), |name| (name, true));
            let path = Path::of(schema, name)?;
            let field = path.first();
            let wrong =
                |what: &str| Err(ConfigError::new(format!("{} cannot be sorted by {name}: {what}", schema.name)));
            if !path.is_top() || !schema.fields[field].kind.is_scalar() {
                return wrong("it is no single value of the row itself");
            }
            if keys.iter().any(|key| key.field == field) {
                return wrong("it is there twice");
            }
            keys.push(Self { field, descending });
        }
        Ok(Self::until_id(schema, keys))
    }

    /// The keys up to the id and with it: the order is then total.
    fn until_id(schema: &Schema, mut keys: Vec<Self>) -> Vec<Self> {
        if let Some(id) = schema.id {
            match keys.iter().position(|key| key.field == id) {
                Some(at) => keys.truncate(at + 1),
                None => keys.push(Self { field: id, descending: false }),
            }
        }
        keys
    }
}

/// A predicate over a row.
///
/// Two-valued: a comparison with a null field is false, and its negation true. `V` is what fields are compared with: values, or,
/// where these are only known when a request comes, what stands for them. `C` is what is asked of the caller and not of the row, where
/// that is known by then; a predicate that stores are given asks nothing of the kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr<V = Value<'static>, C = Infallible> {
    /// Every row.
    True,
    /// All of them hold.
    And(Vec<Self>),
    /// One of them holds.
    Or(Vec<Self>),
    /// It does not hold.
    Not(Box<Self>),
    /// A field compared with a value of its type.
    Compare {
        /// Which.
        field: Path,
        /// How.
        op: Comparison,
        /// With what; a single value, never [`Value::Null`].
        value: V,
    },
    /// A field that equals one of the values; no row when there are none.
    In {
        /// Which.
        field: Path,
        /// As in [`Expr::Compare`].
        values: Vec<V>,
    },
    /// A field that is null, or lies in a model that is.
    IsNull {
        /// Which.
        field: Path,
    },
    /// A text like a pattern.
    Like {
        /// Which.
        field: Path,
        /// What it is like.
        pattern: Pattern,
    },
    /// A list that holds one of the values; no row when there are none.
    Has {
        /// Which.
        field: Path,
        /// Of the type of the list's items, as in [`Expr::Compare`].
        values: Vec<V>,
    },
    /// A dict that has a key.
    HasKey {
        /// Which.
        field: Path,
        /// The key.
        key: String,
    },
    /// A row in whose [searched](super::schema::Field::searched) fields all of these words are, each in any of them; only stores can tell.
    Search {
        /// Words, or phrases.
        words: Vec<String>,
    },
    /// A list whose number of items is compared.
    Length {
        /// Which.
        field: Path,
        /// How.
        op: Comparison,
        /// With what.
        length: u64,
    },
    /// Every row, or none: what the caller is like.
    Caller(C),
}

impl<V, C> Expr<V, C> {
    /// One that holds for no row.
    pub const fn never() -> Self {
        Self::Or(Vec::new())
    }

    /// A field that equals a value.
    pub const fn equal(field: Path, value: V) -> Self {
        Self::Compare { field, op: Comparison::Eq, value }
    }

    /// One of the two holds.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self::Or(vec![self, other])
    }

    /// Both hold.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::True, one) | (one, Self::True) => one,
            (Self::And(mut parts), other) => {
                parts.push(other);
                Self::And(parts)
            }
            (one, other) => Self::And(vec![one, other]),
        }
    }

    /// What a field has to equal, whatever else holds.
    #[cfg(feature = "mongodb")]
    pub(crate) fn demanded(&self, field: usize) -> Option<&V> {
        match self {
            Self::And(parts) => parts.iter().find_map(|part| part.demanded(field)),
            Self::Compare { field: own, op: Comparison::Eq, value } if *own == Path::from(field) => Some(value),
            Self::In { field: own, values } if *own == Path::from(field) => match values.as_slice() {
                [value] => Some(value),
                _ => None,
            },
            _ => None,
        }
    }
}

/// A comparison of ordered values; text is compared by its UTF-8 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// Equal.
    Eq,
    /// Not equal, or null.
    Ne,
    /// Greater.
    Gt,
    /// Greater or equal.
    Ge,
    /// Less.
    Lt,
    /// Less or equal.
    Le,
}
