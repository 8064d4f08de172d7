//! Objects of a model: their members into a slot for each field.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::check::{self, Fault};
use super::context::{Context, Step};
use super::read::{Extras, LONGEST_NAME, Member};
use super::skip::Skip;
use super::{Schema, Type, Unknown, suggest};

/// Reads the members of an object into one slot for each field, and one for what is none of them, where that is allowed.
pub(super) fn read_slots<'de, 's, T: Extras<'de>, A: MapAccess<'de>>(
    cx: &Context<'s>,
    schema: &'s Schema,
    map: &mut A,
) -> Result<Vec<Option<T>>, A::Error> {
    let mut slots: Vec<Option<T>> = schema.fields.iter().map(|_| None).collect();
    let (mut next, mut extras) = (0, Vec::<(Cow<'de, str>, T::Each)>::new());
    let mut seen = HashSet::new();
    while let Some(key) = map.next_key_seed(KeySeed { schema, next, inside: cx.inside })? {
        match key {
            Key::Known(index) => {
                let field = &schema.fields[index];
                next = index + 1;
                if slots[index].is_some() {
                    cx.refuse_member(&field.name, Fault::new("duplicate_key", "is there more than once"));
                    map.next_value_seed(Skip)?;
                    continue;
                }
                slots[index] = Some(cx.step(Step::Field(&field.name), || T::read(cx, &field.kind, map))?);
            }
            Key::Extra(name) => {
                let fault = match check::extra(&name) {
                    Ok(()) if seen.insert(name.clone()) => {
                        let value = cx.step(Step::Name(name.clone()), || T::Each::read(cx, &Type::Any, map))?;
                        extras.push((Cow::Owned(name), value));
                        continue;
                    }
                    Ok(()) => Fault::new("duplicate_key", "is there more than once"),
                    Err(fault) => fault,
                };
                cx.refuse_member(&name.chars().take(LONGEST_NAME).collect::<String>(), fault);
                map.next_value_seed(Skip)?;
            }
            Key::Unknown(name) => {
                if let Some(name) = name {
                    let known = schema.fields.iter().filter(|field| field.access.is_known()).map(|field| &*field.name);
                    let detail = match suggest::closest(&name, known) {
                        Some(near) => Cow::Owned(format!("unknown field; did you mean {near}?")),
                        None => Cow::Borrowed("unknown field"),
                    };
                    cx.refuse_member(&name, Fault::new("extra_forbidden", detail));
                }
                map.next_value_seed(Skip)?;
            }
        }
    }
    if schema.is_open() {
        slots.push((!extras.is_empty()).then(|| T::of(extras)));
    }
    Ok(slots)
}

/// Reads the object at the top of a body; none, after a violation, for anything else.
pub(super) struct ObjectSeed<'c, 's, T> {
    cx: &'c Context<'s>,
    schema: &'s Schema,
    member: PhantomData<T>,
}

impl<'c, 's, T> ObjectSeed<'c, 's, T> {
    pub(super) fn new(cx: &'c Context<'s>, schema: &'s Schema) -> Self {
        Self { cx, schema, member: PhantomData }
    }

    fn wrong<E>(&self) -> Result<Option<Vec<Option<T>>>, E> {
        self.cx.refuse(Fault::new("model_type", "must be an object"));
        Ok(None)
    }
}

impl<'de, T: Extras<'de>> DeserializeSeed<'de> for ObjectSeed<'_, '_, T> {
    type Value = Option<Vec<Option<T>>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Extras<'de>> Visitor<'de> for ObjectSeed<'_, '_, T> {
    type Value = Option<Vec<Option<T>>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        self.wrong()
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        self.wrong()
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        self.wrong()
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        self.wrong()
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        self.wrong()
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        self.wrong()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        Skip.visit_seq(seq)?;
        self.wrong()
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        read_slots(self.cx, self.schema, &mut map).map(Some)
    }
}

enum Key {
    Known(usize),
    /// One that is kept.
    Extra(String),
    /// Its name where that is a violation.
    Unknown(Option<String>),
}

/// Finds the field of a key without copying it; members mostly come in the order of the schema.
struct KeySeed<'s> {
    schema: &'s Schema,
    next: usize,
    inside: bool,
}

impl<'de> DeserializeSeed<'de> for KeySeed<'_> {
    type Value = Key;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed<'_> {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, key: &str) -> Result<Key, E> {
        let expected = self.schema.fields.get(self.next).filter(|field| *field.name == *key).map(|_| self.next);
        let found = expected.or_else(|| self.schema.field(key));
        Ok(match found {
            Some(index) if self.inside || self.schema.fields[index].access.is_known() => Key::Known(index),
            None if self.schema.is_open() => Key::Extra(key.to_owned()),
            // A hidden field is none that is kept beside it.
            _ if self.schema.unknown == Unknown::Ignore => Key::Unknown(None),
            _ => Key::Unknown(Some(key.chars().take(LONGEST_NAME).collect())),
        })
    }
}
