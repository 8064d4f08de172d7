//! The one query AST. Each store compiles it; none of it ever comes from a client unparsed.

mod cursor;
mod parse;

pub(crate) use parse::listing;

use super::Value;

/// A list request, typed and checked against the schema.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// Which rows.
    pub filter: Expr,
    /// In which order; the id is always the last key, so the order is total.
    pub sort: Vec<Sort>,
    /// At most how many rows.
    pub limit: usize,
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

/// A predicate over a row.
///
/// Two-valued: a comparison with a null field is false, and its negation true.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// Every row.
    True,
    /// All of them hold.
    And(Vec<Expr>),
    /// One of them holds.
    Or(Vec<Expr>),
    /// It does not hold.
    Not(Box<Expr>),
    /// A field compared with a value of its type.
    Compare {
        /// Index of a top-level field in the schema.
        field: usize,
        /// How.
        op: Comparison,
        /// With what; never [`Value::Null`], [`Value::List`] or [`Value::Object`].
        value: Value<'static>,
    },
    /// A field that equals one of the values; no row when there are none.
    In {
        /// Index of a top-level field in the schema.
        field: usize,
        /// As in [`Expr::Compare`].
        values: Vec<Value<'static>>,
    },
    /// A field that is null.
    IsNull {
        /// Index of a top-level field in the schema.
        field: usize,
    },
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
