//! BSON to JSON for rows as this store writes them: the fields of the schema in its order, each of the BSON type that
//! [`encode`](super::encode) gives it, so that nothing is looked for and nothing is remembered.
//!
//! Rows that others wrote, or that were written under another schema, are none of these; [`decode`](super::decode) reads them.

use bson::oid::ObjectId;
use uuid::Uuid;

use super::encode;
use crate::crud::schema::Type;
use crate::crud::{Decimal, Schema, json};

/// Appends a stored document as JSON and answers its version; none, with some of it appended, for one that is otherwise.
pub(super) fn document(out: &mut Vec<u8>, schema: &Schema, bson: &[u8]) -> Option<i64> {
    let mut rest = Rest(bson).nested()?;
    members(out, schema, &mut rest)?;
    let [code] = rest.take()?;
    let code = match code {
        // What is kept beside texts whose letters do not count.
        0x03 if rest.name("_k").is_some() => {
            rest.nested()?;
            rest.take::<1>()?[0]
        }
        code => code,
    };
    if code != 0x12 {
        return None;
    }
    rest.name("_v")?;
    let version = i64::from_le_bytes(rest.take()?);
    rest.0.is_empty().then_some(version)
}

/// What is still to be read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn length(&mut self) -> Option<usize> {
        usize::try_from(i32::from_le_bytes(self.take()?)).ok()
    }

    /// Up to a NUL.
    fn until_nul(&mut self) -> Option<&'a [u8]> {
        let end = self.0.iter().position(|byte| *byte == 0)?;
        let taken = self.bytes(end)?;
        self.0 = &self.0[1..];
        Some(taken)
    }

    /// The name of an element, if it is this one.
    fn name(&mut self, name: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(name.as_bytes())?.strip_prefix(&[0])?;
        Some(())
    }

    /// The elements of a document or an array.
    fn nested(&mut self) -> Option<Self> {
        let body = self.length()?.checked_sub(5)?;
        let inner = self.bytes(body)?;
        self.name("")?;
        Some(Self(inner))
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = self.length()?.checked_sub(1)?;
        let text = self.bytes(length)?;
        self.name("")?;
        std::str::from_utf8(text).ok()
    }

    /// Binary data of a subtype.
    fn binary(&mut self, subtype: u8) -> Option<&'a [u8]> {
        let length = self.length()?;
        (self.take()? == [subtype]).then(|| self.bytes(length))?
    }
}

fn members(out: &mut Vec<u8>, schema: &Schema, rest: &mut Rest<'_>) -> Option<()> {
    if schema.is_open() {
        // What it holds is not known.
        return None;
    }
    out.push(b'{');
    for (index, field) in schema.fields.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        let [code] = rest.take()?;
        rest.name(encode::key(schema, index))?;
        out.extend_from_slice(field.key());
        value(out, &field.kind, code, rest)?;
    }
    out.push(b'}');
    Some(())
}

fn value(out: &mut Vec<u8>, kind: &Type, code: u8, rest: &mut Rest<'_>) -> Option<()> {
    match (kind.inner().0, code) {
        (_, 0x0A) => out.extend_from_slice(b"null"),
        (Type::Str(_) | Type::Date(_) | Type::Time(_) | Type::OneOf { .. }, 0x02) => json::write_str(out, rest.text()?),
        (Type::Int(_) | Type::OneOf { .. }, 0x12) => json::write_int(out, i64::from_le_bytes(rest.take()?)),
        (Type::Float(_), 0x01) => json::write_float(out, f64::from_le_bytes(rest.take()?)),
        (Type::Bool | Type::OneOf { .. }, 0x08) => out.extend_from_slice(match rest.take()? {
            [0] => b"false",
            [1] => b"true",
            _ => return None,
        }),
        (Type::DateTime(_), 0x09) => json::write_datetime(out, i64::from_le_bytes(rest.take()?)),
        (Type::Midnight(_), 0x09) => {
            json::write_date(out, Some(i64::from_le_bytes(rest.take()?)).filter(|at| json::is_midnight(*at))?);
        }
        (Type::Uuid, 0x05) => json::write_uuid(out, &Uuid::from_slice(rest.binary(4)?).ok()?),
        (Type::ObjectId, 0x07) => {
            json::write_str(out, &encode::object_id(ObjectId::from_bytes(rest.take()?)));
        }
        (Type::Micros(_), 0x12) => json::write_micros(out, i64::from_le_bytes(rest.take()?)),
        (Type::IntText(_), 0x12) => json::write_int_text(out, i64::from_le_bytes(rest.take()?)),
        (Type::Duration(_), 0x12) => json::write_duration(out, i64::from_le_bytes(rest.take()?)),
        (Type::Decimal(_), 0x13) => json::write_decimal(out, Decimal::from_bytes(rest.take()?)?),
        (Type::Bytes { form, .. }, 0x05) => json::write_bytes(out, rest.binary(0)?, *form),
        (Type::Model(schema), 0x03) => {
            let mut inner = rest.nested()?;
            members(out, schema, &mut inner)?;
            return inner.0.is_empty().then_some(());
        }
        (Type::Map { value: kind, .. }, 0x03) => {
            out.push(b'{');
            each(out, rest, |out, _, name, code, inner| {
                json::write_str(out, std::str::from_utf8(name).ok()?);
                out.push(b':');
                value(out, kind, code, inner)
            })?;
            out.push(b'}');
        }
        (kind @ Type::List { .. }, 0x04) => {
            out.push(b'[');
            each(out, rest, |out, index, _, code, inner| value(out, kind.item(index), code, inner))?;
            out.push(b']');
        }
        _ => return None,
    }
    Some(())
}

/// Reads what follows as a document or an array, element by element: number, name and type of each.
fn each<'a>(
    out: &mut Vec<u8>,
    rest: &mut Rest<'a>,
    mut read: impl FnMut(&mut Vec<u8>, usize, &'a [u8], u8, &mut Rest<'a>) -> Option<()>,
) -> Option<()> {
    let mut inner = rest.nested()?;
    let mut index = 0;
    while !inner.0.is_empty() {
        if index > 0 {
            out.push(b',');
        }
        let [code] = inner.take()?;
        let name = inner.until_nul()?;
        read(out, index, name, code, &mut inner)?;
        index += 1;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use bson::RawDocument;

    use super::*;
    use crate::crud::Value;
    use crate::crud::schema::{Bounds, BytesForm, ChoiceSort, Field, Index, ListSort, Naive, Number, Text, Unknown};
    use crate::crud::store::mongo::decode;

    fn text() -> Type {
        Type::Str(Text::default())
    }

    fn int() -> Type {
        Type::Int(Bounds::default())
    }

    fn list(item: Type) -> Type {
        Type::List { sort: ListSort::List, item: Box::new(item), min: None, max: None }
    }

    fn model(fields: Vec<Field>, id: Option<usize>) -> Schema {
        Schema { name: "M".into(), fields, id, unknown: Unknown::Forbid }
    }

    /// A field of each type that is read straight, and a value of it.
    fn all() -> Vec<(Type, Value<'static>)> {
        let optional = |kind: Type| Type::Optional(Box::new(kind));
        let inner = model(vec![Field::new("id", int()), Field::new("t", optional(text()))], None);
        let row = |t: Value<'static>| Value::Object(vec![Value::Int(1), t]);
        let choices = vec![Value::Str("a".into()), Value::Int(7), Value::Bool(true)];
        let one_of = || Type::OneOf { values: choices.clone(), sort: ChoiceSort::Literal };
        let bytes = |form| Type::Bytes { form, min: None, max: None };
        let map = Type::Map { value: Box::new(list(optional(int()))), min: None, max: None };
        vec![
            (Type::Uuid, Value::Uuid(Uuid::from_u128(7))),
            (text(), Value::Str("a\0\"\u{1}é\u{10FFFF}".into())),
            (optional(text()), Value::Null),
            (int(), Value::Int(i64::MIN)),
            (Type::IntText(Bounds::default()), Value::Int(i64::MAX)),
            (Type::Float(Bounds::default()), Value::Float(-0.0)),
            (Type::Bool, Value::Bool(true)),
            (Type::Bool, Value::Bool(false)),
            (Type::DateTime(Naive::default()), Value::DateTime(-5)),
            (Type::Micros(Naive::default()), Value::Micros(-5)),
            (Type::Date(Bounds::default()), Value::Str("2024-02-29".into())),
            (Type::Midnight(Bounds::default()), Value::Str("1969-12-31".into())),
            (Type::Time(Bounds::default()), Value::Str("12:00:00".into())),
            (Type::Duration(Bounds::default()), Value::Duration(-6)),
            (Type::Decimal(Number::default()), Value::Decimal(Decimal::parse("-1.50").unwrap())),
            (Type::ObjectId, Value::Str("65f0c0ffee00c0ffee00c0ff".into())),
            (one_of(), choices[0].clone()),
            (one_of(), choices[1].clone()),
            (one_of(), choices[2].clone()),
            (bytes(BytesForm::UrlSafe), Value::Bytes(vec![0, 0xFF].into())),
            (bytes(BytesForm::Hex), Value::Bytes(vec![].into())),
            (Type::Model(inner.clone().into()), row(Value::Null)),
            (list(Type::Model(inner.into())), Value::List(vec![row(Value::Str("x".into())), row(Value::Null)])),
            (list(text()), Value::List(vec![])),
            (
                map,
                Value::Map(vec![
                    ("0".into(), Value::List(vec![Value::Null, Value::Int(3)])),
                    ("é".into(), Value::List(vec![])),
                ]),
            ),
        ]
    }

    fn row() -> (Schema, Vec<u8>) {
        let (kinds, values): (Vec<_>, Vec<_>) = all().into_iter().unzip();
        let mut fields: Vec<_> =
            kinds.into_iter().enumerate().map(|(index, kind)| Field::new(format!("f{index}"), kind)).collect();
        fields[1] = fields[1].clone().index(Index { case_insensitive: true, ..Index::UNIQUE });
        let schema = model(fields, Some(0));
        let bson = encode::document(&schema, &values, 9).unwrap().as_bytes().to_vec();
        (schema, bson)
    }

    #[test]
    fn what_is_written_is_read_as_it_is_read_in_general() {
        let (schema, bson) = row();
        let (mut straight, mut general) = (Vec::new(), Vec::new());
        assert_eq!(document(&mut straight, &schema, &bson), Some(9));
        let raw = RawDocument::from_bytes(&bson).unwrap();
        assert_eq!(decode::general(&mut general, &schema, raw).unwrap(), 9);
        assert_eq!(String::from_utf8(straight).unwrap(), String::from_utf8(general).unwrap());
    }

    #[test]
    fn what_is_otherwise_is_left_to_others() {
        let (schema, bson) = row();
        let mut out = Vec::new();
        for length in 0..bson.len() {
            assert_eq!(document(&mut out, &schema, &bson[..length]), None, "{length} bytes");
        }
        // A type for each field that it does not have, and lengths that go beyond the end.
        for at in 0..bson.len() {
            for byte in [0, 1, 0x10, 0x7F, 0xFF] {
                let mut other = bson.clone();
                other[at] = byte;
                let begun = out.len();
                if document(&mut out, &schema, &other).is_some()
                    && let Ok(raw) = RawDocument::from_bytes(&other)
                {
                    let mut general = Vec::new();
                    // The names of items and what is kept beside texts are not looked at here.
                    if decode::general(&mut general, &schema, raw).is_ok() {
                        assert!(out[begun..] == general, "byte {at} as {byte}");
                    }
                }
            }
        }
        let turned = model(schema.fields.iter().rev().cloned().collect(), Some(schema.fields.len() - 1));
        assert_eq!(document(&mut out, &turned, &bson), None);
        let shorter = model(schema.fields[..3].to_vec(), Some(0));
        assert_eq!(document(&mut out, &shorter, &bson), None);
    }
}
