//! Which rows a caller may see and write.
//!
//! A [`Policy`] is made once, at start-up, of the same predicates as filters are, in which the claims of the caller may
//! stand for values. For each request they are put in, and the predicate becomes a part of the operation that the store
//! carries out: there is no step between the check and the act.
//!
//! What is not known is not allowed: a comparison with a claim that the caller does not have holds for no row, and neither
//! does its negation.

mod tree;

use std::collections::BTreeSet;

use super::query::{Expr, Path, text_value};
use super::schema::{DefaultValue, Type, validate};
use super::{Comparison, Schema, Value, json};
use crate::ConfigError;
use crate::service::{Claims, Location, Problem, Requirement, Violation, push_token};

/// What a field is compared with in a [`Rule`].
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    /// A value of the field's type.
    Value(Value<'static>),
    /// The claim of the caller that is called so, as [`Claims::get`] finds it. A text is read as one in a query string
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

/// Which rows a caller may see and write; without rules, all of them.
///
/// ```
/// use ziggurat::crud::{Expr, Operand, Path, Policy, Schema};
/// # fn main() -> Result<(), ziggurat::ConfigError> {
/// # let schema = Schema::from_description(r#"{"name":"Note","id":"id","fields":[{"name":"id","type":{"type":"uuid"}},
/// #   {"name":"owner","type":{"type":"str"}},{"name":"public","type":{"type":"bool"}}]}"#)?;
/// let own = || Ok::<_, ziggurat::ConfigError>(Expr::equal(Path::of(&schema, "owner")?, Operand::claim("sub")));
/// let public = Expr::equal(Path::of(&schema, "public")?, Operand::Value(true.into()));
/// let policy = Policy::new().read(own()?.or(public)).write(own()?);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
#[must_use]
pub struct Policy {
    read: Option<Rule>,
    write: Option<Rule>,
    create: Option<Rule>,
}

impl Policy {
    /// One without rules.
    pub const fn new() -> Self {
        Self { read: None, write: None, create: None }
    }

    /// Which rows there are for a caller. The others are answered as if they were not there.
    pub fn read(mut self, rule: Rule) -> Self {
        self.read = Some(rule);
        self
    }

    /// Which of these may be written, and what they may become; those that may be read unless it is given.
    pub fn write(mut self, rule: Rule) -> Self {
        self.write = Some(rule);
        self
    }

    /// Which rows may be made; those that may be written unless it is given.
    ///
    /// Where it (or the rule it follows from) demands that a field equals a claim, the field is set from the claim and may
    /// be left out.
    pub fn create(mut self, rule: Rule) -> Self {
        self.create = Some(rule);
        self
    }

    fn write_rule(&self) -> Option<&Rule> {
        self.write.as_ref().or(self.read.as_ref())
    }

    fn create_rule(&self) -> Option<&Rule> {
        self.create.as_ref().or_else(|| self.write_rule())
    }

    /// Whether rows that may be read may not be written.
    pub(super) const fn tells_writers_apart(&self) -> bool {
        self.write.is_some()
    }

    /// Whether who asks matters for making rows, or for writing them.
    pub(super) fn asks_who(&self, create: bool) -> bool {
        if create { self.create_rule() } else { self.write_rule() }.is_some_and(Rule::asks_who)
    }

    /// Whether there are rows that some callers may not read.
    pub(super) const fn has_read(&self) -> bool {
        self.read.is_some()
    }

    /// Whether any rule asks for a claim.
    pub fn uses_claims(&self) -> bool {
        [&self.read, &self.write, &self.create].into_iter().flatten().any(Rule::asks_who)
    }

    /// The claims by which callers differ: who it is, what the rules ask for, and what rows take from them. None where any may count.
    pub(super) fn caller_claims(&self, schema: &Schema) -> Option<Vec<String>> {
        let mut found = BTreeSet::new();
        found.extend(schema.fields.iter().filter_map(|field| match &field.default {
            Some(DefaultValue::Claim(claim)) => Some(&**claim),
            _ => None,
        }));
        for rule in [&self.read, &self.write, &self.create].into_iter().flatten() {
            if !rule.claims(&mut found) {
                return None;
            }
        }
        let who = ["iss", "sub"];
        found.retain(|name| !who.contains(name));
        Some(who.into_iter().chain(found).map(str::to_owned).collect())
    }

    /// The fields that are set from claims when rows are made, or replaced.
    pub(super) fn pinned(&self, create: bool) -> Vec<usize> {
        let mut found = Vec::new();
        if let Some(rule) = if create { self.create_rule() } else { self.write_rule() } {
            rule.pins(&mut found);
        }
        found.into_iter().map(|(field, _)| field).collect()
    }

    /// What cannot be asked of rows of `schema`.
    pub(super) fn check(&self, schema: &Schema) -> Result<(), ConfigError> {
        let whose = format!("the policy of {}", schema.name);
        [&self.read, &self.write, &self.create].into_iter().flatten().try_for_each(|rule| rule.check(schema, &whose))
    }

    /// The rows that there are for the caller.
    pub(super) fn readable(&self, caller: Caller<'_>) -> Expr {
        self.read.as_ref().map_or(Expr::True, |rule| caller.resolve(rule, false))
    }

    /// Whether both let the same callers read the same rows.
    pub(super) fn reads_as(&self, other: &Self) -> bool {
        self.read == other.read
    }

    /// The rows that the caller may write.
    pub(super) fn writable(&self, caller: Caller<'_>) -> Expr {
        match &self.write {
            Some(rule) => self.readable(caller).and(caller.resolve(rule, false)),
            None => self.readable(caller),
        }
    }

    /// What the caller may make.
    ///
    /// # Errors
    /// 403 when a claim that a field is to be set from is missing.
    pub(super) fn creation(&self, caller: Caller<'_>) -> Result<Admission, Problem> {
        let admission = self.create_rule().map(|rule| caller.admission(rule)).unwrap_or_default();
        match admission.unknown {
            Some(claim) => Err(Problem::forbidden(match caller.claims {
                Some(_) => format!("the caller has no claim {claim} that rows could be given"),
                None => "rows are made by callers who say who they are; send a token".to_owned(),
            })),
            None => Ok(caller.giving(admission)),
        }
    }

    /// What the caller may turn a row into.
    pub(super) fn change(&self, caller: Caller<'_>) -> Admission {
        caller.giving(self.write_rule().map(|rule| caller.admission(rule)).unwrap_or_default())
    }
}

impl Rule {
    fn asks_who(&self) -> bool {
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
    fn claims<'r>(&'r self, found: &mut BTreeSet<&'r str>) -> bool {
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

    fn check(&self, schema: &Schema, whose: &str) -> Result<(), ConfigError> {
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
    fn fields(&self, found: &mut Vec<usize>) {
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
    fn pins<'r>(&'r self, found: &mut Vec<(usize, &'r str)>) {
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
fn kind<'s>(schema: &'s Schema, field: &Path) -> Option<&'s Type> {
    Some(field.fields(schema)?.last()?.kind.inner().0)
}

/// Who asks for rows of a schema.
#[derive(Clone, Copy)]
pub(super) struct Caller<'a> {
    pub(super) schema: &'a Schema,
    pub(super) claims: Option<&'a Claims>,
}

impl Caller<'_> {
    /// The rule for this caller; `unknown` is what a comparison with what is not known counts as.
    fn resolve(self, rule: &Rule, unknown: bool) -> Expr {
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

    fn admission(self, rule: &Rule) -> Admission {
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
    fn giving(self, mut admission: Admission) -> Admission {
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

/// What a document must be like that a caller writes.
#[derive(Debug)]
pub(super) struct Admission {
    rule: Expr,
    pins: Vec<Pin>,
    /// So many of them, the first ones, are demanded by the policy.
    demanded: usize,
    fields: Vec<usize>,
    /// A claim that a field would be set from and the caller does not have.
    unknown: Option<String>,
}

/// A field that is set from a claim.
#[derive(Debug)]
pub(crate) struct Pin {
    pub(crate) field: usize,
    pub(crate) value: Value<'static>,
    claim: String,
}

impl Default for Admission {
    fn default() -> Self {
        Self { rule: Expr::True, pins: Vec::new(), demanded: 0, fields: Vec::new(), unknown: None }
    }
}

impl Admission {
    /// The fields that need not be sent.
    pub(super) fn pins(&self) -> &[Pin] {
        &self.pins
    }

    /// Whether the caller lacks a claim that rows are written by.
    pub(super) const fn is_unknown(&self) -> bool {
        self.unknown.is_some()
    }

    /// Whether a change of this field has to be looked at.
    pub(super) fn concerns(&self, field: usize) -> bool {
        self.fields.contains(&field)
    }

    /// Whether the caller may write this document.
    ///
    /// # Errors
    /// 422 when a field is not what the caller's claim says, 403 when anything else is not allowed.
    pub(super) fn check(&self, schema: &Schema, values: &[Value<'static>]) -> Result<(), Problem> {
        let differs = |pin: &&Pin| values.get(pin.field).is_some_and(|value| *value != pin.value);
        let demanded = self.pins.iter().take(self.demanded);
        let wrong: Vec<_> = demanded.filter(differs).filter_map(|pin| pin.violation(schema)).collect();
        if !wrong.is_empty() {
            return Err(Problem::validation(wrong));
        }
        if self.rule.holds(values) {
            return Ok(());
        }
        Err(Problem::forbidden("the caller may not write such a row"))
    }
}

impl Pin {
    fn violation(&self, schema: &Schema) -> Option<Violation> {
        let mut pointer = String::new();
        push_token(&mut pointer, &schema.fields.get(self.field)?.name);
        let detail = format!("must be the caller's {}, or be left out", self.claim);
        Some(Violation::new(Location::Pointer(pointer), "policy", detail))
    }
}
