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

/// What is kept beside a row, in case it comes back.
#[derive(Default)]
struct Kept<'a> {
    /// Of fields of earlier schemas.
    fields: Members<'a>,
    /// Of what was none. It stands below the empty name, which is no member's.
    extras: Members<'a>,
}

impl<'a> Kept<'a> {
    fn read(rest: Option<&'a str>) -> Result<Self, serde_json::Error> {
        let mut fields: Members<'a> = rest.map(serde_json::from_str).transpose()?.unwrap_or_default();
        let extras = fields.remove("").map(|extras| serde_json::from_str(extras.get())).transpose()?;
        Ok(Self { fields, extras: extras.unwrap_or_default() })
    }

    fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        self.fields.remove(name).or_else(|| self.extras.remove(name))
    }

    fn into_text(self) -> Result<Option<String>, serde_json::Error> {
        if self.fields.is_empty() && self.extras.is_empty() {
            return Ok(None);
        }
        let mut text = serde_json::to_string(&self.fields)?;
        if !self.extras.is_empty() {
            text.pop();
            text.push_str(if self.fields.is_empty() { "\"\":" } else { ",\"\":" });
            text.push_str(&serde_json::to_string(&self.extras)?);
            text.push('}');
        }
        Ok(Some(text))
    }
}

/// A row in the shape of `schema`; `was` are the fields that its model had before.
pub(super) fn reshape(schema: &Schema, was: &[String], doc: &str, rest: Option<&str>) -> Result<Reshaped, Failure> {
    model(schema, &At(None, &schema.name), was, doc, rest)
}

fn model(schema: &Schema, at: &At<'_>, was: &[String], doc: &str, rest: Option<&str>) -> Result<Reshaped, Failure> {
    let mut members: Members<'_> = serde_json::from_str(doc)?;
    let mut kept = Kept::read(rest)?;
    let mut out = Vec::with_capacity(doc.len() + 16);
    out.push(b'{');
    for (index, field) in schema.fields.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(field.key());
        one(&mut out, at, field, &mut members, &mut kept)?;
    }
    extras(&mut out, schema, was, doc, &mut members, &mut kept)?;
    out.push(b'}');
    kept.fields.extend(members);
    Ok(Reshaped { doc: String::from_utf8_lossy(&out).into_owned(), rest: kept.into_text()? })
}

/// A row in its new shape as far as it has one, with null where it has none, and all that stands in the way: one for each field at
/// most.
pub(super) fn attempt(
    schema: &Schema,
    was: &[String],
    doc: &str,
    rest: Option<&str>,
) -> Result<(String, Vec<Failure>), serde_json::Error> {
    let mut members: Members<'_> = serde_json::from_str(doc)?;
    let mut kept = Kept::read(rest)?;
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
    extras(&mut out, schema, was, doc, &mut members, &mut kept)?;
    out.push(b'}');
    Ok((String::from_utf8_lossy(&out).into_owned(), failures))
}

/// What is no field, and was none: an open schema shows it, in the order of the row and behind it what was kept; another one has it
/// kept. What was a field may have been hidden, so it never becomes such a member.
fn extras<'a>(
    out: &mut Vec<u8>,
    schema: &Schema,
    was: &[String],
    doc: &'a str,
    members: &mut Members<'a>,
    kept: &mut Kept<'a>,
) -> Result<(), serde_json::Error> {
    let order: json::Members<'a> = serde_json::from_str(doc)?;
    let names = order.0.into_iter().map(|(name, _)| name).filter(|name| !was.iter().any(|field| **field == **name));
    let mut own: Vec<_> = names.filter_map(|name| members.remove_entry(&*name)).collect();
    if !schema.is_open() {
        kept.extras.extend(own);
        return Ok(());
    }
    for (name, raw) in std::mem::take(&mut kept.extras) {
        if check::extra(&name).is_err() || own.iter().any(|(other, _)| *other == name) {
            kept.extras.insert(name, raw);
        } else {
            own.push((name, raw));
        }
    }
    for (name, raw) in own {
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
    kept: &mut Kept<'a>,
) -> Result<(), Failure> {
    match members.remove(&*field.name).or_else(|| kept.take(&field.name)) {
        Some(raw) => {
            if !value(out, at, field, &field.kind, raw)? {
                kept.fields.insert(Cow::Owned(field.name.to_string()), raw);
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
            let Reshaped { doc, rest } = model(schema, &At(Some(at), &field.name), &[], text, None)?;
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
            let Reshaped { doc, rest } = model(schema, &At(Some(at), &field.name), &[], text, None)?;
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
        let row = reshape(&narrow, &["a", "b", "c"].map(str::to_owned), before, None).ok().unwrap();
        assert_eq!(row.doc, r#"{"c":{"q":2},"a":1.0,"n":null,"d":7}"#);
        let wide =
            schema(vec![Field::new("a", Type::Float(Bounds::default())), Field::new("b", Type::Str(Text::default()))]);
        let row = reshape(&wide, &[], &row.doc, row.rest.as_deref()).ok().unwrap();
        assert_eq!(row.doc, r#"{"a":1.0,"b":"x\u0000"}"#);
    }

    #[test]
    fn what_is_no_field_is_shown_only_if_it_was_none() {
        let inner = |fields| Field::new("home", Type::Model(schema(fields).into()));
        let open = |fields| Schema { unknown: Unknown::Allow, ..schema(fields) };
        let id = || Field::new("id", int());
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        // A hidden field that goes, and a nested one that loses a member.
        let before = r#"{"id":1,"home":{"p":1,"q":2},"hash":"secret","y":2,"x":1}"#;
        let open_now = open(vec![id(), inner(vec![Field::new("q", int())])]);
        let was = names(&["id", "home", "hash"]);
        let row = reshape(&open_now, &was, before, None).unwrap();
        assert_eq!(row.doc, r#"{"id":1,"home":{"q":2},"y":2,"x":1}"#);
        let closed = schema(vec![id()]);
        let row = reshape(&closed, &names(&["id", "home"]), &row.doc, row.rest.as_deref()).unwrap();
        assert_eq!(row.doc, r#"{"id":1}"#);
        let row = reshape(&open(vec![id()]), &names(&["id"]), &row.doc, row.rest.as_deref()).unwrap();
        assert_eq!(row.doc, r#"{"id":1,"x":1,"y":2}"#, "neither the hash nor the home");
        let back = open(vec![id(), Field::new("hash", Type::Str(Text::default())), Field::new("x", int())]);
        let row = reshape(&back, &names(&["id"]), &row.doc, row.rest.as_deref()).unwrap();
        assert_eq!(row.doc, r#"{"id":1,"hash":"secret","x":1,"y":2}"#);
    }

    #[test]
    fn unions_are_told_by_what_they_hold() {
        let float = || Type::Float(Bounds::default());
        let either = |kinds: Vec<Type>| schema(vec![Field::new("a", Type::Union(Union::new(kinds).unwrap()))]);
        let text = Type::Str(Text::default());
        let read = |schema: &Schema, doc: &str| reshape(schema, &[], doc, None).ok().map(|row| (row.doc, row.rest));
        let whole = |doc: &str| Some((doc.to_owned(), None));
        assert_eq!(read(&either(vec![int(), text.clone()]), r#"{"a":1}"#), whole(r#"{"a":1}"#));
        assert_eq!(read(&either(vec![float(), text.clone()]), r#"{"a":1}"#), whole(r#"{"a":1.0}"#));
        assert_eq!(read(&either(vec![float(), text]), r#"{"a":"1"}"#), whole(r#"{"a":"1"}"#));
        assert!(reshape(&either(vec![int(), Type::Bool]), &[], r#"{"a":"1"}"#, None).is_err());

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
        assert!(reshape(&tagged, &[], r#"{"a":{"kind":"cow"}}"#, None).is_err());
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
            assert_eq!(reshape(schema, &[], doc, None).unwrap().doc, wanted);
        }
    }

    #[test]
    fn what_cannot_be_filled_is_refused() {
        let failure =
            |schema: &Schema, doc: &str| ConfigError::from(reshape(schema, &[], doc, None).err().unwrap()).to_string();
        let required = schema(vec![Field::new("a", int())]);
        assert!(failure(&required, "{}").contains("M.a"));
        assert!(failure(&required, r#"{"a":null}"#).contains("null"));
    }
}
