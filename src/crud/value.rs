//! Typed values: what documents, filters and cursors are made of.

use std::borrow::Cow;

use uuid::Uuid;

use super::Decimal;

/// A value that has been checked against its field's type.
///
/// Strings borrow from the request body where they can.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// JSON `null`.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer; 64 bits are all that the stores hold.
    Int(i64),
    /// A float, never NaN or infinite.
    Float(f64),
    /// Text.
    Str(Cow<'a, str>),
    /// A UUID.
    Uuid(Uuid),
    /// Milliseconds since 1970-01-01T00:00:00Z.
    DateTime(i64),
    /// Microseconds since 1970-01-01T00:00:00Z.
    Micros(i64),
    /// Microseconds.
    Duration(i64),
    /// A decimal number.
    Decimal(Decimal),
    /// Bytes.
    Bytes(Cow<'a, [u8]>),
    /// A list.
    List(Vec<Value<'a>>),
    /// A model: one value for each field of its schema, in the schema's order; last, where the schema allows them
    /// ([`Unknown::Allow`](super::schema::Unknown::Allow)), a [`Map`](Self::Map) of the members that are none of its fields.
    Object(Vec<Value<'a>>),
    /// A model of a tagged union: which of its variants, and what [`Object`](Self::Object) holds.
    Tagged(usize, Vec<Value<'a>>),
    /// A dict: names and values in the order in which they were sent.
    Map(Vec<(Cow<'a, str>, Value<'a>)>),
}

impl Value<'_> {
    /// Detaches the value from the bytes that it was read from.
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Self::Null => Value::Null,
            Self::Bool(x) => Value::Bool(x),
            Self::Int(x) => Value::Int(x),
            Self::Float(x) => Value::Float(x),
            Self::Str(x) => Value::Str(Cow::Owned(x.into_owned())),
            Self::Uuid(x) => Value::Uuid(x),
            Self::DateTime(x) => Value::DateTime(x),
            Self::Micros(x) => Value::Micros(x),
            Self::Duration(x) => Value::Duration(x),
            Self::Decimal(x) => Value::Decimal(x),
            Self::Bytes(x) => Value::Bytes(Cow::Owned(x.into_owned())),
            Self::List(items) => Value::List(items.into_iter().map(Value::into_owned).collect()),
            Self::Object(items) => Value::Object(items.into_iter().map(Value::into_owned).collect()),
            Self::Tagged(variant, items) => Value::Tagged(variant, items.into_iter().map(Value::into_owned).collect()),
            Self::Map(entries) => {
                let owned =
                    |(name, value): (Cow<'_, str>, Value<'_>)| (Cow::Owned(name.into_owned()), value.into_owned());
                Value::Map(entries.into_iter().map(owned).collect())
            }
        }
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Self::Str(Cow::Borrowed(value))
    }
}
