//! BSON to JSON, guided by the schema, straight from the bytes of the reply.
//!
//! What others have written is read as far as it has one meaning: any number type for a number, textual UUIDs, fields
//! in any order, fields that are missing. What does not fit its field's type is an error that names the field, and so are UUIDs of another subtype
//! than the field's: they would be shown, and be found by nobody.

use bson::spec::BinarySubtype;
use bson::{RawArray, RawBsonRef, RawDocument};
use uuid::Uuid;

use super::{encode, legacy, straight};
use crate::crud::schema::{BytesForm, DefaultValue, Tagged, Type, Union, check};
use crate::crud::store::StoreError;
use crate::crud::{Decimal, Schema, Value, json};

/// What is known of a document after one pass over its elements.
struct Members<'a> {
    values: Vec<Option<RawBsonRef<'a>>>,
    /// What is no field, where that is shown.
    extras: Vec<(&'a str, RawBsonRef<'a>)>,
    version: i64,
}

fn broken(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::Internal(Box::new(error))
}

fn unfit(field: &str, value: RawBsonRef<'_>) -> StoreError {
    if let RawBsonRef::Binary(binary) = value
        && let subtype @ (BinarySubtype::Uuid | BinarySubtype::UuidOld) = binary.subtype
    {
        let cure = match subtype {
            BinarySubtype::Uuid => "it is a UUID without Stored(...)",
            _ => {
                "say in which order of bytes by Stored(\"pythonLegacy\"), \"javaLegacy\" or \"csharpLegacy\" at the field"
            }
        };
        let subtype = u8::from(subtype);
        let text = format!("a stored {field} is a UUID of the binary subtype {subtype}, which its type is not: {cure}");
        return StoreError::Internal(text.into());
    }
    StoreError::Internal(format!("a stored {field} is {:?}, which does not fit its type", value.element_type()).into())
}

fn members<'a>(schema: &Schema, document: &'a RawDocument) -> Result<Members<'a>, StoreError> {
    let mut members = Members { values: vec![None; schema.fields.len()], extras: Vec::new(), version: 0 };
    // Our own documents have their fields in the order of the schema, so each is nearly always the next one.
    let mut next = 0;
    for element in document.iter_elements() {
        let element = element.map_err(broken)?;
        let name = element.key().as_str().as_bytes();
        let index = match name {
            b"_id" if schema.id.is_some() => schema.id,
            b"_v" => {
                members.version = integer(element.value().map_err(broken)?).unwrap_or(0);
                None
            }
            _ => {
                let fields = schema.fields.len();
                let found = (next..fields)
                    .chain(0..next)
                    .find(|index| schema.id != Some(*index) && schema.fields[*index].name.as_bytes() == name);
                next = found.map_or(next, |index| index + 1);
                if found.is_none() && schema.is_open() {
                    let name = element.key().as_str();
                    // The name of the id, which MongoDB has a name of its own for, is no other member's.
                    if check::extra(name).is_ok() && schema.field(name).is_none() {
                        members.extras.push((name, element.value().map_err(broken)?));
                    }
                }
                found
            }
        };
        if let Some(index) = index {
            members.values[index] = Some(element.value().map_err(broken)?);
        }
    }
    Ok(members)
}

/// Appends a stored document as JSON, fields in the schema's order; its version, which is 0 when others wrote it.
pub(super) fn document(out: &mut Vec<u8>, schema: &Schema, document: &RawDocument) -> Result<i64, StoreError> {
    let begun = out.len();
    if let Some(version) = straight::document(out, schema, document.as_bytes()) {
        return Ok(version);
    }
    out.truncate(begun);
    general(out, schema, document)
}

/// As [`document`], for any order of the fields and whatever there is of them.
pub(super) fn general(out: &mut Vec<u8>, schema: &Schema, document: &RawDocument) -> Result<i64, StoreError> {
    let members = members(schema, document)?;
    out.push(b'{');
    for (index, (field, value)) in schema.fields.iter().zip(&members.values).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(field.key());
        match (value, &field.default) {
            (Some(value), _) => write(out, &field.name, &field.kind, *value)?,
            (None, Some(DefaultValue::Constant(value))) => json::write_value(out, &field.kind, value),
            (None, _) => out.extend_from_slice(b"null"),
        }
    }
    for (index, (name, value)) in members.extras.iter().enumerate() {
        if index > 0 || !schema.fields.is_empty() {
            out.push(b',');
        }
        json::write_str(out, name);
        out.push(b':');
        write(out, name, &Type::Any, *value)?;
    }
    out.push(b'}');
    Ok(members.version)
}

/// The version of a document.
pub(super) fn version(document: &RawDocument) -> i64 {
    document.get("_v").ok().flatten().and_then(integer).unwrap_or(0)
}

/// The value of a scalar field, typed again; null when it is missing.
pub(super) fn scalar(schema: &Schema, index: usize, document: &RawDocument) -> Result<Value<'static>, StoreError> {
    let field = &schema.fields[index];
    match document.get(encode::key(schema, index)).map_err(broken)? {
        Some(stored) => value(&field.name, &field.kind, stored),
        None => Ok(Value::Null),
    }
}

/// A scalar of a type; `name` is what errors call it.
pub(super) fn value(name: &str, kind: &Type, value: RawBsonRef<'_>) -> Result<Value<'static>, StoreError> {
    Ok(match (kind.inner().0, value) {
        (_, RawBsonRef::Null | RawBsonRef::Undefined) => Value::Null,
        (_, RawBsonRef::Boolean(x)) => Value::Bool(x),
        (Type::Decimal(_), value) => Value::Decimal(decimal(value).ok_or_else(|| unfit(name, value))?),
        (Type::Duration(_), value) => Value::Duration(integer(value).ok_or_else(|| unfit(name, value))?),
        (Type::Float(_), value) => Value::Float(float(value).ok_or_else(|| unfit(name, value))?),
        (kind @ (Type::Uuid | Type::LegacyUuid(_)), value) => {
            Value::Uuid(uuid(kind, value).ok_or_else(|| unfit(name, value))?)
        }
        (_, RawBsonRef::String(x)) => Value::Str(x.to_owned().into()),
        (_, RawBsonRef::ObjectId(x)) => Value::Str(encode::object_id(x).into()),
        (Type::Micros(_), value) => Value::Micros(integer(value).ok_or_else(|| unfit(name, value))?),
        (Type::Midnight(_), value) => {
            Value::Str(json::date_text(midnight(value).ok_or_else(|| unfit(name, value))?).into())
        }
        (_, RawBsonRef::DateTime(x)) => Value::DateTime(x.timestamp_millis()),
        (_, value) => Value::Int(integer(value).ok_or_else(|| unfit(name, value))?),
    })
}

fn write(out: &mut Vec<u8>, field: &str, kind: &Type, value: RawBsonRef<'_>) -> Result<(), StoreError> {
    let unfit = || unfit(field, value);
    match (kind.inner().0, value) {
        (_, RawBsonRef::Null | RawBsonRef::Undefined) => out.extend_from_slice(b"null"),
        (Type::Bool | Type::OneOf { .. }, RawBsonRef::Boolean(x)) => json::write_scalar(out, &Value::Bool(x)),
        (Type::Str(_) | Type::Date(_) | Type::Time(_) | Type::OneOf { .. }, RawBsonRef::String(x)) => {
            json::write_str(out, x)
        }
        (Type::ObjectId, RawBsonRef::String(x)) => json::write_str(out, x),
        (Type::Str(_) | Type::ObjectId, RawBsonRef::ObjectId(x)) => json::write_str(out, &encode::object_id(x)),
        (Type::DateTime(_), RawBsonRef::DateTime(x)) => json::write_datetime(out, x.timestamp_millis()),
        (Type::Midnight(_), value) => json::write_date(out, midnight(value).ok_or_else(unfit)?),
        (Type::Micros(_), value) => json::write_micros(out, integer(value).ok_or_else(unfit)?),
        (Type::IntText(_), value) => json::write_int_text(out, integer(value).ok_or_else(unfit)?),
        (Type::Int(_) | Type::OneOf { .. }, value) => json::write_int(out, integer(value).ok_or_else(unfit)?),
        (Type::Float(_), value) => json::write_float(out, float(value).ok_or_else(unfit)?),
        (Type::Duration(_), value) => json::write_duration(out, integer(value).ok_or_else(unfit)?),
        (Type::Decimal(_), value) => json::write_decimal(out, decimal(value).ok_or_else(unfit)?),
        (kind @ (Type::Uuid | Type::LegacyUuid(_)), value) => {
            json::write_uuid(out, &uuid(kind, value).ok_or_else(unfit)?);
        }
        (Type::Model(schema), RawBsonRef::Document(inner)) => general(out, schema, inner).map(drop)?,
        (Type::Tagged(tagged), RawBsonRef::Document(inner)) => {
            let schema = variant(tagged, inner).and_then(|variant| tagged.schema(variant)).ok_or_else(unfit)?;
            general(out, schema, inner).map(drop)?;
        }
        (Type::Union(union), value) => alternative(out, field, union, value)?,
        (Type::Fixed(kinds), RawBsonRef::Array(items)) if items.into_iter().count() != kinds.len() => {
            return Err(unfit());
        }
        (kind @ (Type::List { .. } | Type::Fixed(_) | Type::Any), RawBsonRef::Array(items)) => {
            write_items(out, field, kind, items)?;
        }
        (Type::Map { value: kind, .. }, RawBsonRef::Document(inner)) => write_entries(out, field, kind, inner)?,
        (any @ Type::Any, RawBsonRef::Document(inner)) => write_entries(out, field, any, inner)?,
        (Type::Bytes { form, .. }, RawBsonRef::Binary(x)) => json::write_bytes(out, x.bytes, *form),
        (Type::Any, value) => write_any(out, value).ok_or_else(unfit)?,
        _ => return Err(unfit()),
    }
    Ok(())
}

/// The variant of a tagged union that a document says that it is of.
fn variant(tagged: &Tagged, document: &RawDocument) -> Option<usize> {
    let stored = document.get(tagged.tag()).ok().flatten()?;
    tagged.variant(|tag| match (tag, stored) {
        (Value::Str(tag), RawBsonRef::String(x)) => *tag == x,
        (Value::Int(tag), x) => integer(x) == Some(*tag),
        (Value::Bool(tag), RawBsonRef::Boolean(x)) => *tag == x,
        _ => false,
    })
}

/// A value of the first type of a union that it fits. Numbers are tried as what they are first.
fn alternative(out: &mut Vec<u8>, field: &str, union: &Union, value: RawBsonRef<'_>) -> Result<(), StoreError> {
    let is_float = |kind: &&Type| matches!(kind, Type::Float(_));
    let (floats, others): (Vec<_>, Vec<_>) = union.alternatives().iter().partition(is_float);
    let ordered =
        if matches!(value, RawBsonRef::Double(_)) { [floats, others].concat() } else { [others, floats].concat() };
    let begun = out.len();
    let mut failure = unfit(field, value);
    for kind in ordered {
        match write(out, field, kind, value) {
            Ok(()) => return Ok(()),
            Err(error) => failure = error,
        }
        out.truncate(begun);
    }
    Err(failure)
}

fn write_items(out: &mut Vec<u8>, field: &str, kind: &Type, items: &RawArray) -> Result<(), StoreError> {
    out.push(b'[');
    for (index, value) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(out, field, kind.item(index), value.map_err(broken)?)?;
    }
    out.push(b']');
    Ok(())
}

fn write_entries(out: &mut Vec<u8>, field: &str, kind: &Type, inner: &RawDocument) -> Result<(), StoreError> {
    out.push(b'{');
    for (index, element) in inner.iter_elements().enumerate() {
        let element = element.map_err(broken)?;
        if index > 0 {
            out.push(b',');
        }
        json::write_str(out, element.key().as_str());
        out.push(b':');
        write(out, field, kind, element.value().map_err(broken)?)?;
    }
    out.push(b'}');
    Ok(())
}

/// A value of no known type: what JSON has, and of what others may have written that which has one meaning in it.
fn write_any(out: &mut Vec<u8>, value: RawBsonRef<'_>) -> Option<()> {
    match value {
        RawBsonRef::Boolean(x) => json::write_scalar(out, &Value::Bool(x)),
        RawBsonRef::Int32(x) => json::write_int(out, x.into()),
        RawBsonRef::Int64(x) => json::write_int(out, x),
        RawBsonRef::Double(x) => json::write_float(out, x),
        RawBsonRef::String(x) => json::write_str(out, x),
        RawBsonRef::ObjectId(x) => json::write_str(out, &encode::object_id(x)),
        RawBsonRef::DateTime(x) => json::write_datetime(out, x.timestamp_millis()),
        value @ RawBsonRef::Decimal128(_) => json::write_decimal(out, decimal(value)?),
        RawBsonRef::Binary(x) => match uuid(&Type::Uuid, value) {
            Some(uuid) => json::write_uuid(out, &uuid),
            None => json::write_bytes(out, x.bytes, BytesForm::default()),
        },
        _ => return None,
    }
    Some(())
}

/// An integer, also one that a JavaScript program has written as a double.
fn integer(value: RawBsonRef<'_>) -> Option<i64> {
    match value {
        RawBsonRef::Int64(x) => Some(x),
        RawBsonRef::Int32(x) => Some(x.into()),
        // Doubles of this range are whole numbers that fit.
        RawBsonRef::Double(x) if x.fract() == 0.0 && x.abs() < 9.2e18 => Some(x as i64),
        _ => None,
    }
}

/// The beginning of a day. Another time of the day would be shown as that, and be found and sorted as what it is.
fn midnight(value: RawBsonRef<'_>) -> Option<i64> {
    match value {
        RawBsonRef::DateTime(x) => Some(x.timestamp_millis()).filter(|x| json::is_midnight(*x)),
        _ => None,
    }
}

fn float(value: RawBsonRef<'_>) -> Option<f64> {
    match value {
        RawBsonRef::Double(x) => Some(x),
        RawBsonRef::Int32(x) => Some(x.into()),
        RawBsonRef::Int64(x) => Some(x as f64),
        _ => None,
    }
}

/// A decimal number, also one that others have written as a number of another type or as text.
fn decimal(value: RawBsonRef<'_>) -> Option<Decimal> {
    match value {
        RawBsonRef::Decimal128(x) => Decimal::from_bytes(x.bytes()),
        RawBsonRef::String(x) => Decimal::parse(x).ok(),
        RawBsonRef::Double(x) if x.is_finite() => Decimal::parse(ryu::Buffer::new().format_finite(x)).ok(),
        value => Decimal::parse(itoa::Buffer::new().format(integer(value)?)).ok(),
    }
}

fn uuid(kind: &Type, value: RawBsonRef<'_>) -> Option<Uuid> {
    match (value, kind) {
        (RawBsonRef::Binary(x), Type::LegacyUuid(order)) if x.subtype == BinarySubtype::UuidOld => {
            Some(legacy::reorder(*order, Uuid::from_slice(x.bytes).ok()?))
        }
        (RawBsonRef::Binary(x), Type::Uuid) if x.subtype == BinarySubtype::Uuid => Uuid::from_slice(x.bytes).ok(),
        (RawBsonRef::String(x), _) => Uuid::try_parse(x).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use bson::{Bson, RawDocumentBuf, doc};

    use super::*;
    use crate::crud::schema::{Bounds, Field, LegacyUuid, Naive, Text, Unknown};

    fn schema() -> Schema {
        let fields = vec![
            Field::new("id", Type::Str(Text::default())),
            Field::new("n", Type::Int(Bounds::default())).default(DefaultValue::Constant(Value::Int(3))),
            Field::new("x", Type::Optional(Box::new(Type::Float(Bounds::default())))),
        ];
        Schema { name: "M".into(), fields, id: Some(0), unknown: Unknown::Forbid }
    }

    fn read(document: &bson::Document) -> Result<(i64, String), StoreError> {
        let raw = RawDocumentBuf::try_from(document).unwrap();
        let mut out = Vec::new();
        let version = super::document(&mut out, &schema(), &raw)?;
        Ok((version, String::from_utf8(out).unwrap()))
    }

    #[test]
    fn what_others_wrote_is_read() {
        let read = |document| read(&document).unwrap();
        assert_eq!(read(doc! { "x": 2, "n": 1.0, "_id": "a" }), (0, r#"{"id":"a","n":1,"x":2.0}"#.into()));
        assert_eq!(read(doc! { "_id": "a", "_v": 7, "more": [1] }), (7, r#"{"id":"a","n":3,"x":null}"#.into()));
        let nan = doc! { "_id": "a", "id": "not the id", "n": 1_i64, "x": f64::NAN };
        assert_eq!(read(nan), (0, r#"{"id":"a","n":1,"x":null}"#.into()));
    }

    #[test]
    fn what_would_be_found_as_something_else_is_an_error() {
        let day = Field::new("day", Type::Midnight(Bounds::default()));
        let at = Field::new("at", Type::Micros(Naive::default()));
        let schema = Schema { fields: vec![day, at], id: None, ..schema() };
        let read = |day: Bson, at: Bson| {
            let raw = RawDocumentBuf::try_from(&doc! { "day": day, "at": at }).unwrap();
            let mut out = Vec::new();
            super::document(&mut out, &schema, &raw).map(|_| String::from_utf8(out).unwrap())
        };
        let date = |ms| Bson::DateTime(bson::DateTime::from_millis(ms));
        let found = read(date(-86_400_000), Bson::Int64(1)).unwrap();
        assert_eq!(found, r#"{"day":"1969-12-31","at":"1970-01-01T00:00:00.000001Z"}"#);
        let noon = read(date(43_200_000), Bson::Int64(1)).unwrap_err().to_string();
        assert!(noon.contains("stored day is DateTime"), "{noon}");
        let text = read(Bson::from("1969-12-31"), Bson::Int64(1)).unwrap_err().to_string();
        assert!(text.contains("stored day is String"), "{text}");
        let millis = read(date(0), date(1)).unwrap_err().to_string();
        assert!(millis.contains("stored at is DateTime"), "{millis}");
    }

    #[test]
    fn uuids_are_read_as_their_field_says() {
        let binary = |subtype, byte| Bson::Binary(bson::Binary { subtype, bytes: [&[byte][..], &[0; 15]].concat() });
        let read = |kind, stored: Bson| {
            let schema = Schema { fields: vec![Field::new("u", kind)], id: None, ..schema() };
            let raw = RawDocumentBuf::try_from(&doc! { "u": stored, "_v": 1_i64 }).unwrap();
            let mut out = Vec::new();
            let read = super::document(&mut out, &schema, &raw).map_err(|error| error.to_string());
            assert_eq!(read.is_ok(), scalar(&schema, 0, &raw).is_ok());
            read.map(|_| String::from_utf8(out).unwrap())
        };
        let java = || Type::LegacyUuid(LegacyUuid::Java);
        let found = read(java(), binary(BinarySubtype::UuidOld, 1)).unwrap();
        assert_eq!(found, r#"{"u":"00000000-0000-0001-0000-000000000000"}"#);
        let error = read(Type::Uuid, binary(BinarySubtype::UuidOld, 1)).unwrap_err();
        assert!(error.contains("stored u") && error.contains("pythonLegacy"), "{error}");
        let error = read(java(), binary(BinarySubtype::Uuid, 1)).unwrap_err();
        assert!(error.contains("stored u") && error.contains("without Stored"), "{error}");
        assert!(read(Type::Uuid, binary(BinarySubtype::Generic, 1)).is_err());
    }

    #[test]
    fn what_has_no_meaning_is_an_error_that_names_the_field() {
        for bad in [Bson::from("1"), Bson::from(1.5), Bson::from(true)] {
            let error = read(&doc! { "_id": "a", "n": bad }).unwrap_err().to_string();
            assert!(error.contains("stored n"), "{error}");
        }
    }
}
