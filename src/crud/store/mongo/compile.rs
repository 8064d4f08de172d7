//! Queries to MongoDB's filters. Values only ever stand behind an operator, as `{f: {$eq: v}}`, so none is taken for one.

use bson::{Bson, Document, doc};

use super::encode;
use crate::crud::schema::Type;
use crate::crud::store::{StoreError, names};
use crate::crud::{Comparison, Expr, Query, Schema, Sort, Value};

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
            compare(schema, *field, op, value)?
        }
        Expr::In { field, values } => {
            let kind = &names::scalar(schema, *field)?.kind;
            let values: Vec<_> = values.iter().map(|value| encode::bson(kind, value)).collect();
            doc! { encode::key(schema, *field): { "$in": values } }
        }
        Expr::IsNull { field } => {
            let Some(kind) = schema.fields.get(*field).map(|field| field.kind.inner().0) else {
                return Err(StoreError::Internal(format!("no field {field} in {}", schema.name).into()));
            };
            let key = encode::key(schema, *field);
            match kind {
                // `$eq: null` would hold for a list with a null in it.
                Type::List { .. } => doc! { "$nor": [{ key: { "$type": "array" } }] },
                _ => doc! { key: { "$eq": Bson::Null } },
            }
        }
    })
}

fn compare(schema: &Schema, field: usize, op: &str, value: &Value<'_>) -> Result<Document, StoreError> {
    let kind = &names::scalar(schema, field)?.kind;
    Ok(doc! { encode::key(schema, field): { op: encode::bson(kind, value) } })
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
        equal.push(compare(schema, key.field, "$eq", value)?);
    }
    Ok(if arms.is_empty() {
        nothing()
    } else {
        doc! { "$or": arms }
    })
}

/// One key beyond its boundary; null is the least value. Comparisons of MongoDB never cross types, so null needs its own.
fn beyond(schema: &Schema, key: Sort, value: &Value<'_>) -> Result<Option<Document>, StoreError> {
    Ok(Some(match (key.descending, value) {
        (false, Value::Null) => compare(schema, key.field, "$ne", value)?,
        (true, Value::Null) => return Ok(None),
        (false, value) => compare(schema, key.field, "$gt", value)?,
        (true, value) => {
            let less = compare(schema, key.field, "$lt", value)?;
            if schema.fields[key.field].kind.inner().1 {
                doc! { "$or": [less, compare(schema, key.field, "$eq", &Value::Null)?] }
            } else {
                less
            }
        }
    }))
}
