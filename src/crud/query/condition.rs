//! One condition: `gte.18`, `not.in.(a,b)`, `has.x`. An operator is recognised from a fixed list, and nothing else is
//! structure: a value is never more than a value.

use std::borrow::Cow;

use super::{Comparison, Expr, Path, Pattern};
use crate::crud::Value;
use crate::crud::schema::Type;
use crate::crud::schema::check::{self, Fault};
use crate::service::Limit;

/// Values of one `in`.
const MOST_CHOICES: usize = 500;
/// Bytes of a value; an `in` may have as many for each of its choices as the request line allows.
const LONGEST_VALUE: usize = 4096;
/// Items that a list is asked for having.
const LONGEST_LIST: i64 = 1_000_000;

/// What `text` asks of the value at `field`, which is of type `kind`.
pub(super) fn condition(field: Path, kind: &Type, text: &str) -> Result<Expr, Fault> {
    match text.strip_prefix("not.") {
        Some(rest) => Ok(Expr::Not(Box::new(positive(field, kind, rest)?))),
        None => positive(field, kind, text),
    }
}

fn positive(field: Path, kind: &Type, text: &str) -> Result<Expr, Fault> {
    let (operator, rest) = text.split_once('.').unwrap_or(("", text));
    if operator == "is" {
        return match rest {
            "null" => Ok(Expr::IsNull { field }),
            "notnull" => Ok(Expr::Not(Box::new(Expr::IsNull { field }))),
            _ => Err(Fault::new("operator", "after is. must come null or notnull")),
        };
    }
    match kind.inner().0 {
        Type::List { item, .. } => list(field, item, operator, rest),
        Type::Model(_) => {
            Err(Fault::new("operator", "is a model: compare one of its fields, as home.city=eq.Paris, or use is"))
        }
        Type::Map { .. } if operator == "haskey" => {
            check_length(rest)?;
            Ok(Expr::HasKey { field, key: rest.to_owned() })
        }
        Type::Map { .. } => Err(Fault::new("operator", "is a dict; use haskey or is, as haskey.x")),
        kind if !kind.is_scalar() => Err(Fault::new("operator", "cannot be compared; use is, as is.null")),
        kind => scalar(field, kind, text, operator, rest),
    }
}

fn scalar(field: Path, kind: &Type, text: &str, operator: &str, rest: &str) -> Result<Expr, Fault> {
    if let Some(op) = comparison(operator) {
        if !matches!(op, Comparison::Eq | Comparison::Ne) {
            ordered(kind)?;
        }
        return Ok(Expr::Compare { field, op, value: value(kind, rest)? });
    }
    match operator {
        "in" => Ok(Expr::In { field, values: values(kind, operator, rest)? }),
        "nin" => Ok(Expr::Not(Box::new(Expr::In { field, values: values(kind, operator, rest)? }))),
        "between" => {
            ordered(kind)?;
            let Ok([from, to]) = <[Value<'static>; 2]>::try_from(values(kind, operator, rest)?) else {
                return Err(Fault::new("operator", "after between. must come two values, as between.(1,5)"));
            };
            let compare = |op, value| Expr::Compare { field: field.clone(), op, value };
            Ok(Expr::And(vec![compare(Comparison::Ge, from), compare(Comparison::Le, to)]))
        }
        "like" | "ilike" | "startswith" | "contains" => like(field, kind, operator, rest),
        _ => Ok(Expr::Compare { field, op: Comparison::Eq, value: value(kind, text)? }),
    }
}

fn comparison(operator: &str) -> Option<Comparison> {
    Some(match operator {
        "eq" => Comparison::Eq,
        "ne" => Comparison::Ne,
        "gt" => Comparison::Gt,
        "gte" => Comparison::Ge,
        "lt" => Comparison::Lt,
        "lte" => Comparison::Le,
        _ => return None,
    })
}

fn ordered(kind: &Type) -> Result<(), Fault> {
    if matches!(kind, Type::Bool | Type::OneOf { .. }) {
        return Err(Fault::new("operator", "has no order; use eq, ne, in or nin"));
    }
    Ok(())
}

fn like(field: Path, kind: &Type, operator: &str, text: &str) -> Result<Expr, Fault> {
    let Type::Str(rules) = kind else {
        return Err(Fault::new("operator", format!("is no text, so {operator} cannot be asked of it")));
    };
    check_length(text)?;
    let text = check::letters(Cow::Borrowed(text), rules);
    let pattern = match operator {
        "startswith" => return Ok(prefix(field, &text)),
        "contains" => Pattern::containing(text.into_owned()),
        _ => match text.split('*').collect::<Vec<_>>()[..] {
            // Both can be looked up in an index.
            [whole] if operator == "like" => {
                let value = Value::Str(whole.to_owned().into());
                return Ok(Expr::Compare { field, op: Comparison::Eq, value });
            }
            [start, ""] if operator == "like" => return Ok(prefix(field, start)),
            ref pieces => Pattern::new(pieces.iter().map(|piece| (*piece).to_owned()), operator == "ilike"),
        },
    };
    Ok(Expr::Like { field, pattern })
}

/// A text that begins with `start`: a range of the order of texts.
fn prefix(field: Path, start: &str) -> Expr {
    let compare = |op, text: String| Expr::Compare { field: field.clone(), op, value: Value::Str(text.into()) };
    let from = compare(Comparison::Ge, start.to_owned());
    match after_prefix(start) {
        Some(end) => Expr::And(vec![from, compare(Comparison::Lt, end)]),
        None => from,
    }
}

/// The least text that is greater than all that begin with `start`; UTF-8 bytes are in the order of code points.
fn after_prefix(start: &str) -> Option<String> {
    let mut end = start.to_owned();
    while let Some(last) = end.pop() {
        let next = match last {
            // What lies between are halves of surrogate pairs.
            '\u{D7FF}' => Some('\u{E000}'),
            other => char::from_u32(u32::from(other) + 1),
        };
        if let Some(next) = next {
            end.push(next);
            return Some(end);
        }
    }
    None
}

fn list(field: Path, item: &Type, operator: &str, rest: &str) -> Result<Expr, Fault> {
    let item = || match item.inner().0 {
        kind if kind.is_scalar() => Ok(kind),
        _ => Err(Fault::new("operator", "is a list of lists, models or dicts, of which only len and is can be asked")),
    };
    match operator {
        "has" => Ok(Expr::Has { field, values: vec![value(item()?, rest)?] }),
        "hasany" => Ok(Expr::Has { field, values: values(item()?, operator, rest)? }),
        "hasall" => {
            let has = |value| Expr::Has { field: field.clone(), values: vec![value] };
            Ok(Expr::And(values(item()?, operator, rest)?.into_iter().map(has).collect()))
        }
        "len" => {
            let (operator, number) = rest.split_once('.').unwrap_or(("eq", rest));
            let Some(op) = comparison(operator) else {
                return Err(Fault::new("operator", "after len. must come a number, or as in len.gte.2"));
            };
            let length = match check::int_text(number)? {
                number @ 0..=LONGEST_LIST => number.unsigned_abs(),
                _ => return Err(Fault::new("operator", format!("a length must be from 0 to {LONGEST_LIST}"))),
            };
            Ok(Expr::Length { field, op, length })
        }
        _ => Err(Fault::new("operator", "is a list; use has, hasany, hasall, len or is, as has.x")),
    }
}

/// The values in brackets after an operator.
fn values(kind: &Type, operator: &str, text: &str) -> Result<Vec<Value<'static>>, Fault> {
    choices(operator, text)?.iter().map(|text| value(kind, text)).collect()
}

fn check_length(text: &str) -> Result<(), Fault> {
    if text.len() > LONGEST_VALUE {
        return Err(Fault::new("string_too_long", format!("must have at most {LONGEST_VALUE} bytes"))
            .limit(Limit::Int(LONGEST_VALUE as i64)));
    }
    Ok(())
}

/// A value of type `kind` from its text.
pub(crate) fn value(kind: &Type, text: &str) -> Result<Value<'static>, Fault> {
    check_length(text)?;
    match kind {
        Type::Bool => match text {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            _ => Err(Fault::new("bool_parsing", "must be true or false")),
        },
        Type::Int(_) | Type::IntText(_) => check::int_text(text).map(Value::Int),
        Type::Float(_) => match text.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(Value::Float(value)),
            _ => Err(Fault::new("float_parsing", "must be a number")),
        },
        Type::Str(rules) => Ok(Value::Str(check::normalise(Cow::Borrowed(text), rules).into_owned().into())),
        Type::Uuid | Type::LegacyUuid(_) => check::uuid(text).map(Value::Uuid),
        Type::ObjectId => check::object_id(text).map(|()| Value::Str(text.to_owned().into())),
        // A plus sign that was not escaped arrives as a space: 12:00:00+02:00.
        Type::DateTime(naive) | Type::Micros(naive) => check::datetime(text, *naive)
            .or_else(|fault| match text.len().checked_sub(6).filter(|at| text.as_bytes()[*at] == b' ') {
                Some(at) => check::datetime(&format!("{}+{}", &text[..at], &text[at + 1..]), *naive),
                None => Err(fault),
            })
            .map(|time| kind.instant(time)),
        Type::Date(_) | Type::Midnight(_) => check::date(text).map(|date| Value::Str(String::from(date).into())),
        Type::Time(_) => check::time(text).map(|time| Value::Str(String::from(time).into())),
        Type::Duration(_) => check::duration(text).map(Value::Duration),
        Type::Decimal(_) => check::decimal(text).map(Value::Decimal),
        Type::OneOf { values, sort } => {
            let is = |own: &&Value<'static>| match own {
                Value::Str(own) => own == text,
                Value::Int(own) => text.parse() == Ok(*own),
                Value::Bool(own) => text.parse() == Ok(*own),
                _ => false,
            };
            values.iter().find(is).cloned().ok_or_else(|| check::not_a_choice(values, *sort))
        }
        Type::Optional(inner) => value(inner, text),
        Type::List { .. }
        | Type::Fixed(_)
        | Type::Model(_)
        | Type::Map { .. }
        | Type::Bytes { .. }
        | Type::Union(_)
        | Type::Tagged(_)
        | Type::Any => Err(Fault::new("not_scalar", "only single values can be filtered by")),
    }
}

/// The texts in `(a,"b,c",d)`; in quotes a backslash takes the next character as it is.
pub(super) fn choices(operator: &str, text: &str) -> Result<Vec<String>, Fault> {
    let malformed =
        || Fault::new("operator", format!("after {operator}. must come a list in brackets, as {operator}.(a,\"b,c\")"));
    let inner = text.strip_prefix('(').and_then(|text| text.strip_suffix(')')).ok_or_else(malformed)?;
    let mut found = Vec::new();
    if inner.is_empty() {
        return Ok(found);
    }
    let mut rest = inner.chars().peekable();
    loop {
        let mut item = String::new();
        if rest.next_if_eq(&'"').is_some() {
            loop {
                match rest.next() {
                    Some('"') => break,
                    Some('\\') => item.push(rest.next().ok_or_else(malformed)?),
                    Some(other) => item.push(other),
                    None => return Err(malformed()),
                }
            }
        } else {
            while let Some(other) = rest.next_if(|next| *next != ',') {
                item.push(other);
            }
        }
        if found.len() == MOST_CHOICES {
            return Err(Fault::new("too_long", format!("must have at most {MOST_CHOICES} choices"))
                .limit(Limit::Int(MOST_CHOICES as i64)));
        }
        found.push(item);
        match rest.next() {
            Some(',') => {}
            Some(_) => return Err(malformed()),
            None => return Ok(found),
        }
    }
}
