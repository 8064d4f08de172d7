//! What a document must be like for a caller to write it.

use crate::crud::query::Expr;
use crate::crud::{Schema, Value};
use crate::service::{Location, Problem, Violation, push_token};

/// What a document must be like that a caller writes.
#[derive(Debug)]
pub(in crate::crud) struct Admission {
    pub(super) rule: Expr,
    pub(super) pins: Vec<Pin>,
    /// So many of them, the first ones, are demanded by the policy.
    pub(super) demanded: usize,
    pub(super) fields: Vec<usize>,
    /// A claim that a field would be set from and the caller does not have.
    pub(super) unknown: Option<String>,
}

/// A field that is set from a claim.
#[derive(Debug)]
pub(crate) struct Pin {
    pub(crate) field: usize,
    pub(crate) value: Value<'static>,
    pub(super) claim: String,
}

impl Default for Admission {
    fn default() -> Self {
        Self { rule: Expr::True, pins: Vec::new(), demanded: 0, fields: Vec::new(), unknown: None }
    }
}

impl Admission {
    /// The fields that need not be sent.
    pub(in crate::crud) fn pins(&self) -> &[Pin] {
        &self.pins
    }

    /// Whether the caller lacks a claim that rows are written by.
    pub(in crate::crud) const fn is_unknown(&self) -> bool {
        self.unknown.is_some()
    }

    /// Whether a change of this field has to be looked at.
    pub(in crate::crud) fn concerns(&self, field: usize) -> bool {
        self.fields.contains(&field)
    }

    /// Whether the caller may write this document.
    ///
    /// # Errors
    /// 422 when a field is not what the caller's claim says, 403 when anything else is not allowed.
    pub(in crate::crud) fn check(&self, schema: &Schema, values: &[Value<'static>]) -> Result<(), Problem> {
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
