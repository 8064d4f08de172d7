//! A predicate asked of a row that is at hand, with the answer that the stores would give.

use std::cmp::Ordering;

use super::{Comparison, Expr, Path};
use crate::crud::Value;

impl Expr {
    /// Whether it holds for a row: one value for each field, in the schema's order.
    pub fn holds(&self, row: &[Value<'_>]) -> bool {
        match self {
            Self::True => true,
            Self::And(parts) => parts.iter().all(|part| part.holds(row)),
            Self::Or(parts) => parts.iter().any(|part| part.holds(row)),
            Self::Not(inner) => !inner.holds(row),
            Self::Compare { field, op, value } => compare(at(row, field), *op, value),
            Self::In { field, values } => values.iter().any(|value| compare(at(row, field), Comparison::Eq, value)),
            Self::IsNull { field } => matches!(at(row, field), Value::Null),
            Self::Like { field, pattern } => matches!(at(row, field), Value::Str(text) if pattern.matches(text)),
            Self::Has { field, values } => match at(row, field) {
                Value::List(items) => {
                    items.iter().any(|item| values.iter().any(|value| compare(item, Comparison::Eq, value)))
                }
                _ => false,
            },
            Self::HasKey { field, key } => {
                matches!(at(row, field), Value::Map(entries) if entries.iter().any(|(name, _)| name == key))
            }
            // What is watched is not searched.
            Self::Search { .. } => false,
            Self::Length { field, op, length } => match at(row, field) {
                Value::List(items) => op.admits((items.len() as u64).cmp(length)),
                _ => *op == Comparison::Ne,
            },
            Self::Caller(never) => match *never {},
        }
    }
}

impl Comparison {
    /// Whether two values in this order fulfil it.
    const fn admits(self, order: Ordering) -> bool {
        match self {
            Self::Eq => order.is_eq(),
            Self::Ne => order.is_ne(),
            Self::Gt => order.is_gt(),
            Self::Ge => order.is_ge(),
            Self::Lt => order.is_lt(),
            Self::Le => order.is_le(),
        }
    }
}

/// The value at a path; what lies in a model that is null is null.
fn at<'r>(row: &'r [Value<'r>], path: &Path) -> &'r Value<'r> {
    let mut value = row.get(path.first()).unwrap_or(&Value::Null);
    for index in path.below() {
        value = match value {
            Value::Object(fields) => fields.get(*index).unwrap_or(&Value::Null),
            _ => &Value::Null,
        };
    }
    value
}

/// A null is only ever not equal.
fn compare(left: &Value<'_>, op: Comparison, right: &Value<'_>) -> bool {
    match order(left, right) {
        Some(order) => op.admits(order),
        None => op == Comparison::Ne,
    }
}

fn order(left: &Value<'_>, right: &Value<'_>) -> Option<Ordering> {
    match (left, right) {
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        (Value::Int(left), Value::Int(right))
        | (Value::DateTime(left), Value::DateTime(right))
        | (Value::Micros(left), Value::Micros(right))
        | (Value::Duration(left), Value::Duration(right)) => Some(left.cmp(right)),
        (Value::Decimal(left), Value::Decimal(right)) => Some(left.cmp(right)),
        (Value::Float(left), Value::Float(right)) => left.partial_cmp(right),
        (Value::Str(left), Value::Str(right)) => Some(left.cmp(right)),
        (Value::Uuid(left), Value::Uuid(right)) => Some(left.cmp(right)),
        _ => None,
    }
}
