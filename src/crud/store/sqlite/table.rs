//! A schema as SQLite sees it: its table, its columns, and values on their way in and out.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use rusqlite::types::{Value as Sql, ValueRef};
use uuid::Uuid;

use super::functions;
use crate::ConfigError;
use crate::crud::schema::{Field, Type};
use crate::crud::store::{StoreError, names};
use crate::crud::{Decimal, Path, Schema, Value, json};

/// The table of a schema.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) schema: Arc<Schema>,
    /// Index of the id.
    pub(super) id: usize,
    /// Without quotes: `c_user`.
    pub(super) name: String,
    /// For each field the SQL that gives its value: a column, or an expression for those that have none.
    pub(super) columns: Vec<String>,
}

impl Table {
    pub(super) fn new(schema: Arc<Schema>) -> Result<Self, ConfigError> {
        let id = names::check(&schema)?;
        let name = format!("c_{}", names::collection(&schema.name));
        let columns = schema
            .fields
            .iter()
            .enumerate()
            .map(|(index, field)| match index {
                _ if index == id => "id".to_owned(),
                _ if field.kind.is_scalar() => format!("\"{}\"", column(field)),
                _ => extract(field),
            })
            .collect();
        Ok(Self { schema, id, name, columns })
    }

    /// The field that a column of the table shows.
    pub(super) fn field_of_column(&self, name: &str) -> Option<&str> {
        if name == "id" {
            return self.schema.fields.get(self.id).map(|field| &*field.name);
        }
        self.schema.fields.iter().find(|field| column(field) == name).map(|field| &*field.name)
    }

    /// The id of a document, as it is bound.
    pub(super) fn id_of(&self, document: &Value<'_>) -> Result<Sql, StoreError> {
        match document {
            Value::Object(values) => values.get(self.id).and_then(id),
            _ => None,
        }
        .ok_or_else(|| StoreError::Internal("a document without an id".into()))
    }

    /// The SQL that gives the value at a path.
    pub(super) fn value_at(&self, path: &Path) -> Result<Cow<'_, str>, StoreError> {
        match self.columns.get(path.first()) {
            Some(column) if path.is_top() => Ok(column.into()),
            _ => {
                let kind = names::kind(&self.schema, path)?;
                Ok(ordered(kind, &format!("doc->>{}", self.json_path(path)?)).into())
            }
        }
    }

    /// Where a path is in the document, as JSON functions are told. [`names::check`] has refused names that hold quotes.
    pub(super) fn json_path(&self, path: &Path) -> Result<String, StoreError> {
        let mut sql = String::from("'$");
        for field in names::fields(&self.schema, path)? {
            // Writing to a string cannot fail.
            let _ = write!(sql, ".\"{}\"", field.name);
        }
        sql.push('\'');
        Ok(sql)
    }

    /// A value on its way into a comparison with what is at a path.
    pub(super) fn bind(&self, path: &Path, value: &Value<'_>) -> Result<Sql, StoreError> {
        if path.is_top() && path.first() == self.id { id(value) } else { scalar(value) }
            .ok_or_else(|| StoreError::Internal("a comparison with a list or a model".into()))
    }

    /// A key of a row, typed again.
    pub(super) fn unbind(&self, index: usize, value: ValueRef<'_>) -> Result<Value<'static>, StoreError> {
        let unfit = || StoreError::Internal(format!("a stored key of {} does not fit its type", self.name).into());
        unbind(&self.schema.fields.get(index).ok_or_else(unfit)?.kind, value).ok_or_else(unfit)
    }
}

/// What [`ordered`] shows of a scalar, typed again; nothing when it is not of the type.
pub(super) fn unbind(kind: &Type, value: ValueRef<'_>) -> Option<Value<'static>> {
    Some(match (kind.inner().0, value) {
        (_, ValueRef::Null) => Value::Null,
        (Type::Uuid | Type::LegacyUuid(_), ValueRef::Blob(bytes)) => Value::Uuid(Uuid::from_slice(bytes).ok()?),
        (Type::Uuid | Type::LegacyUuid(_), ValueRef::Text(text)) => Value::Uuid(Uuid::try_parse_ascii(text).ok()?),
        (kind @ (Type::DateTime(_) | Type::Micros(_)), ValueRef::Text(text)) => kind.instant(micros(text)?),
        (Type::Bool, ValueRef::Integer(x)) => Value::Bool(x != 0),
        (Type::Float(_), ValueRef::Real(x)) => Value::Float(x),
        (Type::Duration(_), ValueRef::Integer(x)) => Value::Duration(x),
        (Type::Decimal(_), ValueRef::Blob(key)) => Value::Decimal(Decimal::from_key(key)?),
        (Type::Int(_) | Type::IntText(_) | Type::OneOf { .. }, ValueRef::Integer(x)) => Value::Int(x),
        (
            Type::Str(_) | Type::ObjectId | Type::Date(_) | Type::Midnight(_) | Type::Time(_) | Type::OneOf { .. },
            ValueRef::Text(text),
        ) => Value::Str(String::from_utf8(text.to_vec()).ok()?.into()),
        _ => return None,
    })
}

/// A name as it stands in SQL, in quotes.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The generated column of a field. SQLite takes `Name` and `name` for one column, so capitals are marked. Its first letter tells
/// what it shows: a field may have become one of another type while there were no rows.
pub(super) fn column(field: &Field) -> String {
    let mut name = String::with_capacity(field.name.len() + 4);
    name.push_str(match field.kind.inner().0 {
        Type::Decimal(_) => "d_",
        Type::Duration(_) => "t_",
        Type::IntText(_) => "i_",
        _ => "f_",
    });
    for letter in field.name.chars() {
        if letter.is_ascii_uppercase() || letter == '^' {
            name.push('^');
        }
        name.push(letter);
    }
    name
}

/// The SQL that takes a field out of the document. [`names::check`] has refused names that hold quotes.
pub(super) fn extract(field: &Field) -> String {
    ordered(&field.kind, &format!("doc->>'$.\"{}\"'", field.name))
}

/// SQL that shows a value as what sorts as it does: the texts of numbers and of durations do not.
pub(super) fn ordered(kind: &Type, text: &str) -> String {
    match kind.inner().0 {
        Type::Decimal(_) => format!("{}({text})", functions::DECIMAL),
        Type::Duration(_) => format!("{}({text})", functions::DURATION),
        Type::IntText(_) => format!("CAST({text} AS INTEGER)"),
        _ => text.to_owned(),
    }
}

/// An id as it is bound: a UUID is 16 bytes, which sort as its text does.
pub(super) fn id(value: &Value<'_>) -> Option<Sql> {
    match value {
        Value::Uuid(x) => Some(Sql::Blob(x.as_bytes().to_vec())),
        Value::Str(_) | Value::Int(_) => scalar(value),
        _ => None,
    }
}

/// A value on its way into a comparison with the items of a list.
pub(super) fn item(value: &Value<'_>) -> Result<Sql, StoreError> {
    scalar(value).ok_or_else(|| StoreError::Internal("a comparison with a list or a model".into()))
}

/// A value as [`ordered`] shows it: UUIDs and times are text, booleans are 0 and 1.
fn scalar(value: &Value<'_>) -> Option<Sql> {
    Some(match value {
        Value::Null => Sql::Null,
        Value::Bool(x) => Sql::Integer(i64::from(*x)),
        Value::Int(x) => Sql::Integer(*x),
        Value::Float(x) => Sql::Real(*x),
        Value::Str(x) => Sql::Text(x.to_string()),
        Value::Uuid(x) => Sql::Text(x.hyphenated().to_string()),
        Value::DateTime(x) => Sql::Text(String::from_utf8_lossy(&json::datetime_text(*x)).into_owned()),
        Value::Micros(x) => Sql::Text(String::from_utf8_lossy(&json::micros_text(*x)).into_owned()),
        Value::Duration(x) => Sql::Integer(*x),
        Value::Decimal(x) => Sql::Blob(x.key()),
        Value::Bytes(_) | Value::List(_) | Value::Object(_) | Value::Tagged(..) | Value::Map(_) => return None,
    })
}

/// Reads what [`json::datetime_text`] or [`json::micros_text`] wrote.
fn micros(text: &[u8]) -> Option<i64> {
    let parsed = speedate::DateTime::parse_bytes_rfc3339(text).ok()?;
    Some(parsed.timestamp() * 1_000_000 + i64::from(parsed.time.microsecond))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_differ_where_sqlite_sees_no_difference() {
        let column = |name: &str| column(&Field::new(name, Type::Bool));
        assert_eq!(column("name"), "f_name");
        assert_eq!(column("Name"), "f_^name".replace("^n", "^N"));
        assert_ne!(column("Name").to_lowercase(), column("name").to_lowercase());
        assert_ne!(column("^name").to_lowercase(), column("Name").to_lowercase());
    }

    #[test]
    fn times_are_read_back() {
        for ms in [0, -1, 1, 1_709_210_096_007, json::FIRST_INSTANT, json::LAST_INSTANT] {
            assert_eq!(micros(&json::datetime_text(ms)), Some(ms * 1000));
            assert_eq!(micros(&json::micros_text(ms * 1000 + 999)), Some(ms * 1000 + 999));
        }
    }
}
