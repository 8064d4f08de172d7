//! Rules for one caller: claims are put in, and what is not known is not allowed.

use super::admission::{Admission, Pin};
use super::rule::{Operand, Rule, kind};
use crate::crud::query::{Expr, Path, text_value};
use crate::crud::schema::{DefaultValue, Type, validate};
use crate::crud::{Schema, Value, json};
use crate::service::Claims;

/// Who asks for rows of a schema.
#[derive(Clone, Copy)]
pub(in crate::crud) struct Caller<'a> {
    pub(in crate::crud) schema: &'a Schema,
    pub(in crate::crud) claims: Option<&'a Claims>,
}

impl Caller<'_> {
    /// The rule for this caller; `unknown` is what a comparison with what is not known counts as.
    pub(super) fn resolve(self, rule: &Rule, unknown: bool) -> Expr {
        let constant = || if unknown { Expr::True } else { Expr::never() };
        match rule {
            Expr::True => Expr::True,
            Expr::And(parts) => all_of(parts.iter().map(|part| self.resolve(part, unknown)).collect()),
            Expr::Or(parts) => any_of(parts.iter().map(|part| self.resolve(part, unknown)).collect()),
            // What is not allowed must not become so by being negated.
            Expr::Not(inner) => Expr::Not(Box::new(self.resolve(inner, !unknown))),
            Expr::Compare { field, op, value } => match self.value(field, value) {
                Some(value) => Expr::Compare { field: field.clone(), op: *op, value },
                None => constant(),
            },
            Expr::In { field, values } => match self.values(kind(self.schema, field), values, unknown) {
                Some(values) => Expr::In { field: field.clone(), values },
                None => constant(),
            },
            Expr::Has { field, values } => {
                let item = match kind(self.schema, field) {
                    Some(Type::List { item, .. }) => Some(item.inner().0),
                    _ => None,
                };
                match self.values(item, values, unknown) {
                    Some(values) => Expr::Has { field: field.clone(), values },
                    None => constant(),
                }
            }
            Expr::IsNull { field } => Expr::IsNull { field: field.clone() },
            Expr::Like { field, pattern } => Expr::Like { field: field.clone(), pattern: pattern.clone() },
            Expr::HasKey { field, key } => Expr::HasKey { field: field.clone(), key: key.clone() },
            Expr::Search { words } => Expr::Search { words: words.clone() },
            Expr::Caller(asked) => match self.claims {
                Some(claims) if asked.is_met(claims) => Expr::True,
                Some(_) => Expr::never(),
                None => constant(),
            },
            Expr::Length { field, op, length } => Expr::Length { field: field.clone(), op: *op, length: *length },
        }
    }

    fn value(self, field: &Path, operand: &Operand) -> Option<Value<'static>> {
        match operand {
            Operand::Value(value) => Some(value.clone()),
            Operand::Claim(name) => typed(kind(self.schema, field)?, self.claims?.get(name)?),
        }
    }

    /// The values that a field may have. Where a match allows, what is not known is left out; where it forbids, none are
    /// known if one is not.
    fn values(self, kind: Option<&Type>, operands: &[Operand], all: bool) -> Option<Vec<Value<'static>>> {
        let mut values = Vec::with_capacity(operands.len());
        for operand in operands {
            let name = match operand {
                Operand::Value(value) => {
                    values.push(value.clone());
                    continue;
                }
                Operand::Claim(name) => name,
            };
            let Some((kind, claim)) = kind.zip(self.claims.and_then(|claims| claims.get(name))) else {
                if all {
                    return None;
                }
                continue;
            };
            let items = match claim {
                serde_json::Value::Array(items) => items.as_slice(),
                one => std::slice::from_ref(one),
            };
            for item in items {
                match typed(kind, item) {
                    Some(value) => values.push(value),
                    None if all => return None,
                    None => {}
                }
            }
        }
        Some(values)
    }

    pub(super) fn admission(self, rule: &Rule) -> Admission {
        let (mut found, mut fields, mut unknown) = (Vec::new(), Vec::new(), None);
        rule.pins(&mut found);
        rule.fields(&mut fields);
        let mut pins = Vec::with_capacity(found.len());
        for (field, claim) in found {
            match self.given(field, claim) {
                Some(value) => pins.push(Pin { field, value, claim: claim.to_owned() }),
                None => unknown = unknown.or_else(|| Some(claim.to_owned())),
            }
        }
        Admission { rule: self.resolve(rule, false), demanded: pins.len(), pins, fields, unknown }
    }

    /// A claim as a field may hold it: one that breaks its rules is as one that the caller does not have.
    fn given(self, field: usize, claim: &str) -> Option<Value<'static>> {
        let value = self.value(&field.into(), &Operand::claim(claim))?;
        let (kind, mut json) = (&self.schema.fields.get(field)?.kind, Vec::new());
        json::write_value(&mut json, kind, &value);
        validate::value(kind, &json).ok().map(Value::into_owned)
    }

    /// With the fields that are taken from claims unless they are sent.
    pub(super) fn giving(self, mut admission: Admission) -> Admission {
        for (field, own) in self.schema.fields.iter().enumerate() {
            if let Some(DefaultValue::Claim(claim)) = &own.default
                && let Some(value) = self.given(field, claim)
            {
                admission.pins.push(Pin { field, value, claim: claim.to_string() });
            }
        }
        admission
    }
}

/// All of these; a store is asked for no more than rows decide.
fn all_of(mut parts: Vec<Expr>) -> Expr {
    parts.retain(|part| *part != Expr::True);
    match parts.len() {
        0 => Expr::True,
        1 => parts.swap_remove(0),
        _ => Expr::And(parts),
    }
}

/// One of these.
fn any_of(mut parts: Vec<Expr>) -> Expr {
    if parts.contains(&Expr::True) {
        return Expr::True;
    }
    parts.retain(|part| *part != Expr::never());
    match parts.len() {
        1 => parts.swap_remove(0),
        _ => Expr::Or(parts),
    }
}

/// A claim as a value of a type, if it can be one.
fn typed(kind: &Type, claim: &serde_json::Value) -> Option<Value<'static>> {
    match claim {
        serde_json::Value::Null => None,
        // The subject of a token is always a text, whatever ids are.
        serde_json::Value::String(text) => text_value(kind, text).ok(),
        other => validate::value(kind, other.to_string().as_bytes()).ok().map(Value::into_owned),
    }
}
