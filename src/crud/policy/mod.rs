//! Which rows a caller may see and write.
//!
//! A [`Policy`] is made once, at start-up, of the same predicates as filters are, in which the claims of the caller may
//! stand for values. For each request they are put in, and the predicate becomes a part of the operation that the store
//! carries out: there is no step between the check and the act.
//!
//! What is not known is not allowed: a comparison with a claim that the caller does not have holds for no row, and neither
//! does its negation.

mod admission;
mod caller;
mod rule;
mod tree;

use std::collections::BTreeSet;

use self::rule::kind;
use super::Schema;
use super::query::Expr;
use super::schema::DefaultValue;
use crate::ConfigError;
use crate::service::Problem;

pub(super) use self::admission::Admission;
pub(crate) use self::admission::Pin;
pub(super) use self::caller::Caller;
pub use self::rule::{Operand, Rule};

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
