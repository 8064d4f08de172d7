//! What a policy asks of rows and of the caller, and what cannot be asked.

use std::collections::BTreeSet;

use crate::ConfigError;
use crate::crud::query::{Expr, Path};
use crate::crud::schema::Type;
use crate::crud::{Comparison, Schema, Value};
use crate::service::Requirement;

/// What a field is compared with in a [`Rule`].
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    /// A value of the field's type.
    Value(Value<'static>),
    /// The claim of the caller that is called so, as [`Claims::get`](crate::service::Claims::get) finds it. A text is read as one in a query string
    /// would be. Where several values may stand, a claim that is a list gives all of its items.
    Claim(String),
}

impl Operand {
    /// The claim called `name`.
    pub fn claim(name: impl Into<String>) -> Self {
        Self::Claim(name.into())
    }
}

/// A predicate over rows and the caller.
pub type Rule = Expr<Operand, Requirement>;

impl Rule {
    pub(super) fn asks_who(&self) -> bool {
        let is_claim = |operand: &Operand| matches!(operand, Operand::Claim(_));
        match self {
            Self::Caller(_) => true,
            Self::And(parts) | Self::Or(parts) => parts.iter().any(Self::asks_who),
            Self::Not(inner) => inner.asks_who(),
            Self::Compare { value, .. } => is_claim(value),
            Self::In { values, .. } | Self::Has { values, .. } => values.iter().any(is_claim),
            _ => false,
        }
    }

    /// The claims that it asks for; whether it is known which.
    pub(super) fn claims<'r>(&'r self, found: &mut BTreeSet<&'r str>) -> bool {
        let mut add = |operand: &'r Operand| {
            if let Operand::Claim(name) = operand {
                found.insert(name);
            }
        };
        match self {
            Self::And(parts) | Self::Or(parts) => return parts.iter().all(|part| part.claims(found)),
            Self::Not(inner) => return inner.claims(found),
            Self::Caller(asked) => match asked.claims() {
                Some(names) => found.extend(names),
                None => return false,
            },
            Self::Compare { value, .. } => add(value),
            Self::In { values, .. } | Self::Has { values, .. } => values.iter().for_each(add),
            Self::True
            | Self::IsNull { .. }
            | Self::Like { .. }
            | Self::HasKey { .. }
            | Self::Search { .. }
            | Self::Length { .. } => {}
        }
        true
    }

    pub(super) fn check(&self, schema: &Schema, whose: &str) -> Result<(), ConfigError> {
        let wrong = |field: &Path, what: &str| {
            let name = field.dotted(schema).unwrap_or_else(|| field.to_string());
            Err(ConfigError::new(format!("{whose} asks {name} for {what}"))
                .cure("compare fields that hold single values, and ask lists what they have"))
        };
        match self {
            Self::True | Self::Caller(_) => Ok(()),
            Self::Search { .. } => Err(ConfigError::new(format!("{whose} searches for words"))
                .cure("compare fields; what rows are told by need not be searched")),
            Self::And(parts) | Self::Or(parts) => parts.iter().try_for_each(|part| part.check(schema, whose)),
            Self::Not(inner) => inner.check(schema, whose),
            Self::IsNull { field } => match kind(schema, field) {
                Some(_) => Ok(()),
                None => wrong(field, "what it does not have"),
            },
            Self::Compare { field, .. } | Self::In { field, .. } => match kind(schema, field) {
                Some(kind) if kind.is_scalar() => Ok(()),
                _ => wrong(field, "a comparison, and it is no single value"),
            },
            Self::Like { field, .. } => match kind(schema, field) {
                Some(Type::Str(_)) => Ok(()),
                _ => wrong(field, "a pattern, and it is no text"),
            },
            Self::HasKey { field, .. } => match kind(schema, field) {
                Some(Type::Map { .. }) => Ok(()),
                _ => wrong(field, "a key, and it is no dict"),
            },
            Self::Has { field, .. } | Self::Length { field, .. } => match kind(schema, field) {
                Some(Type::List { item, .. }) if item.is_scalar() => Ok(()),
                _ => wrong(field, "its items, and it is no list of single values"),
            },
        }
    }

    /// The top-level fields that it speaks of.
    pub(super) fn fields(&self, found: &mut Vec<usize>) {
        match self {
            Self::True | Self::Search { .. } | Self::Caller(_) => {}
            Self::And(parts) | Self::Or(parts) => parts.iter().for_each(|part| part.fields(found)),
            Self::Not(inner) => inner.fields(found),
            Self::Compare { field, .. }
            | Self::In { field, .. }
            | Self::IsNull { field }
            | Self::Like { field, .. }
            | Self::Has { field, .. }
            | Self::HasKey { field, .. }
            | Self::Length { field, .. } => found.push(field.first()),
        }
    }

    /// The fields that have to equal a claim whatever else holds.
    pub(super) fn pins<'r>(&'r self, found: &mut Vec<(usize, &'r str)>) {
        match self {
            Self::And(parts) => parts.iter().for_each(|part| part.pins(found)),
            Self::Compare { field, op: Comparison::Eq, value: Operand::Claim(claim) } if field.is_top() => {
                found.push((field.first(), claim));
            }
            _ => {}
        }
    }
}

/// The type of what is at a path, without `Optional` around it.
pub(super) fn kind<'s>(schema: &'s Schema, field: &Path) -> Option<&'s Type> {
    Some(field.fields(schema)?.last()?.kind.inner().0)
}
