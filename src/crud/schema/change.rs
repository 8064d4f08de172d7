//! What a merge patch says (RFC 7396).

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::Type;
use super::context::Context;
use super::object::read_slots;
use super::read::{Extras, Member, ValueSeed, read_entries, read_part};
use super::validate::Change;

impl<'de> Member<'de> for Change<'de> {
    fn read<'s, A: MapAccess<'de>>(cx: &Context<'s>, kind: &'s Type, map: &mut A) -> Result<Self, A::Error> {
        map.next_value_seed(ChangeSeed { value: ValueSeed { cx, kind } })
    }
}

impl<'de> Extras<'de> for Change<'de> {
    type Each = Option<Self>;

    fn of(entries: Vec<(Cow<'de, str>, Option<Self>)>) -> Self {
        Self::Entries(entries)
    }
}

/// In a dict a null takes the entry away.
impl<'de> Member<'de> for Option<Change<'de>> {
    fn read<'s, A: MapAccess<'de>>(cx: &Context<'s>, kind: &'s Type, map: &mut A) -> Result<Self, A::Error> {
        map.next_value_seed(EntrySeed(ChangeSeed { value: ValueSeed { cx, kind } }))
    }
}

/// Reads what a merge patch says of a field or an entry: an object that is meant for a model or a dict is merged; everything
/// else replaces.
struct ChangeSeed<'c, 's> {
    value: ValueSeed<'c, 's>,
}

impl<'de> DeserializeSeed<'de> for ChangeSeed<'_, '_> {
    type Value = Change<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Change<'de>, D::Error> {
        match self.value.kind() {
            Type::Model(_) | Type::Map { .. } | Type::Any => deserializer.deserialize_any(self),
            Type::Union(_) | Type::Tagged(_) => {
                <&RawValue>::deserialize(deserializer).and_then(|raw| self.union(raw.get()).map_err(D::Error::custom))
            }
            _ => self.value.deserialize(deserializer).map(Change::Set),
        }
    }
}

impl<'s> ChangeSeed<'_, 's> {
    fn union(self, json: &str) -> serde_json::Result<Change<'_>> {
        match self.value.kind() {
            Type::Union(union) if json.starts_with('{') => match union.object() {
                Some(kind) => read_part(ChangeSeed { value: self.value.of(kind) }, json),
                None => self.value.union(json).map(Change::Set),
            },
            Type::Tagged(_) if json.starts_with('{') => {
                // Which model it is of may be known only to the row: what can be wrong whatever it is, is found here.
                serde_json::from_str::<serde_json::Value>(json)?;
                Ok(Change::Tagged(json))
            }
            _ => self.value.union(json).map(Change::Set),
        }
    }
}

impl<'de> Visitor<'de> for ChangeSeed<'_, '_> {
    type Value = Change<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Change<'de>, E> {
        self.value.visit_unit().map(Change::Set)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Change<'de>, E> {
        self.value.visit_bool(value).map(Change::Set)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Change<'de>, E> {
        self.value.visit_i64(value).map(Change::Set)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Change<'de>, E> {
        self.value.visit_u64(value).map(Change::Set)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Change<'de>, E> {
        self.value.visit_f64(value).map(Change::Set)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Change<'de>, E> {
        self.value.visit_str(value).map(Change::Set)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Change<'de>, A::Error> {
        self.value.visit_seq(seq).map(Change::Set)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Change<'de>, A::Error> {
        let cx = self.value.cx;
        let kind = match self.value.kind() {
            Type::Model(schema) if cx.has_room() => {
                let slots = read_slots(cx, schema, &mut map)?;
                let changes = slots.into_iter().enumerate().filter_map(|(index, slot)| Some((index, slot?)));
                return Ok(Change::Merge(changes.collect()));
            }
            Type::Map { value, .. } if cx.has_room() => &**value,
            any @ Type::Any if cx.has_room() => any,
            _ => return self.value.visit_map(map).map(Change::Set),
        };
        read_entries(cx, kind, &mut map).map(Change::Entries)
    }
}

/// Reads what a merge patch says of an entry of a dict.
struct EntrySeed<'c, 's>(ChangeSeed<'c, 's>);

impl<'de> DeserializeSeed<'de> for EntrySeed<'_, '_> {
    type Value = Option<Change<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<Change<'de>>, D::Error> {
        match <&RawValue>::deserialize(deserializer)?.get() {
            "null" => Ok(None),
            raw => read_part(self.0, raw).map(Some).map_err(D::Error::custom),
        }
    }
}
