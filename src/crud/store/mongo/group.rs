//! Groups of rows as an aggregation.

use bson::{Bson, Document, RawDocument, doc};

use super::{compile, decode, encode};
use crate::crud::query::{Aggregate, Dimension, Function, Grouping, Part};
use crate::crud::schema::{Bounds, Number, Text, Type};
use crate::crud::store::{StoreError, names, rounded};
use crate::crud::{Decimal, Path, Schema, Value};

/// `$home.city`, as expressions name what is in a document.
fn named(schema: &Schema, path: &Path) -> Result<String, StoreError> {
    Ok(format!("${}", encode::dotted(schema, path)?))
}

fn dimension(schema: &Schema, by: &Dimension) -> Result<Bson, StoreError> {
    // What is missing and what is null are one group.
    let value = doc! { "$ifNull": [named(schema, &by.path)?, Bson::Null] };
    let Some(part) = by.part else { return Ok(value.into()) };
    Ok(match names::scalar(schema, &by.path)? {
        kind @ (Type::DateTime(_) | Type::Micros(_) | Type::Midnight(_)) => {
            let format = match part {
                Part::Year => "%Y",
                Part::Month => "%Y-%m",
                Part::Day => "%Y-%m-%d",
                Part::Hour => "%Y-%m-%dT%H",
            };
            let name = named(schema, &by.path)?;
            let date = if matches!(kind, Type::Micros(_)) { date_of(&name) } else { name.into() };
            doc! { "$dateToString": { "date": date, "format": format } }.into()
        }
        _ => {
            let length = i32::try_from(part.length()).unwrap_or(i32::MAX);
            let text = doc! { "$substrBytes": [named(schema, &by.path)?, 0, length] };
            doc! { "$cond": [{ "$eq": [value, Bson::Null] }, Bson::Null, text] }.into()
        }
    })
}

/// The millisecond in which a time of microseconds is. Doubles do not hold all of these, so they are divided without a rest.
fn date_of(name: &str) -> Bson {
    let rest = doc! { "$mod": [{ "$add": [{ "$mod": [name, 1000_i64] }, 1000_i64] }, 1000_i64] };
    doc! { "$toDate": { "$toLong": { "$divide": [{ "$subtract": [name, rest] }, 1000_i64] } } }.into()
}

fn aggregate(schema: &Schema, aggregate: &Aggregate) -> Result<Document, StoreError> {
    let Aggregate::Of(function, path) = aggregate else { return Ok(doc! { "$sum": 1_i64 }) };
    let value = Bson::String(named(schema, path)?);
    Ok(match (function, names::scalar(schema, path)?) {
        // As decimals ints add up exactly, and as doubles whatever their sum.
        (Function::Sum, Type::Int(_) | Type::IntText(_)) => doc! { "$sum": { "$toDecimal": value } },
        (Function::Avg, Type::Int(_) | Type::IntText(_)) => doc! { "$avg": { "$toDouble": value } },
        (Function::Sum, _) => doc! { "$sum": value },
        (Function::Avg, _) => doc! { "$avg": value },
        (Function::Min, _) => doc! { "$min": value },
        (Function::Max, _) => doc! { "$max": value },
    })
}

/// The stages that compute `grouping`, and one group more than it wants.
pub(super) fn stages(schema: &Schema, grouping: &Grouping) -> Result<Vec<Document>, StoreError> {
    let mut key = Document::new();
    for (index, by) in grouping.by.iter().enumerate() {
        key.insert(format!("c{index}"), dimension(schema, by)?);
    }
    let mut group = doc! { "_id": key };
    for (index, own) in grouping.aggregates.iter().enumerate() {
        group.insert(format!("c{}", grouping.by.len() + index), aggregate(schema, own)?);
    }
    let mut stages = vec![doc! { "$match": compile::filter(schema, &grouping.filter)? }, doc! { "$group": group }];
    let mut sort = Document::new();
    for key in &grouping.order {
        let place = if key.column < grouping.by.len() { "_id.c" } else { "c" };
        sort.insert(format!("{place}{}", key.column), if key.descending { -1 } else { 1 });
    }
    if !sort.is_empty() {
        stages.push(doc! { "$sort": sort });
    }
    stages.push(doc! { "$limit": i64::try_from(grouping.limit).unwrap_or(i64::MAX - 1) + 1 });
    Ok(stages)
}

/// The values of a group, typed again.
pub(super) fn read(
    schema: &Schema,
    grouping: &Grouping,
    document: &RawDocument,
) -> Result<Vec<Value<'static>>, StoreError> {
    let broken = |error: bson::error::Error| StoreError::Internal(error.into());
    let mut values = Vec::with_capacity(grouping.by.len() + grouping.aggregates.len());
    let key = match document.get("_id").map_err(broken)? {
        Some(bson::RawBsonRef::Document(key)) => key,
        _ => return Err(StoreError::Internal("a group without a key".into())),
    };
    for (index, by) in grouping.by.iter().enumerate() {
        let kind = names::scalar(schema, &by.path)?;
        let text = Type::Str(Text::default());
        let kind = if by.part.is_some() { &text } else { kind };
        values.push(value(&by.name(schema), kind, key, &format!("c{index}"))?);
    }
    for (index, own) in grouping.aggregates.iter().enumerate() {
        let place = format!("c{}", grouping.by.len() + index);
        let name = own.name(schema);
        values.push(match own {
            Aggregate::Count => value(&name, &Type::Int(Bounds::default()), document, &place)?,
            Aggregate::Of(function, path) => match (function, names::scalar(schema, path)?) {
                (Function::Sum, Type::Int(_) | Type::IntText(_)) => {
                    value(&name, &Type::Decimal(Number::default()), document, &place)?
                }
                (Function::Avg, Type::Int(_) | Type::IntText(_)) | (Function::Sum | Function::Avg, Type::Float(_)) => {
                    match value(&name, &Type::Float(Bounds::default()), document, &place)? {
                        Value::Float(x) => Value::Float(rounded(x)),
                        other => other,
                    }
                }
                (_, kind) => value(&name, kind, document, &place)?,
            },
        });
    }
    Ok(values)
}

/// What is computed where no row holds: all rows are one group, and MongoDB tells of none.
pub(super) fn nothing(schema: &Schema, grouping: &Grouping) -> Result<Vec<Value<'static>>, StoreError> {
    let of = |own: &Aggregate| {
        Ok(match own {
            Aggregate::Count => Value::Int(0),
            Aggregate::Of(Function::Sum, path) => match names::scalar(schema, path)? {
                Type::Float(_) => Value::Float(0.0),
                _ => Value::Decimal(Decimal::default()),
            },
            Aggregate::Of(..) => Value::Null,
        })
    };
    grouping.aggregates.iter().map(of).collect()
}

fn value(name: &str, kind: &Type, document: &RawDocument, key: &str) -> Result<Value<'static>, StoreError> {
    match document.get(key).map_err(|error| StoreError::Internal(error.into()))? {
        Some(value) => decode::value(name, kind, value),
        None => Ok(Value::Null),
    }
}
