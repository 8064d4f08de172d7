//! One pass from JSON to typed values: a seed for each type, which notes what is wrong and reads on.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::check::{self, Fault};
use super::context::{Context, DEEPEST, Step};
use super::lax::{self, Found};
use super::object::{ObjectSeed, read_slots};
use super::skip::Skip;
use super::{ChoiceSort, ListSort, Named, Number, Schema, Tagged, Type};
use crate::crud::{Value, json};

/// How much of an unknown name is repeated in its violation.
pub(super) const LONGEST_NAME: usize = 100;

/// Reads a value of a type.
pub(super) struct ValueSeed<'c, 's> {
    pub(super) cx: &'c Context<'s>,
    pub(super) kind: &'s Type,
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_, '_> {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value<'de>, D::Error> {
        match self.kind() {
            // As a float it would lose digits.
            Type::Decimal(rules) => <&RawValue>::deserialize(deserializer).map(|raw| self.decimal(raw.get(), rules)),
            // Which of its types it is of is to be seen first.
            Type::Union(_) | Type::Tagged(_) => {
                <&RawValue>::deserialize(deserializer).and_then(|raw| self.union(raw.get()).map_err(D::Error::custom))
            }
            _ => deserializer.deserialize_any(self),
        }
    }
}

/// What was refused as it stands, looked at again where that is wanted.
#[cold]
#[inline(never)]
fn again<'a>(cx: &Context<'_>, kind: &Type, fault: Fault, found: Found<'_>) -> Value<'a> {
    cx.checked(if cx.lax { lax::read(kind, found, fault) } else { Err(fault) })
}

/// Reads a part of a text that has been found to be JSON.
pub(super) fn read_part<'de, S: DeserializeSeed<'de>>(seed: S, json: &'de str) -> serde_json::Result<S::Value> {
    seed.deserialize(&mut serde_json::Deserializer::from_str(json))
}

impl<'s> ValueSeed<'_, 's> {
    /// The type itself: `Optional` matters only for null.
    pub(super) fn kind(&self) -> &'s Type {
        self.kind.inner().0
    }

    /// The same of one of the types of a union.
    pub(super) const fn of(&self, kind: &'s Type) -> Self {
        Self { cx: self.cx, kind }
    }

    pub(super) fn union<'a>(self, json: &'a str) -> serde_json::Result<Value<'a>> {
        if json == "null" && self.kind.is_nullable() {
            return Ok(Value::Null);
        }
        match self.kind() {
            Type::Union(union) if self.cx.lax && !json.starts_with(['[', '{']) => self.smart(union, json),
            Type::Union(union) => match union.of_json(json) {
                Some(kind) => read_part(self.of(kind), json),
                None => Ok(self.wrong()),
            },
            Type::Tagged(tagged) if json.starts_with('{') && self.cx.has_room() => {
                let Some((variant, schema)) = self.variant(tagged, json) else { return Ok(Value::Null) };
                let slots = read_part(ObjectSeed::new(self.cx, schema), json)?.unwrap_or_default();
                Ok(Value::Tagged(variant, self.cx.fill(schema, slots)))
            }
            _ => Ok(self.wrong()),
        }
    }

    /// The model that an object says that it is of, or none after noting that it does not.
    fn variant(&self, tagged: &'s Tagged, json: &str) -> Option<(usize, &'s Schema)> {
        let fault = match tagged.named(json, self.cx.lax) {
            Named::Variant(variant) => return tagged.schema(variant).map(|schema| (variant, schema)),
            Named::Unknown => check::unknown_tag(tagged),
            Named::Missing => check::missing_tag(tagged),
        };
        self.cx.refuse(fault);
        None
    }

    pub(super) fn wrong<'a>(&self) -> Value<'a> {
        if let Type::Union(union) = self.kind() {
            // As pydantic, which tells what each of them misses.
            union.alternatives().iter().for_each(|kind| drop(self.of(kind).wrong()));
            return Value::Null;
        }
        self.cx.refuse(match self.kind() {
            // These may be refused for want of room only where they stand in others.
            Type::Any | Type::Map { .. } | Type::Model(_) | Type::Tagged(_) if !self.cx.has_room() => {
                Fault::new("too_deep", format!("must not be more than {DEEPEST} levels deep"))
            }
            _ => check::wrong_kind(self.kind),
        });
        Value::Null
    }

    fn decimal<'a>(&self, json: &str, rules: &Number) -> Value<'a> {
        let unquoted = json.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        let text = match (unquoted, json.as_bytes().first()) {
            // No number has anything to escape.
            (Some(text), _) => text,
            (None, Some(b'-' | b'0'..=b'9')) => json,
            (None, Some(b'n')) if self.kind.inner().1 => return Value::Null,
            _ => return self.wrong(),
        };
        let read = match check::decimal(text) {
            Err(fault) if self.cx.lax => lax::decimal(json).ok_or(fault),
            read => read,
        };
        self.cx.checked(read.and_then(|value| check::number(value, rules)))
    }

    /// An item of each type, in their order.
    fn fixed<'de, A: SeqAccess<'de>>(&self, kinds: &'s [Type], mut seq: A) -> Result<Value<'de>, A::Error> {
        let cx = self.cx;
        let found = cx.violations.borrow().len();
        let mut items = Vec::with_capacity(kinds.len());
        for (index, kind) in kinds.iter().enumerate() {
            match cx.step(Step::Index(index), || seq.next_element_seed(ValueSeed { cx, kind }))? {
                Some(value) => items.push(value),
                None => break,
            }
        }
        for index in items.len()..kinds.len() {
            cx.step(Step::Index(index), || {
                cx.refuse(Fault::new("missing", "is required"));
                Ok::<_, A::Error>(())
            })?;
        }
        let mut count = items.len();
        while seq.next_element_seed(Skip)?.is_some() {
            count += 1;
        }
        if count > kinds.len() {
            // As pydantic, which does not look at the items of what is too long.
            cx.violations.borrow_mut().truncate(found);
            cx.checked(check::length(count, None, Some(kinds.len())).map(|()| Value::Null));
        }
        Ok(Value::List(items))
    }

    fn text<'a>(&self, text: Cow<'a, str>) -> Value<'a> {
        let checked = match self.kind() {
            Type::Str(rules) => check::text(text, rules).map(Value::Str),
            Type::Uuid | Type::LegacyUuid(_) => check::uuid(&text).map(Value::Uuid),
            Type::ObjectId => check::object_id(&text).map(|()| Value::Str(text)),
            kind @ (Type::DateTime(naive) | Type::Micros(naive)) => match check::datetime(&text, *naive) {
                Ok(time) => Ok(kind.instant(time)),
                Err(fault) => return again(self.cx, kind, fault, Found::Text(&text)),
            },
            kind @ Type::IntText(bounds) => match check::int_text(&text).and_then(|value| check::int(value, bounds)) {
                Ok(value) => Ok(Value::Int(value)),
                Err(fault) => return again(self.cx, kind, fault, Found::Text(&text)),
            },
            Type::Date(bounds) | Type::Midnight(bounds) => {
                match check::date(&text).and_then(|date| check::moment(date, bounds)) {
                    Err(fault) => return again(self.cx, self.kind(), fault, Found::Text(&text)),
                    date => date,
                }
            }
            Type::Time(bounds) => check::time(&text).and_then(|time| check::moment(time, bounds)),
            Type::Bytes { form, min, max } => check::bytes(&text, *form, *min, *max),
            Type::Any => Ok(Value::Str(text)),
            Type::Duration(bounds) => check::duration(&text).and_then(|value| check::span(value, bounds)),
            kind @ Type::OneOf { sort: ChoiceSort::IntEnum, .. } => {
                return again(self.cx, kind, check::wrong_kind(kind), Found::Text(&text));
            }
            Type::OneOf { values, sort } => check::choice(Value::Str(text), values, *sort),
            other => return again(self.cx, other, check::wrong_kind(other), Found::Text(&text)),
        };
        self.cx.checked(checked)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_, '_> {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(if self.kind.is_nullable() { Value::Null } else { self.wrong() })
    }

    // What is taken is given back at once: on these ways most values are read.
    fn visit_bool<E>(self, value: bool) -> Result<Value<'de>, E> {
        let checked = match self.kind() {
            Type::Bool | Type::Any => return Ok(Value::Bool(value)),
            Type::OneOf { values, sort } => check::choice(Value::Bool(value), values, *sort),
            other => Err(check::wrong_kind(other)),
        };
        Ok(checked.unwrap_or_else(|fault| again(self.cx, self.kind(), fault, Found::Bool(value))))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value<'de>, E> {
        let fault = match self.kind() {
            Type::Int(bounds) | Type::IntText(bounds) => match check::int(value, bounds) {
                Ok(value) => return Ok(Value::Int(value)),
                Err(fault) => fault,
            },
            Type::Any => return Ok(Value::Int(value)),
            Type::Float(bounds) => match check::float(value as f64, bounds) {
                Ok(value) => return Ok(Value::Float(value)),
                Err(fault) => fault,
            },
            Type::OneOf { values, sort } => match check::choice(Value::Int(value), values, *sort) {
                Ok(value) => return Ok(value),
                Err(fault) => fault,
            },
            other => check::wrong_kind(other),
        };
        Ok(again(self.cx, self.kind(), fault, Found::Int(value)))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value<'de>, E> {
        if let Ok(value) = i64::try_from(value) {
            return self.visit_i64(value);
        }
        let checked = match self.kind() {
            Type::Float(bounds) => check::float(value as f64, bounds).map(Value::Float),
            Type::Int(_) | Type::IntText(_) => Err(check::out_of_range()),
            // As serde_json does with integers that are longer still.
            Type::Any => Ok(Value::Float(value as f64)),
            other => Err(check::wrong_kind(other)),
        };
        Ok(checked.unwrap_or_else(|fault| again(self.cx, self.kind(), fault, Found::Long)))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value<'de>, E> {
        // serde_json hands over the integer -0 as a float, and so does -0.0 pass for one.
        if value.to_bits() == (-0.0_f64).to_bits()
            && matches!(self.kind(), Type::Int(_) | Type::IntText(_) | Type::OneOf { .. })
        {
            return self.visit_i64(0);
        }
        let fault = match self.kind() {
            Type::Float(bounds) => match check::float(value, bounds) {
                Ok(value) => return Ok(Value::Float(value)),
                Err(fault) => fault,
            },
            Type::Any => return Ok(Value::Float(value)),
            // serde_json hands over integers of more than 64 bits as floats.
            Type::Int(_) | Type::IntText(_) if value.abs() >= 9_223_372_036_854_775_808.0 => check::out_of_range(),
            other => check::wrong_kind(other),
        };
        Ok(again(self.cx, self.kind(), fault, Found::Float(value)))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Value<'de>, E> {
        Ok(self.text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value<'de>, E> {
        Ok(self.text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value<'de>, A::Error> {
        let (item, min, max, sort) = match self.kind() {
            Type::Fixed(kinds) => return self.fixed(kinds, seq),
            Type::List { item, min, max, sort } => (&**item, min, max, *sort),
            any @ Type::Any if self.cx.has_room() => (any, &None, &None, ListSort::List),
            _ => {
                Skip.visit_seq(seq)?;
                return Ok(self.wrong());
            }
        };
        let cx = self.cx;
        let found = cx.violations.borrow().len();
        let mut items = Vec::new();
        let mut once = sort.is_set().then(Once::default);
        let mut index = 0;
        while max.is_none_or(|max| items.len() < max) {
            match cx.step(Step::Index(index), || seq.next_element_seed(ValueSeed { cx, kind: item }))? {
                Some(value) if once.as_mut().is_none_or(|once| once.is_new(item, &value)) => items.push(value),
                Some(_) => {}
                None => break,
            }
            index += 1;
        }
        let mut count = items.len();
        match &mut once {
            None => {
                while seq.next_element_seed(Skip)?.is_some() {
                    count += 1;
                }
            }
            // A full set may be sent more of what it holds.
            Some(once) => {
                while let Some(value) =
                    cx.step(Step::Index(index), || seq.next_element_seed(ValueSeed { cx, kind: item }))?
                {
                    count += usize::from(count == items.len() && once.is_new(item, &value));
                    index += 1;
                }
            }
        }
        if once.is_some_and(|once| once.refused) && max.is_none_or(|max| count <= max) {
            // How many there would be is not known.
            return Ok(Value::Null);
        }
        Ok(match check::length(count, *min, *max) {
            Ok(()) => Value::List(items),
            Err(fault) => {
                if fault.code == "too_long" {
                    // As pydantic, which does not look at the items of what is too long.
                    cx.violations.borrow_mut().truncate(found);
                }
                cx.refuse(fault);
                Value::Null
            }
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value<'de>, A::Error> {
        let (kind, min, max) = match self.kind() {
            Type::Model(schema) if self.cx.has_room() => {
                let slots = read_slots(self.cx, schema, &mut map)?;
                return Ok(Value::Object(self.cx.fill(schema, slots)));
            }
            Type::Map { value, min, max } if self.cx.has_room() => (&**value, *min, *max),
            any @ Type::Any if self.cx.has_room() => (any, None, None),
            _ => {
                Skip.visit_map(map)?;
                return Ok(self.wrong());
            }
        };
        let found = self.cx.violations.borrow().len();
        let entries: Vec<(_, Value<'de>)> = read_entries(self.cx, kind, &mut map)?;
        // As pydantic, which counts entries when all of them are valid.
        if let Err(fault) = check::length(entries.len(), min, max)
            && self.cx.violations.borrow().len() == found
        {
            self.cx.refuse(fault);
        }
        Ok(Value::Map(entries))
    }
}

/// The values of a set, by their canonical JSON.
#[derive(Default)]
struct Once {
    seen: HashSet<Vec<u8>>,
    /// Some item broke a rule; such are not counted.
    refused: bool,
}

impl Once {
    fn is_new(&mut self, kind: &Type, value: &Value<'_>) -> bool {
        let mut text = Vec::new();
        match value {
            // What was refused stands as null.
            Value::Null if !kind.inner().1 => {
                self.refused = true;
                return false;
            }
            // The two zeros are one value.
            Value::Float(x) if *x == 0.0 => text.push(b'0'),
            // As 1.5 and 1.50 are.
            Value::Decimal(x) => text.extend_from_slice(&x.key()),
            value => json::write_value(&mut text, kind, value),
        }
        self.seen.insert(text)
    }
}

/// What a member of an object is read as.
pub(super) trait Member<'de>: Sized {
    fn read<'s, A: MapAccess<'de>>(cx: &Context<'s>, kind: &'s Type, map: &mut A) -> Result<Self, A::Error>;
}

impl<'de> Member<'de> for Value<'de> {
    fn read<'s, A: MapAccess<'de>>(cx: &Context<'s>, kind: &'s Type, map: &mut A) -> Result<Self, A::Error> {
        map.next_value_seed(ValueSeed { cx, kind })
    }
}

/// What the members of an object are read as that are none of its fields.
pub(super) trait Extras<'de>: Member<'de> {
    /// What each of them is read as.
    type Each: Member<'de>;

    fn of(entries: Vec<(Cow<'de, str>, Self::Each)>) -> Self;
}

impl<'de> Extras<'de> for Value<'de> {
    type Each = Self;

    fn of(entries: Vec<(Cow<'de, str>, Self)>) -> Self {
        Value::Map(entries)
    }
}

/// Reads the members of a dict, in their order.
pub(super) fn read_entries<'de, 's, T: Member<'de>, A: MapAccess<'de>>(
    cx: &Context<'s>,
    kind: &'s Type,
    map: &mut A,
) -> Result<Vec<(Cow<'de, str>, T)>, A::Error> {
    let mut entries = Vec::new();
    let mut seen = HashSet::new();
    while let Some(name) = map.next_key_seed(NameSeed)? {
        let fault = check::name(&name)
            .err()
            .or_else(|| (!seen.insert(name.clone())).then(|| Fault::new("duplicate_key", "is there more than once")));
        if let Some(fault) = fault {
            let shown: String = name.chars().take(LONGEST_NAME).collect();
            cx.refuse_member(&shown, fault);
            map.next_value_seed(Skip)?;
            continue;
        }
        let value = cx.step(Step::Name(name.clone().into_owned()), || T::read(cx, kind, map))?;
        entries.push((name, value));
    }
    Ok(entries)
}

/// Reads a name, without copying it where there is nothing to unescape.
struct NameSeed;

impl<'de> DeserializeSeed<'de> for NameSeed {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cow<'de, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for NameSeed {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}
