//! Queries to MongoDB's filters. Values only ever stand behind an operator, as `{f: {$eq: v}}`, so none is taken for one.

use bson::{Bson, Document, doc};

use super::encode;
use crate::crud::schema::{Type, check};
use crate::crud::store::{StoreError, names};
use crate::crud::{Comparison, Expr, Path, Pattern, Query, Schema, Sort, Value};

/// What holds for no row.
fn nothing() -> Document {
    doc! { "$nor": [{}] }
}

/// A predicate. MongoDB's are two-valued like ours, and take a missing field for a null one.
pub(super) fn filter(schema: &Schema, expr: &Expr) -> Result<Document, StoreError> {
    let all = |parts: &[Expr]| parts.iter().map(|part| filter(schema, part)).collect::<Result<Vec<_>, _>>();
    Ok(match expr {
        Expr::True => Document::new(),
        Expr::And(parts) if parts.is_empty() => Document::new(),
        Expr::And(parts) => doc! { "$and": all(parts)? },
        Expr::Or(parts) if parts.is_empty() => nothing(),
        Expr::Or(parts) => doc! { "$or": all(parts)? },
        Expr::Not(inner) => doc! { "$nor": [filter(schema, inner)?] },
        Expr::Compare { field, op, value } => {
            let op = match op {
                Comparison::Eq => "$eq",
                Comparison::Ne => "$ne",
                Comparison::Gt => "$gt",
                Comparison::Ge => "$gte",
                Comparison::Lt => "$lt",
                Comparison::Le => "$lte",
            };
            compare(schema, field, op, value)?
        }
        Expr::In { field, values } => {
            let values = choices(names::scalar(schema, field)?, values);
            doc! { encode::dotted(schema, field)?: { "$in": values } }
        }
        Expr::IsNull { field } => {
            let key = encode::dotted(schema, field)?;
            match names::kind(schema, field)? {
                // `$eq: null` would hold for a list with a null in it.
                Type::List { .. } | Type::Fixed(_) => doc! { "$nor": [{ key: { "$type": "array" } }] },
                Type::Any | Type::Union(_) => {
                    doc! { "$and": [{ key.clone(): { "$eq": Bson::Null } }, { "$nor": [{ key: { "$type": "array" } }] }] }
                }
                _ => doc! { key: { "$eq": Bson::Null } },
            }
        }
        Expr::Like { field, pattern } => {
            names::scalar(schema, field)?;
            let like = doc! { encode::dotted(schema, field)?: { "$regex": regex(pattern) } };
            match names::folded_key(schema, field, pattern) {
                // Says nothing new, but lets the server look into the index.
                Some(key) => doc! { "$and": [{ encode::folded_name(schema, field.first()): { "$eq": key } }, like] },
                None => like,
            }
        }
        Expr::Has { field, values } => {
            let values = choices(names::item(schema, field)?, values);
            // Without `$elemMatch` it would hold for a value that is no list, too.
            doc! { encode::dotted(schema, field)?: { "$elemMatch": { "$in": values } } }
        }
        Expr::HasKey { field, key } => {
            names::map(schema, field)?;
            // Anything else would be more than a name, and is in no dict.
            match check::name(key) {
                Ok(()) => doc! { format!("{}.{key}", encode::dotted(schema, field)?): { "$exists": true } },
                Err(_) => nothing(),
            }
        }
        Expr::Search { words } => super::search::matching(words),
        Expr::Caller(never) => match *never {},
        Expr::Length { field, op, length } => {
            names::item(schema, field)?;
            length_is(&encode::dotted(schema, field)?, *op, *length)
        }
    })
}

fn choices(kind: &Type, values: &[Value<'_>]) -> Vec<Bson> {
    values.iter().map(|value| encode::bson(kind, value)).collect()
}

fn regex(pattern: &Pattern) -> Bson {
    // PCRE has no end of text that Python's expressions know too, so: nothing follows.
    let source = format!("^{}(?![\\s\\S])", pattern.source());
    let options = if pattern.folds() { "is" } else { "s" };
    match (bson::raw::CString::try_from(source), bson::raw::CString::try_from(options)) {
        (Ok(pattern), Ok(options)) => Bson::RegularExpression(bson::Regex { pattern, options }),
        // A NUL is written in an escape, so there is none.
        _ => Bson::Null,
    }
}

/// `$size` only knows equality; that there are more than n items is that there is one with the number n.
fn length_is(key: &str, op: Comparison, length: u64) -> Document {
    let more_than = |length: u64| doc! { format!("{key}.{length}"): { "$exists": true } };
    let is_list = || doc! { key: { "$type": "array" } };
    let at_least = |length: u64| match length.checked_sub(1) {
        Some(before) => more_than(before),
        None => is_list(),
    };
    let equal = || doc! { key: { "$size": i64::try_from(length).unwrap_or(i64::MAX) } };
    match op {
        Comparison::Eq => equal(),
        Comparison::Ne => doc! { "$nor": [equal()] },
        Comparison::Gt => more_than(length),
        Comparison::Ge => at_least(length),
        Comparison::Lt => doc! { "$and": [is_list(), { "$nor": [at_least(length)] }] },
        Comparison::Le => doc! { "$and": [is_list(), { "$nor": [more_than(length)] }] },
    }
}

fn compare(schema: &Schema, field: &Path, op: &str, value: &Value<'_>) -> Result<Document, StoreError> {
    let kind = names::scalar(schema, field)?;
    Ok(doc! { encode::dotted(schema, field)?: { op: encode::bson(kind, value) } })
}

/// Filter and order of a page.
pub(super) fn page(schema: &Schema, query: &Query, id: usize) -> Result<(Document, Document, Vec<Sort>), StoreError> {
    let keys = names::keys(schema, query, id)?;
    let mut rows = filter(schema, &query.filter)?;
    if let Some(boundary) = &query.after {
        let after = after(schema, &keys, boundary)?;
        rows = if rows.is_empty() {
            after
        } else {
            doc! { "$and": [rows, after] }
        };
    }
    let direction = |key: &Sort| if key.descending { -1 } else { 1 };
    let sort =
        keys.iter().map(|key| (encode::key(schema, key.field).to_owned(), Bson::Int32(direction(key)))).collect();
    Ok((rows, sort, keys))
}

/// Only what comes after a boundary.
fn after(schema: &Schema, keys: &[Sort], boundary: &[Value<'_>]) -> Result<Document, StoreError> {
    let mut arms = Vec::with_capacity(keys.len());
    let mut equal = Vec::with_capacity(keys.len());
    for (key, value) in keys.iter().zip(boundary) {
        if let Some(beyond) = beyond(schema, *key, value)? {
            let mut parts = equal.clone();
            parts.push(beyond);
            arms.push(doc! { "$and": parts });
        }
        equal.push(compare(schema, &key.field.into(), "$eq", value)?);
    }
    Ok(if arms.is_empty() {
        nothing()
    } else {
        doc! { "$or": arms }
    })
}

/// One key beyond its boundary; null is the least value. Comparisons of MongoDB never cross types, so null needs its own.
fn beyond(schema: &Schema, key: Sort, value: &Value<'_>) -> Result<Option<Document>, StoreError> {
    let field = Path::from(key.field);
    Ok(Some(match (key.descending, value) {
        (false, Value::Null) => compare(schema, &field, "$ne", value)?,
        (true, Value::Null) => return Ok(None),
        (false, value) => compare(schema, &field, "$gt", value)?,
        (true, value) => {
            let less = compare(schema, &field, "$lt", value)?;
            if schema.fields[key.field].kind.inner().1 {
                doc! { "$or": [less, compare(schema, &field, "$eq", &Value::Null)?] }
            } else {
                less
            }
        }
    }))
}
