//! Indexes of a table: those that the schema wants are made, and a rule of uniqueness that it has no longer goes. An index holds no
//! data of its own.

use rusqlite::Connection;

use super::error;
use super::functions::FOLD;
use super::table::{Table, column, quoted};
use crate::ConfigError;
use crate::crud::StoreError;
use crate::crud::schema::{Field, Index};

/// What the names of indexes that keep a field unique begin with: among all rows, among those that are not marked as deleted, and both
/// where small and capital letters are the same. Another condition needs another name: `IF NOT EXISTS` looks at nothing else.
const RULES: [&str; 4] = ["zg_u", "zg_ua", "zg_uc", "zg_uca"];
/// The same of those that are there to find rows: with all rows, and without those that hold a null.
const PLAIN: [&str; 2] = ["zg_i", "zg_s"];

/// What is to be of the indexes of a field.
pub(super) struct Wanted<'t> {
    pub(super) field: &'t Field,
    pub(super) made: Vec<Made>,
    /// Those that must not be, if they are.
    pub(super) dropped: Vec<String>,
}

/// An index that is to be.
pub(super) struct Made {
    pub(super) name: String,
    /// Which rows may not hold the same: the value that counts, and the condition.
    pub(super) unique: Option<(String, Option<String>)>,
    /// The table and what the index is on.
    on: String,
}

/// What the schema wants of each field that may have an index.
pub(super) fn wanted(table: &Table) -> impl Iterator<Item = Wanted<'_>> {
    let fields = table.schema.fields.iter().enumerate();
    fields.filter(|(position, field)| *position != table.id && field.kind.is_scalar()).map(|(_, field)| {
        let (mut made, mut dropped) = (Vec::new(), Vec::new());
        let rule = field.index.filter(|index| index.unique).map(|index| rule(table, field, index));
        let others = RULES.into_iter().filter(|prefix| rule.as_ref().is_none_or(|(own, ..)| own != prefix));
        dropped.extend(others.map(|prefix| name(table, prefix, field)));
        if let Some((prefix, key, condition)) = rule {
            let mut on = format!("{}({key})", quoted(&table.name));
            if let Some(condition) = &condition {
                on.push_str(&format!(" WHERE {condition}"));
            }
            made.push(Made { name: name(table, prefix, field), unique: Some((key, condition)), on });
        }
        if let Some((prefix, on)) = field.index.and_then(|index| plain(table, field, index)) {
            let other = if prefix == PLAIN[0] { PLAIN[1] } else { PLAIN[0] };
            dropped.push(name(table, other, field));
            made.push(Made { name: name(table, prefix, field), unique: None, on });
        }
        Wanted { field, made, dropped }
    })
}

pub(super) fn ensure(db: &Connection, table: &Table) -> Result<(), StoreError> {
    for Wanted { made, dropped, .. } in wanted(table) {
        let mut sql = String::new();
        for name in dropped {
            sql.push_str(&format!("DROP INDEX IF EXISTS {};", quoted(&name)));
        }
        for Made { name, unique, on } in made {
            let unique = if unique.is_some() { "UNIQUE " } else { "" };
            sql.push_str(&format!("CREATE {unique}INDEX IF NOT EXISTS {} ON {on};", quoted(&name)));
        }
        db.execute_batch(&sql).map_err(|error| match error::of_write(error, table) {
            StoreError::Duplicate { field } => StoreError::Internal(Box::new(ConfigError::new(format!(
                "{}.{field} cannot be made unique: some stored rows hold the same value",
                table.schema.name
            )))),
            other => other,
        })?;
    }
    Ok(())
}

/// `zg_u_user_f_email`
fn name(table: &Table, prefix: &str, field: &Field) -> String {
    format!("{prefix}_{}_{}", &table.name[2..], column(field))
}

/// Which rule keeps a field unique, the value that counts, and in which rows.
fn rule(table: &Table, field: &Field, index: Index) -> (&'static str, String, Option<String>) {
    let column = quoted(&column(field));
    let deletion = table.schema.deletion().map(|field| &table.columns[field]);
    let prefix = match (index.case_insensitive, deletion) {
        (false, None) => RULES[0],
        (false, Some(_)) => RULES[1],
        (true, None) => RULES[2],
        (true, Some(_)) => RULES[3],
    };
    let key = if index.case_insensitive { format!("{FOLD}({column})") } else { column.clone() };
    let condition = match deletion {
        // One that holds every row gives their order, too.
        None if !field.kind.is_nullable() => None,
        None => Some(format!("{column} IS NOT NULL")),
        Some(deletion) => Some(format!("{column} IS NOT NULL AND {deletion} IS NULL")),
    };
    (prefix, key, condition)
}

/// The index that finds rows, where the rule does not.
fn plain(table: &Table, field: &Field, index: Index) -> Option<(&'static str, String)> {
    let (rows, column) = (quoted(&table.name), quoted(&column(field)));
    match (index.unique && !index.case_insensitive, index.sparse) {
        (true, _) => None,
        (false, false) => Some((PLAIN[0], format!("{rows}({column},id)"))),
        (false, true) => Some((PLAIN[1], format!("{rows}({column},id) WHERE {column} IS NOT NULL"))),
    }
}

/// The field that an index of this name keeps unique.
pub(super) fn field_of<'t>(table: &'t Table, index: &str) -> Option<&'t str> {
    let is_of = |field: &&Field| RULES.iter().any(|prefix| name(table, prefix, field) == index);
    table.schema.fields.iter().find(is_of).map(|field| &*field.name)
}
