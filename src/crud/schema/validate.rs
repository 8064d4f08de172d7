//! JSON bodies to typed documents: one pass, every violation at once.
//!
//! Stricter than pydantic in its default mode: `"12"` is not an int, `1` is not a float's text or a bool, unless bodies are read as
//! in that mode ([`Coerce`]). Integers outside 64 bits, times without an offset and keys that occur twice are refused always.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::de::DeserializeSeed;
use uuid::Uuid;

use super::check::{self, Fault};
use super::context::Context;
use super::object::ObjectSeed;
use super::read::ValueSeed;
use super::{Access, DefaultValue, Field, Named, Schema, Tagged, Type};
use crate::crud::policy::Pin;
use crate::crud::{Coerce, Value};
use crate::service::{Location, Problem, Violation, position};

/// Why a body is refused.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Rejection {
    /// It is not JSON; says where, and for programs in characters, unless it is nested too deeply.
    Malformed(String, Option<usize>),
    /// It is JSON that breaks the rules of the model.
    Invalid(Vec<Violation>),
}

impl From<Rejection> for Problem {
    fn from(rejection: Rejection) -> Self {
        match rejection {
            Rejection::Malformed(detail, at) => Problem::bad_request(detail).not_json(at),
            Rejection::Invalid(violations) => Problem::validation(violations),
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(detail, _) => f.write_str(detail),
            Self::Invalid(violations) => {
                for (index, violation) in violations.iter().enumerate() {
                    let separator = if index > 0 { ", " } else { "" };
                    let pointer = match &violation.at {
                        Location::Pointer(pointer) if !pointer.is_empty() => format!("{pointer} "),
                        _ => String::new(),
                    };
                    write!(f, "{separator}{pointer}{}", violation.detail)?;
                }
                Ok(())
            }
        }
    }
}

/// Who says what the id of a document is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum IdRule<'i> {
    /// The server; a client must not send one.
    Generated,
    /// The client; a UUID that is left out is generated.
    Chosen,
    /// The path; the body may repeat it.
    Given(&'i Value<'static>),
}

/// One member of a merge patch (RFC 7396) after validation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Change<'a> {
    /// The field takes this value.
    Set(Value<'a>),
    /// The nested model is changed in these fields, given by index.
    Merge(Vec<(usize, Change<'a>)>),
    /// The dict is changed in these entries; none takes one away.
    Entries(Vec<(Cow<'a, str>, Option<Change<'a>>)>),
    /// The model of a tagged union is changed as this object says. Unless the object names another model, it is that of the row.
    Tagged(&'a str),
}

/// Reads one value.
pub(crate) fn value<'a>(kind: &Type, json: &'a [u8]) -> Result<Value<'a>, Rejection> {
    let cx = Context::default();
    let value = run(&cx, json, ValueSeed { cx: &cx, kind })?;
    finish(cx, value)
}

/// Reads the whole document of a new row, its id included; `pins` are what fields hold that are left out.
pub(crate) fn document<'a>(
    schema: &Schema,
    json: &'a [u8],
    id: IdRule<'_>,
    pins: &[Pin],
    coerce: Coerce,
) -> Result<Vec<Value<'a>>, Rejection> {
    let cx = Context::of_client(coerce);
    let Some(slots) = slots(&cx, schema, json, id)? else {
        return finish(cx, Vec::new());
    };
    let values = fill_new(&cx, schema, slots, pins);
    finish(cx, values)
}

/// Reads a whole document as code gives it, hidden fields and all.
pub(crate) fn whole(schema: &Schema, json: &[u8]) -> Result<Vec<Value<'static>>, Rejection> {
    let cx = Context::of_store();
    let values = match slots(&cx, schema, json, IdRule::Chosen)? {
        Some(slots) => cx.fill(schema, slots),
        None => Vec::new(),
    };
    finish(cx, values.into_iter().map(Value::into_owned).collect())
}

fn slots<'a, 's>(
    cx: &Context<'s>,
    schema: &'s Schema,
    json: &'a [u8],
    id: IdRule<'_>,
) -> Result<Option<Vec<Option<Value<'a>>>>, Rejection> {
    let Some(mut slots) = run(cx, json, ObjectSeed::new(cx, schema))? else { return Ok(None) };
    if let Some(index) = schema.id {
        let field = &schema.fields[index];
        slots[index] = resolve_id(cx, field, slots[index].take(), id);
    }
    Ok(Some(slots))
}

fn fill_new<'a>(cx: &Context<'_>, schema: &Schema, mut slots: Vec<Option<Value<'a>>>, pins: &[Pin]) -> Vec<Value<'a>> {
    for (field, slot) in schema.fields.iter().zip(&mut slots) {
        if !field.access.is_settable() && slot.take().is_some() {
            cx.refuse_member(&field.name, Fault::new("read_only", "is set by the server; leave it out"));
        }
    }
    for pin in pins {
        slots[pin.field].get_or_insert_with(|| pin.value.clone());
    }
    cx.fill(schema, slots)
}

/// A document that is to take the place of one whose fields clients cannot all see or set.
#[derive(Debug, Clone)]
pub(crate) struct Replacement(Vec<Option<Value<'static>>>);

impl Replacement {
    /// Reads what a client sent for the row with this id.
    pub(crate) fn read(
        schema: &Schema,
        json: &[u8],
        id: &Value<'static>,
        pins: &[Pin],
        coerce: Coerce,
    ) -> Result<Self, Rejection> {
        let cx = Context::of_client(coerce);
        let Some(mut slots) = slots(&cx, schema, json, IdRule::Given(id))? else {
            return finish(cx, Self(Vec::new()));
        };
        for (index, (field, slot)) in schema.fields.iter().zip(&mut slots).enumerate() {
            if slot.is_none() && !field.access.is_kept() {
                let pin = pins.iter().find(|pin| pin.field == index);
                *slot = Some(pin.map_or_else(|| cx.left_out(field), |pin| pin.value.clone()));
            }
        }
        if schema.is_open()
            && let Some(extras) = slots.last_mut()
        {
            // What is not sent is gone.
            extras.get_or_insert_with(|| Value::Map(Vec::new()));
        }
        finish(cx, Self(slots.into_iter().map(|slot| slot.map(Value::into_owned)).collect()))
    }

    /// The document where there is no such row yet.
    pub(crate) fn new_row(self, schema: &Schema, pins: &[Pin]) -> Result<Vec<Value<'static>>, Rejection> {
        let cx = Context::default();
        let values = fill_new(&cx, schema, self.0, pins);
        finish(cx, values)
    }

    /// The document in the place of `stored`.
    pub(crate) fn over(
        &self,
        schema: &Schema,
        mut stored: Vec<Value<'static>>,
    ) -> Result<Vec<Value<'static>>, Rejection> {
        let cx = Context::default();
        for ((field, sent), value) in schema.fields.iter().zip(&self.0).zip(&mut stored) {
            if let Some(sent) = sent {
                check_fixed(&cx, field, value, sent);
                *value = sent.clone();
            }
        }
        let own = schema.fields.len();
        if let (Some(Some(extras)), Some(kept)) = (self.0.get(own), stored.get_mut(own)) {
            *kept = extras.clone();
        }
        finish(cx, stored)
    }
}

/// Notes a change of what clients cannot change.
fn check_fixed(cx: &Context<'_>, field: &Field, before: &Value<'_>, after: &Value<'_>) {
    if !field.access.is_fixed() || before == after {
        return;
    }
    let detail = match field.access {
        Access::Immutable => "is set once; leave it out, or send what the row has",
        _ => "is set by the server; leave it out, or send what the row has",
    };
    cx.refuse_member(&field.name, Fault::new(fixed_code(field.access), detail));
}

/// What a change of a field is called that clients cannot change.
const fn fixed_code(access: Access) -> &'static str {
    match access {
        Access::Immutable => "frozen_field",
        _ => "read_only",
    }
}

/// The fields that each write makes anew, and what they hold now.
pub(crate) fn renewed(schema: &Schema) -> Vec<(usize, Value<'static>)> {
    let cx = Context::default();
    let fields = schema.fields.iter().enumerate().filter(|(_, field)| field.renewed);
    fields.map(|(index, field)| (index, cx.left_out(field))).collect()
}

/// The time, in milliseconds since 1970.
pub(crate) fn now() -> i64 {
    Context::default().now() / 1000
}

/// Reads a document that a store gave back: nothing is generated.
pub(crate) fn stored<'a>(schema: &Schema, json: &'a [u8]) -> Result<Vec<Value<'a>>, Rejection> {
    let cx = Context::of_store();
    let Some(slots) = run(&cx, json, ObjectSeed::new(&cx, schema))? else {
        return finish(cx, Vec::new());
    };
    let values = cx.fill(schema, slots);
    finish(cx, values)
}

/// Reads a merge patch; `id` is what the path says.
pub(crate) fn patch<'a>(
    schema: &Schema,
    json: &'a [u8],
    id: &Value<'static>,
    coerce: Coerce,
) -> Result<Vec<(usize, Change<'a>)>, Rejection> {
    let cx = Context::of_client(coerce);
    let Some(slots) = run(&cx, json, ObjectSeed::new(&cx, schema))? else {
        return finish(cx, Vec::new());
    };
    let mut changes: Vec<(usize, Change<'a>)> =
        slots.into_iter().enumerate().filter_map(|(index, slot)| Some((index, slot?))).collect();
    if let Some(index) = schema.id
        && let Some(at) = changes.iter().position(|(field, _)| *field == index)
    {
        let (_, change) = changes.remove(at);
        if let Change::Set(value) = change {
            resolve_id(&cx, &schema.fields[index], Some(value), IdRule::Given(id));
        }
    }
    finish(cx, changes)
}

/// Reads a merge patch that is for many rows, whatever they hold: it sets whole fields that clients may change.
pub(crate) fn patch_many(
    schema: &Schema,
    json: &[u8],
    coerce: Coerce,
) -> Result<Vec<(usize, Value<'static>)>, Rejection> {
    let cx = Context::of_client(coerce);
    let Some(slots) = run(&cx, json, ObjectSeed::<Change<'_>>::new(&cx, schema))? else {
        return finish(cx, Vec::new());
    };
    let mut set = Vec::new();
    for (index, change) in slots.into_iter().enumerate().filter_map(|(index, slot)| Some((index, slot?))) {
        let Some(field) = schema.fields.get(index) else {
            if let Change::Entries(extras) = &change {
                for (name, _) in extras {
                    cx.refuse_member(name, Fault::new("nested_change", "is no field, and is changed row by row"));
                }
            }
            continue;
        };
        let fault = match change {
            _ if schema.id == Some(index) => Fault::new("read_only", "rows keep their ids; leave it out"),
            _ if field.access.is_fixed() => Fault::new(fixed_code(field.access), "cannot be changed; leave it out"),
            Change::Set(value) => {
                set.push((index, value.into_owned()));
                continue;
            }
            Change::Merge(_) | Change::Entries(_) | Change::Tagged(_) => {
                Fault::new("nested_change", "holds members of its own, which are changed row by row")
            }
        };
        cx.refuse_member(&field.name, fault);
    }
    finish(cx, set)
}

/// Puts `changes` into the stored `values`; a nested model that was null begins with its defaults.
pub(crate) fn merge(
    schema: &Schema,
    values: &mut [Value<'static>],
    changes: Vec<(usize, Change<'_>)>,
    coerce: Coerce,
) -> Result<(), Rejection> {
    let cx = Context::of_client(coerce);
    let is_fixed = |index: usize| schema.fields.get(index).is_some_and(|field| field.access.is_fixed());
    let fixed = changes.iter().filter(|(index, _)| is_fixed(*index));
    let before: Vec<_> = fixed.map(|(index, _)| (*index, values[*index].clone())).collect();
    merge_into(&cx, schema, values, changes);
    for (index, before) in before {
        check_fixed(&cx, &schema.fields[index], &before, &values[index]);
    }
    finish(cx, ())
}

fn merge_into<'s>(
    cx: &Context<'s>,
    schema: &'s Schema,
    values: &mut [Value<'static>],
    changes: Vec<(usize, Change<'_>)>,
) {
    for (index, change) in changes {
        match schema.fields.get(index) {
            Some(field) => cx.inside(&field.name, || put(cx, &field.kind, &mut values[index], change)),
            None => put(cx, &Type::Any, &mut values[index], change),
        }
    }
}

/// Changes the value of a field or of an entry.
fn put<'s>(cx: &Context<'s>, kind: &'s Type, place: &mut Value<'static>, change: Change<'_>) {
    let kind = match kind.inner().0 {
        // Only its objects are merged into.
        Type::Union(union) => union.object().unwrap_or(kind),
        kind => kind,
    };
    match (change, kind) {
        (Change::Set(value), _) => *place = value.into_owned(),
        (Change::Tagged(json), Type::Tagged(tagged)) => put_tagged(cx, tagged, place, json),
        (Change::Merge(changes), Type::Model(nested)) => match place {
            Value::Object(values) => merge_into(cx, nested, values, changes),
            _ => *place = Value::Object(build(cx, nested, changes)),
        },
        (Change::Entries(changes), Type::Map { value, min, max }) => {
            put_entries(cx, value, (*min, *max), place, changes)
        }
        (Change::Entries(changes), any @ Type::Any) => put_entries(cx, any, (None, None), place, changes),
        // Nothing else is merged into.
        (Change::Merge(_) | Change::Entries(_) | Change::Tagged(_), _) => {}
    }
}

/// Changes a model of a tagged union, or puts a new one in its place when `json` names another.
fn put_tagged<'s>(cx: &Context<'s>, tagged: &'s Tagged, place: &mut Value<'static>, json: &str) {
    let stored = match place {
        Value::Tagged(variant, _) => Some(*variant),
        _ => None,
    };
    let variant = match (tagged.named(json, cx.lax), stored) {
        (Named::Variant(variant), _) | (Named::Missing, Some(variant)) => variant,
        (Named::Missing, None) => return cx.refuse(check::missing_tag(tagged)),
        (Named::Unknown, _) => return cx.refuse(check::unknown_tag(tagged)),
    };
    let Some(schema) = tagged.schema(variant) else { return };
    let slots = match run(cx, json.as_bytes(), ObjectSeed::<Change<'_>>::new(cx, schema)) {
        Ok(slots) => slots.unwrap_or_default(),
        // It has been read before.
        Err(rejection) => return cx.refuse(Fault::new("json_invalid", rejection.to_string())),
    };
    let changes = slots.into_iter().enumerate().filter_map(|(index, slot)| Some((index, slot?))).collect();
    match place {
        Value::Tagged(own, values) if *own == variant => merge_into(cx, schema, values, changes),
        _ => *place = Value::Tagged(variant, build(cx, schema, changes)),
    }
}

fn put_entries<'s>(
    cx: &Context<'s>,
    kind: &'s Type,
    (min, max): (Option<usize>, Option<usize>),
    place: &mut Value<'static>,
    changes: Vec<(Cow<'_, str>, Option<Change<'_>>)>,
) {
    if !matches!(place, Value::Map(_)) {
        *place = Value::Map(Vec::new());
    }
    let Value::Map(entries) = place else { return };
    // A body names each once, so what is new needs no place here.
    let places: HashMap<String, usize> =
        entries.iter().enumerate().map(|(at, (name, _))| (name.clone().into_owned(), at)).collect();
    let mut gone = HashSet::new();
    for (name, change) in changes {
        match (change, places.get(&*name)) {
            (None, Some(at)) => drop(gone.insert(*at)),
            (None, None) => {}
            (Some(change), Some(at)) => cx.inside_entry(&name, || put(cx, kind, &mut entries[*at].1, change)),
            (Some(change), None) => {
                let mut value = Value::Null;
                cx.inside_entry(&name, || put(cx, kind, &mut value, change));
                entries.push((Cow::Owned(name.into_owned()), value));
            }
        }
    }
    let mut at = 0..;
    entries.retain(|_| at.next().is_none_or(|at| !gone.contains(&at)));
    if let Err(fault) = check::length(entries.len(), min, max) {
        cx.refuse(fault);
    }
}

/// A new object from a patch: RFC 7396 merges into an empty one.
fn build<'s>(cx: &Context<'s>, schema: &'s Schema, changes: Vec<(usize, Change<'_>)>) -> Vec<Value<'static>> {
    let mut slots = vec![None; schema.fields.len() + usize::from(schema.is_open())];
    for (index, change) in changes {
        let mut value = Value::Null;
        match schema.fields.get(index) {
            Some(field) => cx.inside(&field.name, || put(cx, &field.kind, &mut value, change)),
            None => put(cx, &Type::Any, &mut value, change),
        }
        slots[index] = Some(value);
    }
    cx.fill(schema, slots)
}

fn resolve_id<'a>(cx: &Context<'_>, field: &Field, sent: Option<Value<'a>>, rule: IdRule<'_>) -> Option<Value<'a>> {
    // A null here is the placeholder of an id that has been refused already.
    let sent_null = matches!(sent, Some(Value::Null));
    match (rule, sent) {
        (IdRule::Generated, sent) => {
            if sent.is_some() && !sent_null {
                cx.refuse_member(&field.name, Fault::new("read_only", "is chosen by the server; leave it out"));
            }
            Some(generated(field))
        }
        (IdRule::Chosen, Some(value)) => {
            if let Value::Str(text) = &value
                && check::is_reserved(text)
            {
                cx.refuse_member(&field.name, Fault::new("reserved_id", "must not be empty, . or .., or begin with _"));
            }
            Some(value)
        }
        (IdRule::Chosen, None) => field.kind.is_made_here().then(|| generated(field)),
        (IdRule::Given(id), sent) => {
            if !sent_null && sent.is_some_and(|sent| sent != *id) {
                cx.refuse_member(&field.name, Fault::new("id_mismatch", "must be the id in the path, or be left out"));
            }
            Some(id.clone())
        }
    }
}

fn generated<'a>(field: &Field) -> Value<'a> {
    if matches!(field.kind, Type::ObjectId) {
        return Value::Str(check::new_object_id().into());
    }
    Value::Uuid(match field.default {
        Some(DefaultValue::Uuid4) => Uuid::new_v4(),
        _ => Uuid::now_v7(),
    })
}

fn finish<T>(cx: Context<'_>, value: T) -> Result<T, Rejection> {
    let violations = cx.into_violations();
    if violations.is_empty() { Ok(value) } else { Err(Rejection::Invalid(violations)) }
}

fn run<'a, S: DeserializeSeed<'a>>(cx: &Context<'_>, json: &'a [u8], seed: S) -> Result<S::Value, Rejection> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    seed.deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|error| malformed(cx, json, &error))
}

fn malformed(cx: &Context<'_>, json: &[u8], error: &serde_json::Error) -> Rejection {
    let text = error.to_string();
    if text.starts_with("lone leading surrogate") || text.starts_with("unexpected end of hex escape") {
        let fault = Fault::new("string_unicode", "must not hold half of a surrogate pair");
        return Rejection::Invalid(vec![fault.at(Location::Pointer(cx.pointer()))]);
    }
    if text.starts_with("recursion limit") {
        let (line, column) = (error.line(), error.column());
        return Rejection::Malformed(format!("the body is nested too deeply at line {line} column {column}"), None);
    }
    Rejection::Malformed(format!("the body is not JSON: {text}"), position(json, error))
}

#[cfg(test)]
mod tests;
