//! Types that hold a value of one of several types, and how it is told which.

use std::sync::Arc;

use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{ChoiceSort, ListSort, Nested, Schema, Type, lax};
use crate::crud::Value;

/// `A | B`: JSON tells the alternatives apart, by what stands there.
#[derive(Debug, Clone)]
pub struct Union {
    alternatives: Vec<Type>,
}

/// `Annotated[Cat | Dog, Field(discriminator="kind")]`: a member tells the models apart.
#[derive(Debug, Clone)]
pub struct Tagged {
    tag: Arc<str>,
    variants: Vec<Variant>,
}

/// One of the models of a [`Tagged`] union.
#[derive(Debug, Clone)]
pub struct Variant {
    /// What the member holds in objects of this model: texts, integers or booleans.
    pub tags: Vec<Value<'static>>,
    /// The model; it has the member as a field.
    pub schema: Nested,
}

/// What stands in JSON, as far as it tells types apart.
mod kinds {
    pub(super) const BOOL: u8 = 1;
    pub(super) const INT: u8 = 2;
    pub(super) const FRACTION: u8 = 4;
    pub(super) const TEXT: u8 = 8;
    pub(super) const ARRAY: u8 = 16;
    pub(super) const OBJECT: u8 = 32;
    pub(super) const ALL: u8 = 63;
}

/// What values of a type look like in JSON.
fn kinds(kind: &Type) -> u8 {
    match kind {
        Type::Bool => kinds::BOOL,
        Type::Int(_) => kinds::INT,
        Type::IntText(_) => kinds::INT | kinds::TEXT,
        Type::Float(_) => kinds::INT | kinds::FRACTION,
        Type::Decimal(_) => kinds::INT | kinds::FRACTION | kinds::TEXT,
        Type::Str(_)
        | Type::Uuid
        | Type::LegacyUuid(_)
        | Type::ObjectId
        | Type::DateTime(_)
        | Type::Micros(_)
        | Type::Date(_)
        | Type::Midnight(_)
        | Type::Time(_)
        | Type::Duration(_)
        | Type::Bytes { .. } => kinds::TEXT,
        Type::OneOf { values, .. } => values.iter().fold(0, |found, value| {
            found
                | match value {
                    Value::Bool(_) => kinds::BOOL,
                    Value::Int(_) => kinds::INT,
                    _ => kinds::TEXT,
                }
        }),
        Type::Optional(inner) => kinds(inner),
        Type::List { .. } | Type::Fixed(_) => kinds::ARRAY,
        Type::Model(_) | Type::Map { .. } | Type::Tagged(_) => kinds::OBJECT,
        Type::Union(union) => union.alternatives.iter().fold(0, |found, kind| found | kinds(kind)),
        Type::Any => kinds::ALL,
    }
}

/// What the JSON of a value looks like; 0 for null.
fn kind_of(json: &str) -> u8 {
    match json.as_bytes().first() {
        Some(b't' | b'f') => kinds::BOOL,
        Some(b'"') => kinds::TEXT,
        Some(b'[') => kinds::ARRAY,
        Some(b'{') => kinds::OBJECT,
        Some(b'n') | None => 0,
        Some(_) if json.contains(['.', 'e', 'E']) => kinds::FRACTION,
        Some(_) => kinds::INT,
    }
}

impl Type {
    /// Whether the JSON of a value may be of this type, as far as its first letters tell.
    pub(crate) fn looks_like(&self, json: &str) -> bool {
        kinds(self) & kind_of(json) != 0
    }
}

impl Union {
    /// A union of types of which no two look the same in JSON, other than int and float, which the point tells apart.
    ///
    /// # Errors
    /// Which two types do, or would be kept alike by a store.
    pub fn new(alternatives: Vec<Type>) -> Result<Self, String> {
        for (index, one) in alternatives.iter().enumerate() {
            for other in &alternatives[index + 1..] {
                let is_numbers =
                    matches!((one, other), (Type::Int(_), Type::Float(_)) | (Type::Float(_), Type::Int(_)));
                // MongoDB keeps these as integers.
                let is_kept_alike = |one: &Type, other: &Type| {
                    matches!(one, Type::Duration(_) | Type::Micros(_))
                        && kinds(other) & (kinds::INT | kinds::FRACTION) != 0
                };
                // In Python 1 in a string may be True.
                let is_truth = matches!((one, other), (Type::IntText(_), Type::Bool) | (Type::Bool, Type::IntText(_)));
                let is_alike = kinds(one) & kinds(other) != 0 && !is_numbers;
                if is_truth || is_alike || is_kept_alike(one, other) || is_kept_alike(other, one) {
                    let (one, other) = (name_of(one), name_of(other));
                    return Err(format!("{one} and {other} look the same in JSON or to a store"));
                }
            }
        }
        Ok(Self { alternatives })
    }

    /// The types, in the order in which they were declared.
    pub fn alternatives(&self) -> &[Type] {
        &self.alternatives
    }

    /// The one that the JSON of a value is of.
    pub(crate) fn of_json(&self, json: &str) -> Option<&Type> {
        let fits = |own: &&Type| own.looks_like(json);
        // An integer is a float only where there is no int.
        self.alternatives
            .iter()
            .filter(fits)
            .min_by_key(|own| matches!(own, Type::Float(_)) && kind_of(json) == kinds::INT)
    }

    /// The one whose values are objects.
    pub(crate) fn object(&self) -> Option<&Type> {
        self.alternatives.iter().find(|own| kinds(own) & kinds::OBJECT != 0)
    }

    /// The one that a value is of.
    pub(crate) fn of_value(&self, value: &Value<'_>) -> Option<&Type> {
        self.alternatives.iter().find(|own| match (value, own) {
            (Value::Bool(_), Type::Bool)
            | (Value::Int(_), Type::Int(_) | Type::IntText(_))
            | (Value::Float(_), Type::Float(_))
            | (Value::Uuid(_), Type::Uuid | Type::LegacyUuid(_))
            | (Value::DateTime(_), Type::DateTime(_))
            | (Value::Micros(_), Type::Micros(_))
            | (Value::Duration(_), Type::Duration(_))
            | (Value::Decimal(_), Type::Decimal(_))
            | (Value::Bytes(_), Type::Bytes { .. })
            | (Value::Str(_), Type::Str(_) | Type::ObjectId | Type::Date(_) | Type::Midnight(_) | Type::Time(_))
            | (Value::List(_), Type::List { .. } | Type::Fixed(_))
            | (Value::Map(_), Type::Map { .. })
            | (Value::Object(_), Type::Model(_))
            | (Value::Tagged(..), Type::Tagged(_)) => true,
            (value, Type::OneOf { values, .. }) => values.contains(value),
            _ => false,
        })
    }
}

/// What a type is called in Python.
fn name_of(kind: &Type) -> &str {
    match kind {
        Type::Bool => "bool",
        Type::Int(_) => "int",
        Type::IntText(_) => "an int in a string",
        Type::Float(_) => "float",
        Type::Str(_) => "str",
        Type::Uuid | Type::LegacyUuid(_) => "UUID",
        Type::ObjectId => "ObjectId",
        Type::DateTime(_) | Type::Micros(_) => "datetime",
        Type::Date(_) | Type::Midnight(_) => "date",
        Type::Time(_) => "time",
        Type::Duration(_) => "timedelta",
        Type::Decimal(_) => "Decimal",
        Type::OneOf { sort: ChoiceSort::Literal, .. } => "Literal",
        Type::OneOf { .. } => "Enum",
        Type::Optional(inner) => name_of(inner),
        Type::List { sort: ListSort::List, .. } => "list",
        Type::List { sort: ListSort::Set, .. } => "set",
        Type::List { sort: ListSort::FrozenSet, .. } => "frozenset",
        Type::List { sort: ListSort::Tuple, .. } | Type::Fixed(_) => "tuple",
        Type::Model(schema) => &schema.name,
        Type::Map { .. } => "dict",
        Type::Bytes { .. } => "bytes",
        Type::Union(_) | Type::Tagged(_) => "a union of models",
        Type::Any => "Any",
    }
}

/// What an object says of the model that it is of.
pub(crate) enum Named {
    /// The index of the variant.
    Variant(usize),
    /// It has the member, and that is of no variant.
    Unknown,
    /// It does not have the member.
    Missing,
}

impl Tagged {
    /// A union of models that the member `tag` tells apart.
    ///
    /// # Errors
    /// What is wrong: there is none, one does not have the member, or two have the same tag.
    pub fn new(tag: impl Into<Arc<str>>, variants: Vec<Variant>) -> Result<Self, String> {
        let tag = tag.into();
        let mut seen: Vec<&Value<'_>> = Vec::new();
        for Variant { tags, schema } in &variants {
            if tags.iter().any(|tag| seen.contains(&tag)) {
                return Err(format!("{} is told by the same {tag} as another model", schema.name));
            }
            seen.extend(tags);
            if schema.is_back() {
                // It is being made, and is looked at where it is told from others itself.
                continue;
            }
            let name = &schema.name;
            let Some(index) = schema.field(&tag) else { return Err(format!("{name} has no field {tag:?}")) };
            let Type::OneOf { values, .. } = &schema.fields[index].kind else {
                return Err(format!("{name}.{tag} is no Literal or Enum"));
            };
            if tags.is_empty() || tags.iter().any(|tag| !values.contains(tag)) {
                return Err(format!("{name}.{tag} cannot hold what {name} is told by"));
            }
        }
        if variants.is_empty() {
            Err("there is no model to choose from".to_owned())
        } else {
            Ok(Self { tag, variants })
        }
    }

    /// The name of the member that tells the models apart.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// The models.
    pub fn variants(&self) -> &[Variant] {
        &self.variants
    }

    /// The model of a variant.
    pub(crate) fn schema(&self, variant: usize) -> Option<&Schema> {
        self.variants.get(variant).map(|variant| &*variant.schema)
    }

    /// The variant that has this tag.
    pub(crate) fn variant(&self, is_tag: impl Fn(&Value<'static>) -> bool) -> Option<usize> {
        self.variants.iter().position(|variant| variant.tags.iter().any(&is_tag))
    }

    /// Which variant the JSON of an object says that it is of; with `lax` 1, 1.0 and true are one tag, as in Python.
    pub(crate) fn named(&self, json: &str, lax: bool) -> Named {
        let found = serde_json::Deserializer::from_str(json).deserialize_map(Member(&self.tag));
        let Ok(Some(raw)) = found else { return Named::Missing };
        let text = raw.get();
        let is_tag = |tag: &Value<'static>| match tag {
            Value::Str(tag) => serde_json::from_str::<String>(text).is_ok_and(|text| text == **tag),
            Value::Int(tag) => text.parse() == Ok(*tag),
            Value::Bool(tag) => text.parse() == Ok(*tag),
            _ => false,
        };
        let number = || lax::integer(text).filter(|_| lax);
        let found =
            self.variant(is_tag).or_else(|| number().and_then(|number| self.variant(|tag| lax::is(tag, number))));
        found.map_or(Named::Unknown, Named::Variant)
    }

    /// All tags.
    pub(crate) fn tags(&self) -> impl Iterator<Item = &Value<'static>> {
        self.variants.iter().flat_map(|variant| &variant.tags)
    }
}

/// Finds a member of an object.
struct Member<'t>(&'t str);

impl<'de> Visitor<'de> for Member<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(name) = map.next_key::<std::borrow::Cow<'_, str>>()? {
            if *name == *self.0 && found.is_none() {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crud::schema::{Bounds, Naive, Text};

    fn int() -> Type {
        Type::Int(Bounds::default())
    }

    fn float() -> Type {
        Type::Float(Bounds::default())
    }

    fn text() -> Type {
        Type::Str(Text::default())
    }

    fn list() -> Type {
        Type::List { sort: Default::default(), item: Box::new(int()), min: None, max: None }
    }

    #[test]
    fn what_looks_alike_is_no_union() {
        let fits = |one: Type, other: Type| Union::new(vec![one, other]).is_ok();
        let one_of = |values: &[Value<'static>]| Type::OneOf { values: values.to_vec(), sort: ChoiceSort::Literal };
        assert!(fits(int(), text()) && fits(int(), float()) && fits(float(), int()) && fits(list(), text()));
        assert!(fits(Type::Bool, int()) && fits(Type::Uuid, int()) && fits(one_of(&["a".into()]), int()));
        assert!(fits(Type::Map { value: Box::new(int()), min: None, max: None }, list()));
        assert!(!fits(text(), Type::Uuid) && !fits(Type::DateTime(Naive::default()), Type::Date(Bounds::default())));
        assert!(!fits(one_of(&["a".into()]), text()) && !fits(one_of(&[1.into()]), float()) && !fits(Type::Any, int()));
        assert!(!fits(Type::Decimal(Default::default()), int()) && !fits(Type::Duration(Bounds::default()), int()));
    }

    #[test]
    fn json_tells_the_alternatives_apart() {
        let numbers = Union::new(vec![float(), int(), text()]).unwrap();
        let of = |json| match numbers.of_json(json) {
            Some(Type::Int(_)) => "int",
            Some(Type::Float(_)) => "float",
            Some(Type::Str(_)) => "str",
            _ => "",
        };
        let told = ["1", "-1", "1.0", "1e3", "\"1\"", "true", "null", "[1]", "{}"].map(of);
        assert_eq!(told, ["int", "int", "float", "float", "str", "", "", "", ""]);
        let only = Union::new(vec![float(), text()]).unwrap();
        assert!(matches!(only.of_json("1"), Some(Type::Float(_))));
    }
}
