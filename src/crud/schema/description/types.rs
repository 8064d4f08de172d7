//! Types as descriptions name them, compiled.

use super::parts::{
    Choice, FormDescription, LegacyDescription, NaiveDescription, SortDescription, StoredDescription, TypeDescription,
    VariantDescription,
};
use super::{Open, nested};
use crate::ConfigError;
use crate::crud::schema::check::{self, Fault};
use crate::crud::schema::{
    Bounds, BytesForm, ChoiceSort, LegacyUuid, ListSort, Naive, Number, Tagged, Text, Type, Union, Variant, validate,
};
use crate::crud::{Decimal, Value};

pub(super) fn compile_type(kind: TypeDescription, place: &str, open: &mut Open) -> Result<Type, ConfigError> {
    Ok(match kind {
        TypeDescription::Bool {} => Type::Bool,
        TypeDescription::Int { gt, ge, lt, le, multiple_of, text } => {
            if multiple_of == Some(0) {
                return Err(ConfigError::new(format!("{place}: nothing is a multiple of 0")));
            }
            let bounds = Bounds { gt, ge, lt, le, multiple_of };
            if text { Type::IntText(bounds) } else { Type::Int(bounds) }
        }
        TypeDescription::Float { gt, ge, lt, le, multiple_of } => {
            if multiple_of == Some(0.0) {
                return Err(ConfigError::new(format!("{place}: nothing is a multiple of 0")));
            }
            Type::Float(Bounds { gt, ge, lt, le, multiple_of })
        }
        TypeDescription::Str { min_length, max_length, pattern, strip, lower, upper } => {
            let pattern = pattern.map(|text| regex::Regex::new(&text)).transpose().map_err(|error| {
                ConfigError::new(format!("{place}: the pattern cannot be used: {error}"))
                    .cure("write it without look-around and back-references")
            })?;
            Type::Str(Text { min: min_length, max: max_length, pattern, strip, lower, upper })
        }
        TypeDescription::Uuid { stored } => match stored {
            None => Type::Uuid,
            Some(LegacyDescription::Python) => Type::LegacyUuid(LegacyUuid::Python),
            Some(LegacyDescription::Java) => Type::LegacyUuid(LegacyUuid::Java),
            Some(LegacyDescription::Csharp) => Type::LegacyUuid(LegacyUuid::CSharp),
        },
        TypeDescription::ObjectId {} => Type::ObjectId,
        TypeDescription::Datetime { micro, naive } => {
            let naive = match naive {
                None => Naive::Refused,
                Some(NaiveDescription::Utc) => Naive::Utc,
            };
            if micro { Type::Micros(naive) } else { Type::DateTime(naive) }
        }
        TypeDescription::Date { gt, ge, lt, le, stored } => {
            let bounds = bounds([gt, ge, lt, le], check::date, place)?;
            match stored {
                None => Type::Date(bounds),
                Some(StoredDescription::Datetime) => Type::Midnight(bounds),
            }
        }
        TypeDescription::Time { gt, ge, lt, le } => Type::Time(bounds([gt, ge, lt, le], check::time, place)?),
        TypeDescription::Timedelta { gt, ge, lt, le } => Type::Duration(Bounds { gt, ge, lt, le, multiple_of: None }),
        TypeDescription::Decimal { gt, ge, lt, le, multiple_of, max_digits, decimal_places } => {
            let mut bounds = bounds([gt, ge, lt, le], check::decimal, place)?;
            bounds.multiple_of = bound(multiple_of, check::decimal, place)?;
            if bounds.multiple_of == Some(Decimal::default()) {
                return Err(ConfigError::new(format!("{place}: nothing is a multiple of 0")));
            }
            Type::Decimal(Number { bounds, max_digits, decimal_places })
        }
        TypeDescription::Enum { values, int } => {
            let sort = if int { ChoiceSort::IntEnum } else { ChoiceSort::Enum };
            Type::OneOf { values: choices(values, place)?, sort }
        }
        TypeDescription::Literal { values } => {
            Type::OneOf { values: choices(values, place)?, sort: ChoiceSort::Literal }
        }
        TypeDescription::Optional { of } => match compile_type(*of, place, open)? {
            nested @ Type::Optional(_) => nested,
            inner => Type::Optional(Box::new(inner)),
        },
        TypeDescription::List { items, sort, min_length, max_length } => {
            let sort = match sort {
                SortDescription::List => ListSort::List,
                SortDescription::Set => ListSort::Set,
                SortDescription::Frozenset => ListSort::FrozenSet,
                SortDescription::Tuple => ListSort::Tuple,
            };
            let item = compile_type(*items, place, open)?;
            if sort.is_set() && !item.is_scalar() {
                return Err(ConfigError::new(format!("{place}: a set holds single values only")).cure("make it a list"));
            }
            Type::List { sort, item: Box::new(item), min: min_length, max: max_length }
        }
        TypeDescription::Fixed { items } => {
            Type::Fixed(items.into_iter().map(|item| compile_type(item, place, open)).collect::<Result<_, _>>()?)
        }
        TypeDescription::Model { schema } => Type::Model(nested(*schema, open)?),
        TypeDescription::Back { reference } => Type::Model(open.back(&reference, place)?),
        TypeDescription::Dict { values, min_length, max_length } => {
            Type::Map { value: Box::new(compile_type(*values, place, open)?), min: min_length, max: max_length }
        }
        TypeDescription::Bytes { form, min_length, max_length } => {
            let form = match form {
                FormDescription::Base64url => BytesForm::UrlSafe,
                FormDescription::Base64 => BytesForm::Base64,
                FormDescription::Utf8 => BytesForm::Utf8,
                FormDescription::Hex => BytesForm::Hex,
            };
            Type::Bytes { form, min: min_length, max: max_length }
        }
        TypeDescription::Union { of } => union(of, place, open)?,
        TypeDescription::Tagged { tag, models } => {
            let variant = |VariantDescription { tags, model }| match compile_type(model, place, open)? {
                Type::Model(schema) => Ok(Variant { tags: choices(tags, place)?, schema }),
                _ => Err(ConfigError::new(format!("{place}: only models are told apart by a member"))),
            };
            let variants = models.into_iter().map(variant).collect::<Result<_, ConfigError>>()?;
            let tagged = Tagged::new(tag, variants).map_err(|what| ConfigError::new(format!("{place}: {what}")))?;
            Type::Tagged(tagged)
        }
        TypeDescription::Any {} => Type::Any,
    })
}

/// A union; null in one of the alternatives is null in the whole.
fn union(of: Vec<TypeDescription>, place: &str, open: &mut Open) -> Result<Type, ConfigError> {
    let (mut alternatives, mut nullable) = (Vec::new(), false);
    for kind in of {
        match compile_type(kind, place, open)? {
            Type::Optional(inner) => {
                nullable = true;
                alternatives.push(*inner);
            }
            kind => alternatives.push(kind),
        }
    }
    let flat = alternatives.into_iter().flat_map(|kind| match kind {
        Type::Union(union) => union.alternatives().to_vec(),
        kind => vec![kind],
    });
    let mut flat: Vec<Type> = flat.collect();
    let kind = match flat.len() {
        0 => return Err(ConfigError::new(format!("{place}: there is no type to choose from"))),
        1 => flat.remove(0),
        _ => Type::Union(Union::new(flat).map_err(|what| {
            ConfigError::new(format!("{place}: {what}")).cure(
                "use one of them, or a field for each; models can be told apart by a Literal field of theirs, which Field(discriminator=...) names",
            )
        })?),
    };
    Ok(if nullable { Type::Optional(Box::new(kind)) } else { kind })
}

/// Bounds as they are compared.
fn bounds<T>(
    bounds: [Option<String>; 4],
    read: fn(&str) -> Result<T, Fault>,
    place: &str,
) -> Result<Bounds<T>, ConfigError> {
    let [gt, ge, lt, le] = bounds.map(|text| bound(text, read, place));
    Ok(Bounds { gt: gt?, ge: ge?, lt: lt?, le: le?, multiple_of: None })
}

fn bound<T>(text: Option<String>, read: fn(&str) -> Result<T, Fault>, place: &str) -> Result<Option<T>, ConfigError> {
    text.map(|text| read(&text))
        .transpose()
        .map_err(|fault| ConfigError::new(format!("{place}: a bound {}", fault.detail)))
}

fn choices(values: Vec<Choice>, place: &str) -> Result<Vec<Value<'static>>, ConfigError> {
    if values.is_empty() {
        return Err(ConfigError::new(format!("{place}: there is nothing to choose from")));
    }
    let value = |choice| match choice {
        Choice::Bool(x) => Value::Bool(x),
        Choice::Int(x) => Value::Int(x),
        Choice::Str(x) => Value::Str(x.into()),
    };
    Ok(values.into_iter().map(value).collect())
}

/// A default, put through the same checks as what clients send.
pub(super) fn constant(kind: &Type, raw: &serde_json::Value, place: &str) -> Result<Value<'static>, ConfigError> {
    validate::value(kind, raw.to_string().as_bytes()).map(Value::into_owned).map_err(|rejection| {
        ConfigError::new(format!("{place}: the default does not fit: {rejection}"))
            .cure("make the default obey the field's own rules")
    })
}
