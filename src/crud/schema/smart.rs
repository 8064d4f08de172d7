//! Which of its types a value of a union is of where several take it: pydantic's smart mode.
//!
//! The type of which the value is as it stands comes first, then one that is written so, then one that it can be made into; of
//! several that are equal, the one that was declared first. Arrays and objects are of one type only, and are not asked here.

use super::context::Context;
use super::read::{ValueSeed, read_part};
use super::{ChoiceSort, Type, Union, lax};
use crate::crud::{Coerce, Value};
use crate::service::{Limit, Violation};

/// How well a value fits a type that takes it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    Lax,
    Strict,
    Exact,
}

/// How well what stands there fits a type, if the type takes it.
fn fit(kind: &Type, json: &str) -> Fit {
    let is_text = json.starts_with('"');
    let is_whole = !json.contains(['.', 'e', 'E']);
    let is_number = json.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    match kind {
        Type::OneOf { sort: ChoiceSort::Literal, .. } => Fit::Exact,
        Type::OneOf { .. } => Fit::Lax,
        Type::Bool if json.starts_with(['t', 'f']) => Fit::Exact,
        Type::Int(_) | Type::IntText(_) if is_number && is_whole => Fit::Exact,
        Type::Float(_) if is_number => {
            if is_whole {
                Fit::Strict
            } else {
                Fit::Exact
            }
        }
        Type::Uuid | Type::LegacyUuid(_) => Fit::Exact,
        Type::ObjectId if is_text => Fit::Strict,
        Type::Decimal(_) => Fit::Strict,
        // A date may be the midnight of a time.
        Type::Date(_) | Type::Midnight(_)
            if is_text && !serde_json::from_str(json).is_ok_and(|text: String| lax::is_date(&text)) =>
        {
            Fit::Lax
        }
        Type::Str(_)
        | Type::Bytes { .. }
        | Type::DateTime(_)
        | Type::Micros(_)
        | Type::Date(_)
        | Type::Midnight(_)
        | Type::Time(_)
        | Type::Duration(_)
            if is_text =>
        {
            Fit::Strict
        }
        _ => Fit::Lax,
    }
}

/// Whether pydantic would have taken what was refused so: stores hold less than Python does.
fn is_narrower(violation: &Violation) -> bool {
    match &*violation.code {
        "decimal_max_digits" => violation.limit == Some(Limit::Int(34)),
        code => matches!(
            code,
            "int_out_of_range"
                | "finite_number"
                | "timezone_aware"
                | "timezone_naive"
                | "datetime_object_invalid"
                | "decimal_out_of_range"
        ),
    }
}

impl<'s> ValueSeed<'_, 's> {
    /// Reads a single value of a union, or notes what is wrong with it for each of the types.
    #[cold]
    #[inline(never)]
    pub(super) fn smart<'a>(&self, union: &'s Union, json: &'a str) -> serde_json::Result<Value<'a>> {
        let mut best: Option<(Fit, Result<Value<'a>, Vec<Violation>>)> = None;
        let mut refused = Vec::new();
        for kind in union.alternatives() {
            let cx = Context::of_client(Coerce::Pydantic);
            let value = read_part(ValueSeed { cx: &cx, kind }, json)?;
            let wrong = cx.into_violations();
            let taken = if wrong.is_empty() {
                Ok(value)
            } else if wrong.iter().any(is_narrower) {
                Err(wrong)
            } else {
                refused.extend(wrong);
                continue;
            };
            let fit = fit(kind, json);
            if best.as_ref().is_none_or(|(own, _)| *own < fit) {
                best = Some((fit, taken));
            }
        }
        let wrong = match best {
            Some((_, Ok(value))) => return Ok(value),
            Some((_, Err(wrong))) => wrong,
            None => refused,
        };
        self.cx.repeat(wrong);
        Ok(Value::Null)
    }
}
