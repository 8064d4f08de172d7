//! Typed values to BSON: integers are always 64 bits wide, UUIDs binary of subtype 4 unless their field says otherwise, times
//! milliseconds.

use bson::oid::ObjectId;
use bson::spec::BinarySubtype;
use bson::{Binary, Bson, DateTime, Decimal128, Document, RawDocumentBuf};
use uuid::Uuid;

use super::legacy;
use crate::crud::schema::{Field, Naive, Text, Type};
use crate::crud::store::{StoreError, names};
use crate::crud::{Path, Schema, Value};

/// The name that a field has in the store.
pub(super) fn key(schema: &Schema, index: usize) -> &str {
    if schema.id == Some(index) { "_id" } else { &schema.fields[index].name }
}

/// The name of what is at a path, as filters say it.
pub(super) fn dotted(schema: &Schema, path: &Path) -> Result<String, StoreError> {
    let below = names::fields(schema, path)?;
    let mut name = key(schema, path.first()).to_owned();
    for field in &below[1..] {
        name.push('.');
        name.push_str(&field.name);
    }
    Ok(name)
}

/// A new document, written straight to bytes: the id first, the version last.
pub(super) fn document(schema: &Schema, values: &[Value<'_>], version: i64) -> Result<RawDocumentBuf, StoreError> {
    let mut out = Vec::with_capacity(64 + schema.fields.len() * 32);
    nested(&mut out, |out| {
        if let Some((field, id)) = schema.id.and_then(|id| Some((schema.fields.get(id)?, values.get(id)?))) {
            element(out, "_id", &field.kind, id);
        }
        members(out, schema, values);
        let mut folded = schema
            .fields
            .iter()
            .zip(values)
            .filter_map(|(field, value)| Some((field, folded(field, value)?)))
            .peekable();
        if folded.peek().is_some() {
            out.push(0x03);
            out.extend_from_slice(b"_k\0");
            nested(out, |out| folded.for_each(|(field, value)| element(out, &field.name, &Type::Uuid, &value)));
        }
        element(out, "_v", &Type::Uuid, &Value::Int(version));
    });
    RawDocumentBuf::from_bytes(out).map_err(|error| StoreError::Internal(error.into()))
}

/// What is kept beside a text that is unique whether its letters are small or capital; nothing beside others.
fn folded(field: &Field, value: &Value<'_>) -> Option<Value<'static>> {
    if !field.index.is_some_and(|index| index.case_insensitive) {
        return None;
    }
    Some(match value {
        Value::Str(text) => Value::Str(names::folded(text).into()),
        _ => Value::Null,
    })
}

/// Where that is kept: `_k.email`.
pub(super) fn folded_name(schema: &Schema, index: usize) -> String {
    format!("_k.{}", schema.fields[index].name)
}

/// What is to be set of a field.
pub(super) fn set(into: &mut Document, schema: &Schema, index: usize, value: &Value<'_>) {
    let field = &schema.fields[index];
    into.insert(&*field.name, bson(&field.kind, value));
    if let Some(folded) = folded(field, value) {
        into.insert(folded_name(schema, index), bson(&Type::Str(Text::default()), &folded));
    }
}

fn members(out: &mut Vec<u8>, schema: &Schema, values: &[Value<'_>]) {
    for (index, (field, value)) in schema.fields.iter().zip(values).enumerate() {
        if schema.id != Some(index) {
            element(out, &field.name, &field.kind, value);
        }
    }
    for (name, value) in schema.extras(values) {
        element(out, name, &Type::Any, value);
    }
}

/// Appends a document whose length is filled in when it is known.
fn nested(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    body(out);
    out.push(0);
    let length = length(out.len() - start);
    out[start..start + 4].copy_from_slice(&length);
}

/// Lengths in BSON are 32 bits; what is longer is refused before it is sent.
fn length(length: usize) -> [u8; 4] {
    i32::try_from(length).unwrap_or(i32::MAX).to_le_bytes()
}

/// Appends type, name and value. Only lists and models need their type to be known.
fn element(out: &mut Vec<u8>, name: &str, kind: &Type, value: &Value<'_>) {
    if let (Value::Str(text), Type::ObjectId) = (value, alternative(kind, value))
        && let Ok(id) = ObjectId::parse_str(text)
    {
        out.push(0x07);
        out.extend_from_slice(name.as_bytes());
        out.push(0);
        out.extend_from_slice(&id.bytes());
        return;
    }
    if let (Value::Str(text), Type::Midnight(_)) = (value, alternative(kind, value))
        && let Some(at) = midnight(text)
    {
        return element(out, name, &Type::DateTime(Naive::default()), &Value::DateTime(at));
    }
    let code = match value {
        Value::Float(_) => 0x01,
        Value::Str(_) => 0x02,
        Value::Object(_) | Value::Tagged(..) | Value::Map(_) => 0x03,
        Value::List(_) => 0x04,
        Value::Uuid(_) | Value::Bytes(_) => 0x05,
        Value::Bool(_) => 0x08,
        Value::DateTime(_) => 0x09,
        Value::Null => 0x0A,
        Value::Int(_) | Value::Micros(_) | Value::Duration(_) => 0x12,
        Value::Decimal(_) => 0x13,
    };
    out.push(code);
    out.extend_from_slice(name.as_bytes());
    out.push(0);
    match (value, alternative(kind, value)) {
        (Value::Float(x), _) => out.extend_from_slice(&x.to_le_bytes()),
        (Value::Int(x) | Value::DateTime(x) | Value::Micros(x) | Value::Duration(x), _) => {
            out.extend_from_slice(&x.to_le_bytes())
        }
        (Value::Decimal(x), _) => out.extend_from_slice(&x.to_bytes()),
        (Value::Bool(x), _) => out.push(u8::from(*x)),
        (Value::Null, _) => {}
        (Value::Str(x), _) => {
            out.extend_from_slice(&length(x.len() + 1));
            out.extend_from_slice(x.as_bytes());
            out.push(0);
        }
        (Value::Uuid(x), kind) => {
            let (subtype, uuid) = uuid(kind, *x);
            out.extend_from_slice(&length(16));
            out.push(subtype.into());
            out.extend_from_slice(uuid.as_bytes());
        }
        (Value::Bytes(x), _) => {
            out.extend_from_slice(&length(x.len()));
            out.push(0);
            out.extend_from_slice(x);
        }
        (Value::Map(entries), kind) => nested(out, |out| {
            let kind = value_of(kind);
            entries.iter().for_each(|(name, value)| element(out, name, kind, value));
        }),
        (Value::Object(values), Type::Model(schema)) => nested(out, |out| members(out, schema, values)),
        (Value::Tagged(variant, values), Type::Tagged(tagged)) => nested(out, |out| {
            if let Some(schema) = tagged.schema(*variant) {
                members(out, schema, values);
            }
        }),
        (Value::List(items), kind @ (Type::List { .. } | Type::Fixed(_) | Type::Any)) => {
            nested(out, |out| items_of(out, kind, items))
        }
        // A value of another type than its field's cannot come from validation.
        (Value::Object(_) | Value::Tagged(..) | Value::List(_), _) => nested(out, |_| {}),
    }
}

fn items_of(out: &mut Vec<u8>, kind: &Type, items: &[Value<'_>]) {
    let mut number = itoa::Buffer::new();
    for (index, value) in items.iter().enumerate() {
        element(out, number.format(index), kind.item(index), value);
    }
}

/// The type itself, or the one of a union that the value is of.
fn alternative<'t>(kind: &'t Type, value: &Value<'_>) -> &'t Type {
    match kind.inner().0 {
        Type::Union(union) => union.of_value(value).unwrap_or(kind),
        kind => kind,
    }
}

/// A UUID as it is kept.
fn uuid(kind: &Type, uuid: Uuid) -> (BinarySubtype, Uuid) {
    match kind {
        Type::LegacyUuid(order) => (legacy::SUBTYPE.into(), legacy::reorder(*order, uuid)),
        _ => (BinarySubtype::Uuid, uuid),
    }
}

/// When a day begins in UTC, in milliseconds since 1970.
fn midnight(day: &str) -> Option<i64> {
    Some(speedate::Date::parse_str_rfc3339(day).ok()?.timestamp() * 1000)
}

/// What the values of a dict are.
fn value_of(kind: &Type) -> &Type {
    match kind {
        Type::Map { value, .. } => value,
        _ => &Type::Any,
    }
}

/// A value as a part of an update or a filter.
pub(super) fn bson(kind: &Type, value: &Value<'_>) -> Bson {
    let object = |schema: &Schema, values: &[Value<'_>]| {
        let members = schema.fields.iter().zip(values);
        let members = members.map(|(field, value)| (field.name.to_string(), bson(&field.kind, value)));
        let extras = schema.extras(values).iter().map(|(name, value)| (name.to_string(), bson(&Type::Any, value)));
        Bson::Document(members.chain(extras).collect())
    };
    match (value, alternative(kind, value)) {
        (Value::Null, _) => Bson::Null,
        (Value::Bool(x), _) => Bson::Boolean(*x),
        (Value::Int(x) | Value::Micros(x) | Value::Duration(x), _) => Bson::Int64(*x),
        (Value::Decimal(x), _) => Bson::Decimal128(Decimal128::from_bytes(x.to_bytes())),
        (Value::Float(x), _) => Bson::Double(*x),
        (Value::Str(x), Type::ObjectId) => match ObjectId::parse_str(x) {
            Ok(id) => Bson::ObjectId(id),
            Err(_) => Bson::String(x.to_string()),
        },
        (Value::Str(x), Type::Midnight(_)) => match midnight(x) {
            Some(at) => Bson::DateTime(DateTime::from_millis(at)),
            None => Bson::String(x.to_string()),
        },
        (Value::Str(x), _) => Bson::String(x.to_string()),
        (Value::Uuid(x), kind) => {
            let (subtype, uuid) = uuid(kind, *x);
            Bson::Binary(Binary { subtype, bytes: uuid.into_bytes().to_vec() })
        }
        (Value::DateTime(x), _) => Bson::DateTime(DateTime::from_millis(*x)),
        (Value::Bytes(x), _) => Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes: x.to_vec() }),
        (Value::Map(entries), kind) => {
            let kind = value_of(kind);
            Bson::Document(entries.iter().map(|(name, value)| (name.to_string(), bson(kind, value))).collect())
        }
        (Value::Object(values), Type::Model(schema)) => object(schema, values),
        (Value::Tagged(variant, values), Type::Tagged(tagged)) => {
            tagged.schema(*variant).map_or_else(|| Bson::Document(Document::new()), |schema| object(schema, values))
        }
        (Value::List(items), kind @ (Type::List { .. } | Type::Fixed(_) | Type::Any)) => {
            Bson::Array(items.iter().enumerate().map(|(index, value)| bson(kind.item(index), value)).collect())
        }
        (Value::Object(_) | Value::Tagged(..), _) => Bson::Document(Document::new()),
        (Value::List(_), _) => Bson::Array(Vec::new()),
    }
}

/// An id as it is kept; none for what cannot be the id of any row.
pub(super) fn id(schema: &Schema, value: &Value<'_>) -> Option<Bson> {
    match value {
        Value::Uuid(_) | Value::Str(_) | Value::Int(_) => {
            let kind = &schema.fields.get(schema.id?)?.kind;
            Some(bson(kind, value))
        }
        _ => None,
    }
}

/// An id that others made, in the text that answers show.
pub(super) fn object_id(id: ObjectId) -> String {
    id.to_hex()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crud::Decimal;
    use crate::crud::schema::{Bounds, Field, LegacyUuid, ListSort, Number, Text, Unknown};

    #[test]
    fn bytes_are_what_the_driver_would_write() {
        let text = || Type::Str(Text::default());
        let int = || Type::Int(Bounds::default());
        let make = |name: &str, fields, id| Schema { name: name.into(), fields, id, unknown: Unknown::Forbid };
        let inner = make("P", vec![Field::new("id", int()), Field::new("t", text())], None);
        let list = Type::List { item: Box::new(Type::Model(inner.into())), min: None, max: None, sort: ListSort::List };
        let fields = vec![
            Field::new("n", Type::Optional(Box::new(int()))),
            Field::new("id", Type::Uuid),
            Field::new("old", Type::LegacyUuid(LegacyUuid::CSharp)),
            Field::new("f", Type::Float(Bounds::default())),
            Field::new("b", Type::Bool),
            Field::new("w", Type::DateTime(Naive::default())),
            Field::new("t", Type::Duration(Bounds::default())),
            Field::new("m", Type::Midnight(Bounds::default())),
            Field::new("d", Type::Decimal(Number::default())),
            Field::new("é", Type::Optional(Box::new(list))),
        ];
        let schema = make("M", fields, Some(1));
        let uuid = Uuid::from_u128(7);
        let item = Value::Object(vec![Value::Int(1), Value::Str("a\0b".into())]);
        let values = [
            Value::Null,
            Value::Uuid(uuid),
            Value::Uuid(Uuid::from_u128(0x0102_0304 << 96)),
            Value::Float(-0.0),
            Value::Bool(true),
            Value::DateTime(-5),
            Value::Duration(-6),
            Value::Str("1969-12-31".into()),
            Value::Decimal(Decimal::parse("-1.50").unwrap()),
            Value::List(vec![item]),
        ];
        let ours = document(&schema, &values, 9).unwrap();
        let theirs = bson::doc! {
            "_id": Binary { subtype: BinarySubtype::Uuid, bytes: uuid.as_bytes().to_vec() },
            "n": Bson::Null,
            "old": Binary { subtype: BinarySubtype::UuidOld, bytes: [&[4, 3, 2, 1][..], &[0; 12]].concat() },
            "f": -0.0,
            "b": true,
            "w": DateTime::from_millis(-5),
            "t": -6_i64,
            "m": DateTime::from_millis(-86_400_000),
            "d": "-1.50".parse::<Decimal128>().unwrap(),
            "é": [{ "id": 1_i64, "t": "a\0b" }],
            "_v": 9_i64,
        };
        assert_eq!(ours.as_bytes(), theirs.to_vec().unwrap());
        assert_eq!(bson(&schema.fields[9].kind, &values[9]), theirs["é"]);
        assert_eq!(bson(&schema.fields[7].kind, &values[7]), theirs["m"]);
        assert_eq!(bson(&schema.fields[2].kind, &values[2]), theirs["old"]);
    }
}
