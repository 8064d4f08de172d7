//! Rows that were written under an earlier schema, in the shape of the present one.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde_json::value::RawValue;
use uuid::Uuid;

use crate::ConfigError;
use crate::crud::schema::{DefaultValue, Field, Named, Type, check};
use crate::crud::store::names;
use crate::crud::{Schema, json};

/// A row in its new shape.
pub(super) struct Reshaped {
    pub(super) doc: String,
    /// What the schema has no place for any more; it is kept in case the fields come back.
    pub(super) rest: Option<String>,
}

/// Why a row has no place in the schema, and where: `User.home.zip`.
#[derive(Debug)]
pub(super) enum Failure {
    /// It lacks what it must have.
    Missing(String),
    /// It holds null where it may not.
    Null(String),
    /// It holds what is of none of the types.
    Unfit(String),
    /// It cannot be read.
    Json(serde_json::Error),
}

impl From<Failure> for ConfigError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Missing(at) => Self::new(format!("stored rows have no {at}, which is required"))
                .cure("give it a default, or declare it as Optional"),
            Failure::Null(at) => Self::new(format!("{at} is null in some stored rows")).cure("declare it as Optional"),
            Failure::Unfit(at) => Self::new(format!("{at} holds in some stored rows what none of its types allows"))
                .cure("keep the types that it had"),
            Failure::Json(error) => Self::new(format!("a stored row cannot be read: {error}")),
        }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Json(error)
    }
}

/// Where a model stands: in which other, and as which field.
struct At<'a>(Option<&'a At<'a>>, &'a str);

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(around, name) = self;
        match around {
            Some(around) => write!(f, "{around}.{name}"),
            None => f.write_str(name),
        }
    }
}

/// Scalars are copied as they stand, so their text stays canonical.
type Members<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

pub(super) fn reshape(schema: &Schema, doc: &str, rest: Option<&str>) -> Result<Reshaped, Failure> {
    model(schema, &At(None, &schema.name), doc, rest)
}

fn model(schema: &Schema, at: &At<'_>, doc: &str, rest: Option<&str>) -> Result<Reshaped, Failure> {
    let mut members: Members<'_> = serde_json::from_str(doc)?;
    let mut kept: Members<'_> = rest.map(serde_json::from_str).transpose()?.unwrap_or_default();
    let mut out = Vec::with_capacity(doc.len() + 16);
    out.push(b'{');
    for (index, field) in schema.fields.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(field.key());
        one(&mut out, at, field, &mut members, &mut kept)?;
    }
    if schema.is_open() {
        extras(&mut out, doc, &mut members, &mut kept)?;
    }
    out.push(b'}');
    kept.extend(members);
    let rest = if kept.is_empty() { None } else { Some(serde_json::to_string(&kept)?) };
    Ok(Reshaped { doc: String::from_utf8_lossy(&out).into_owned(), rest })
}

/// A row in its new shape as far as it has one, with null where it has none, and all that stands in the way: one for each field at
/// most.
pub(super) fn attempt(
    schema: &Schema,
    doc: &str,
    rest: Option<&str>,
) -> Result<(String, Vec<Failure>), serde_json::Error> {
    let mut members: Members<'_> = serde_json::from_str(doc)?;
    let mut kept: Members<'_> = rest.map(serde_json::from_str).transpose()?.unwrap_or_default();
    let (at, mut failures) = (At(None, &schema.name), Vec::new());
    let mut out = Vec::with_capacity(doc.len() + 16);
    for field in &schema.fields {
        out.push(if out.is_empty() { b'{' } else { b',' });
        out.extend_from_slice(field.key());
        let begun = out.len();
        if let Err(failure) = one(&mut out, &at, field, &mut members, &mut kept) {
            out.truncate(begun);
            out.extend_from_slice(b"null");
            failures.push(failure);
        }
    }
    if schema.is_open() {
        extras(&mut out, doc, &mut members, &mut kept)?;
    }
    out.push(b'}');
    Ok((String::from_utf8_lossy(&out).into_owned(), failures))
}

/// Writes what is no field: in the order of the row, and behind it what was kept aside and may be shown now.
fn extras<'a>(
    out: &mut Vec<u8>,
    doc: &'a str,
    members: &mut Members<'a>,
    kept: &mut Members<'a>,
) -> Result<(), serde_json::Error> {
    let order: json::Members<'a> = serde_json::from_str(doc)?;
    let own = order.0.into_iter().filter_map(|(name, _)| members.remove_entry(&*name)).collect::<Vec<_>>();
    let (known, others): (Members<'a>, Members<'a>) = std::mem::take(kept)
        .into_iter()
        .partition(|(name, _)| check::extra(name).is_err() || own.iter().any(|(other, _)| other == name));
    *kept = known;
    for (name, raw) in own.into_iter().chain(others) {
        if out.len() > 1 {
            out.push(b',');
        }
        json::write_str(out, &name);
        out.push(b':');
        out.extend_from_slice(raw.get().as_bytes());
    }
    Ok(())
}

/// Writes the value of a field, as it is, was, or would be if it were left out.
fn one<'a>(
    out: &mut Vec<u8>,
    at: &At<'_>,
    field: &Field,
    members: &mut Members<'a>,
    kept: &mut Members<'a>,
) -> Result<(), Failure> {
    match members.remove(&*field.name).or_else(|| kept.remove(&*field.name)) {
        Some(raw) => {
            if !value(out, at, field, &field.kind, raw)? {
                kept.insert(Cow::Owned(field.name.to_string()), raw);
            }
            Ok(())
        }
        None => missing(out, at, field),
    }
}

/// Writes a value as `kind`; whether all of it found a place.
fn value(out: &mut Vec<u8>, at: &At<'_>, field: &Field, kind: &Type, raw: &RawValue) -> Result<bool, Failure> {
    let text = raw.get();
    match kind.inner() {
        (_, true) if text == "null" => out.extend_from_slice(b"null"),
        (Type::Any, _) => out.extend_from_slice(text.as_bytes()),
        (_, false) if text == "null" => {
            return Err(Failure::Null(At(Some(at), &field.name).to_string()));
        }
        (Type::Float(_), _) if !text.contains(['.', 'e', 'E']) => {
            out.extend_from_slice(text.as_bytes());
            out.extend_from_slice(b".0");
        }
        (Type::IntText(_), _) if text.parse::<i64>().is_ok() => {
            out.push(b'"');
            out.extend_from_slice(text.as_bytes());
            out.push(b'"');
        }
        // What is in the string of another type is left to stand; the shapes tell that it does not fit.
        (Type::Int(_), _) => {
            let digits = text.trim_matches('"');
            let is_int = digits.parse::<i64>().is_ok();
            out.extend_from_slice(if is_int { digits } else { text }.as_bytes());
        }
        (kind @ (Type::List { .. } | Type::Fixed(_)), _) => {
            let items: Vec<&RawValue> = serde_json::from_str(text)?;
            let mut whole = true;
            out.push(b'[');
            for (index, raw) in items.into_iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                whole &= value(out, at, field, kind.item(index), raw)?;
            }
            out.push(b']');
            return Ok(whole);
        }
        (Type::Map { value: kind, .. }, _) => {
            let entries: json::Members<'_> = serde_json::from_str(text)?;
            let mut whole = true;
            out.push(b'{');
            for (index, (name, raw)) in entries.0.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                json::write_str(out, name);
                out.push(b':');
                whole &= value(out, at, field, kind, raw)?;
            }
            out.push(b'}');
            return Ok(whole);
        }
        (Type::Model(schema), _) => {
            let Reshaped { doc, rest } = model(schema, &At(Some(at), &field.name), text, None)?;
            out.extend_from_slice(doc.as_bytes());
            return Ok(rest.is_none());
        }
        (Type::Union(union), _) => match union.of_json(text) {
            Some(kind) => return value(out, at, field, kind, raw),
            None => return Err(unfit(at, field)),
        },
        (Type::Tagged(tagged), _) => {
            let schema = match tagged.named(text, false) {
                Named::Variant(variant) => tagged.schema(variant),
                Named::Unknown | Named::Missing => None,
            };
            let Some(schema) = schema else { return Err(unfit(at, field)) };
            let Reshaped { doc, rest } = model(schema, &At(Some(at), &field.name), text, None)?;
            out.extend_from_slice(doc.as_bytes());
            return Ok(rest.is_none());
        }
        _ => out.extend_from_slice(text.as_bytes()),
    }
    Ok(true)
}

fn unfit(at: &At<'_>, field: &Field) -> Failure {
    Failure::Unfit(At(Some(at), &field.name).to_string())
}

fn missing(out: &mut Vec<u8>, at: &At<'_>, field: &Field) -> Result<(), Failure> {
    match &field.default {
        Some(DefaultValue::Constant(value)) => json::write_value(out, &field.kind, value),
        Some(DefaultValue::Uuid4) => json::write_uuid(out, &Uuid::new_v4()),
        Some(DefaultValue::Uuid7) => json::write_uuid(out, &Uuid::now_v7()),
        Some(DefaultValue::ObjectId) => json::write_str(out, &check::new_object_id()),
        Some(DefaultValue::Now) => json::write_scalar(out, &field.kind.instant(names::first_version())),
        Some(DefaultValue::Token(bytes)) => json::write_str(out, &check::new_token(*bytes)),
        // Nobody asks for the row.
        None | Some(DefaultValue::Claim(_)) if field.kind.inner().1 => out.extend_from_slice(b"null"),
        None | Some(DefaultValue::Claim(_)) => return Err(Failure::Missing(At(Some(at), &field.name).to_string())),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::crud::Value;
    use crate::crud::schema::{Bounds, ChoiceSort, ListSort, Tagged, Text, Union, Unknown, Variant};

    fn schema(fields: Vec<Field>) -> Schema {
        Schema { name: "M".into(), fields, id: None, unknown: Unknown::Forbid }
    }

    fn int() -> Type {
        Type::Int(Bounds::default())
    }

    #[test]
    fn fields_come_and_go_without_loss() {
        let before = r#"{"a":1,"b":"x\u0000","c":{"p":1,"q":2}}"#;
        let inner = Arc::new(schema(vec![Field::new("q", int())]));
        let narrow = schema(vec![
            Field::new("c", Type::Model(inner.into())),
            Field::new("a", Type::Float(Bounds::default())),
            Field::new("n", Type::Optional(Box::new(int()))),
            Field::new("d", int()).default(DefaultValue::Constant(Value::Int(7))),
        ]);
        let row = reshape(&narrow, before, None).ok().unwrap();
        assert_eq!(row.doc, r#"{"c":{"q":2},"a":1.0,"n":null,"d":7}"#);
        let wide =
            schema(vec![Field::new("a", Type::Float(Bounds::default())), Field::new("b", Type::Str(Text::default()))]);
        let row = reshape(&wide, &row.doc, row.rest.as_deref()).ok().unwrap();
        assert_eq!(row.doc, r#"{"a":1.0,"b":"x\u0000"}"#);
    }

    #[test]
    fn unions_are_told_by_what_they_hold() {
        let float = || Type::Float(Bounds::default());
        let either = |kinds: Vec<Type>| schema(vec![Field::new("a", Type::Union(Union::new(kinds).unwrap()))]);
        let text = Type::Str(Text::default());
        let read = |schema: &Schema, doc: &str| reshape(schema, doc, None).ok().map(|row| (row.doc, row.rest));
        let whole = |doc: &str| Some((doc.to_owned(), None));
        assert_eq!(read(&either(vec![int(), text.clone()]), r#"{"a":1}"#), whole(r#"{"a":1}"#));
        assert_eq!(read(&either(vec![float(), text.clone()]), r#"{"a":1}"#), whole(r#"{"a":1.0}"#));
        assert_eq!(read(&either(vec![float(), text]), r#"{"a":"1"}"#), whole(r#"{"a":"1"}"#));
        assert!(reshape(&either(vec![int(), Type::Bool]), r#"{"a":"1"}"#, None).is_err());

        let kind =
            |tag: &'static str| Field::new("kind", Type::OneOf { values: vec![tag.into()], sort: ChoiceSort::Literal });
        let variant = |tag: &'static str, field: Field| Variant {
            tags: vec![tag.into()],
            schema: schema(vec![kind(tag), field]).into(),
        };
        let default = DefaultValue::Constant(Value::Int(9));
        let variants = vec![variant("cat", Field::new("lives", int()).default(default)), variant("dog", kind("x"))];
        let tagged = schema(vec![Field::new("a", Type::Tagged(Tagged::new("kind", variants).unwrap()))]);
        let grown = read(&tagged, r#"{"a":{"name":"x","kind":"cat"}}"#).unwrap();
        assert_eq!(grown.0, r#"{"a":{"kind":"cat","lives":9}}"#);
        assert!(grown.1.unwrap().contains("name"), "what has no place is kept");
        assert!(reshape(&tagged, r#"{"a":{"kind":"cow"}}"#, None).is_err());
    }

    #[test]
    fn ints_go_into_strings_and_back() {
        let list = |item: Type| Type::List { sort: ListSort::List, item: Box::new(item), min: None, max: None };
        let of = |kind: Type| {
            schema(vec![Field::new("a", kind.clone()), Field::new("b", Type::Optional(Box::new(list(kind))))])
        };
        let (numbers, texts) = (r#"{"a":-5,"b":[9007199254740993,0]}"#, r#"{"a":"-5","b":["9007199254740993","0"]}"#);
        let (as_int, as_text) = (of(int()), of(Type::IntText(Bounds::default())));
        for (schema, doc, wanted) in [
            (&as_text, numbers, texts),
            (&as_text, texts, texts),
            (&as_int, texts, numbers),
            (&as_int, numbers, numbers),
        ] {
            assert_eq!(reshape(schema, doc, None).unwrap().doc, wanted);
        }
    }

    #[test]
    fn what_cannot_be_filled_is_refused() {
        let failure =
            |schema: &Schema, doc: &str| ConfigError::from(reshape(schema, doc, None).err().unwrap()).to_string();
        let required = schema(vec![Field::new("a", int())]);
        assert!(failure(&required, "{}").contains("M.a"));
        assert!(failure(&required, r#"{"a":null}"#).contains("null"));
    }
}
