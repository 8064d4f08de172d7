//! The compiled form of a typed model.

use std::sync::Arc;

use super::Value;

/// A typed model: what a document may hold. Pure data, built once at start-up.
#[derive(Debug, Clone)]
pub struct Schema {
    /// The model's name: `User`.
    pub name: String,
    /// Its fields in the order in which they were declared and are answered.
    pub fields: Vec<Field>,
    /// Index of the field that identifies a row. Nested models have none.
    pub id: Option<usize>,
    /// What to do with fields that the model does not have.
    pub unknown: Unknown,
}

/// A field of a model.
#[derive(Debug, Clone)]
pub struct Field {
    /// Its name in JSON.
    pub name: Arc<str>,
    /// What it holds.
    pub kind: Type,
    /// What it holds when it is left out; none when it is required.
    pub default: Option<DefaultValue>,
    /// Whether an index is kept, and of which sort.
    pub index: Option<Index>,
}

/// A value for a field that was left out.
#[derive(Debug, Clone)]
pub enum DefaultValue {
    /// Always the same.
    Constant(Value<'static>),
    /// A new UUIDv4.
    Uuid4,
    /// A new UUIDv7.
    Uuid7,
    /// The time of the request.
    Now,
}

/// An index over one field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Index {
    /// No two rows may hold the same value; nulls do not count.
    pub unique: bool,
}

/// What happens to fields that a model does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// They are violations.
    Forbid,
    /// They are left out.
    Ignore,
}

/// What a field holds.
#[derive(Debug, Clone)]
pub enum Type {
    /// `bool`
    Bool,
    /// `int`, 64 bits.
    Int(Bounds<i64>),
    /// `float`, finite.
    Float(Bounds<f64>),
    /// `str`
    Str(Text),
    /// `UUID`
    Uuid,
    /// `datetime`, in UTC, to the millisecond.
    DateTime,
    /// `Enum` or `Literal`: one of these strings, integers or booleans.
    OneOf(Vec<Value<'static>>),
    /// `Optional[T]`
    Optional(Box<Type>),
    /// `list[T]`
    List {
        /// What the items are.
        item: Box<Type>,
        /// The least number of items.
        min: Option<usize>,
        /// The greatest number of items.
        max: Option<usize>,
    },
    /// A nested model.
    Model(Arc<Schema>),
}

/// Bounds of a number.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bounds<T> {
    /// Greater than.
    pub gt: Option<T>,
    /// Greater than or equal.
    pub ge: Option<T>,
    /// Less than.
    pub lt: Option<T>,
    /// Less than or equal.
    pub le: Option<T>,
    /// A multiple of.
    pub multiple_of: Option<T>,
}

/// Rules of a text. Lengths are in code points.
#[derive(Debug, Clone, Default)]
pub struct Text {
    /// The least length.
    pub min: Option<usize>,
    /// The greatest length.
    pub max: Option<usize>,
    /// A pattern that must be found in it.
    pub pattern: Option<regex::Regex>,
    /// White space at both ends is cut off first.
    pub strip: bool,
    /// Letters are made small first.
    pub lower: bool,
    /// Letters are made capital first.
    pub upper: bool,
}

impl Schema {
    /// The index of the field called `name`.
    pub fn field(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| *field.name == *name)
    }
}
