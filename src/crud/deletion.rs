//! Rows that are marked as deleted instead of being removed.

use super::schema::validate;
use super::{Expr, Path, Schema, Value};

impl Schema {
    /// The index of the field that holds when a row was deleted. Without one, rows are removed.
    pub fn deletion(&self) -> Option<usize> {
        self.fields.iter().position(|field| field.deletion)
    }

    /// The rows that are not marked as deleted.
    pub(crate) fn alive(&self) -> Expr {
        self.deletion().map_or(Expr::True, |field| Expr::IsNull { field: Path::from(field) })
    }

    /// The rows that are.
    pub(crate) fn deleted(&self) -> Expr {
        match self.deletion() {
            Some(field) => Expr::Not(Box::new(Expr::IsNull { field: Path::from(field) })),
            None => Expr::never(),
        }
    }

    /// What marks a row as deleted now; none where rows are removed.
    pub(crate) fn deleting(&self) -> Option<Vec<(usize, Value<'static>)>> {
        self.marking(|| Value::DateTime(validate::now()))
    }

    /// What takes the mark away.
    pub(crate) fn restoring(&self) -> Option<Vec<(usize, Value<'static>)>> {
        self.marking(|| Value::Null)
    }

    fn marking(&self, mark: impl FnOnce() -> Value<'static>) -> Option<Vec<(usize, Value<'static>)>> {
        let mut changes = vec![(self.deletion()?, mark())];
        changes.extend(validate::renewed(self));
        Some(changes)
    }
}
