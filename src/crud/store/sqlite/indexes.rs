//! Indexes of a table: those that the schema wants are made, and a rule of uniqueness that it has no longer goes. An index holds no
//! data of its own.

use rusqlite::Connection;

use super::error;
use super::functions::FOLD;
use super::table::{Table, column, quoted};
use crate::crud::StoreError;
use crate::crud::schema::{Field, Index};
use crate::crud::store::names;

/// What the names of indexes that keep a field unique begin with: among all rows, among those that are not marked as deleted, and both
/// where small and capital letters are the same. Another condition needs another name: `IF NOT EXISTS` looks at nothing else.
const RULES: [&str; 4] = ["zg_u", "zg_ua", "zg_uc", "zg_uca"];
/// The same of those that keep several fields unique together: among all rows, and among those that are not marked as deleted.
const TOGETHER: [&str; 2] = ["zg_w", "zg_wa"];
/// The same of those that are there to find rows: with all rows, and without those that hold a null.
const PLAIN: [&str; 2] = ["zg_i", "zg_s"];

/// What is to be of the indexes of a field, or of several together.
pub(super) struct Wanted<'t> {
    pub(super) fields: Vec<&'t Field>,
    pub(super) made: Vec<Made>,
    /// Those that must not be, if they are.
    pub(super) dropped: Vec<String>,
}

/// An index that is to be.
pub(super) struct Made {
    pub(super) name: String,
    /// Which rows may not hold the same.
    pub(super) rule: Option<Rule>,
    /// The table and what the index is on.
    on: String,
}

/// Which rows may not hold the same: those for which the condition holds, and that hold no null in what counts.
pub(super) struct Rule {
    /// What counts, as SQL.
    pub(super) keys: Vec<String>,
    pub(super) condition: Option<String>,
}

impl Rule {
    fn on(&self, table: &Table) -> String {
        let mut on = format!("{}({})", quoted(&table.name), self.keys.join(","));
        if let Some(condition) = &self.condition {
            on.push_str(&format!(" WHERE {condition}"));
        }
        on
    }
}

/// What the schema wants of each field that may have an index, and of those that are unique together.
pub(super) fn wanted(table: &Table) -> impl Iterator<Item = Wanted<'_>> {
    let fields = table.schema.fields.iter().enumerate();
    let single =
        fields.filter(|(position, field)| *position != table.id && field.kind.is_scalar()).map(|(_, field)| {
            let (mut made, mut dropped) = (Vec::new(), Vec::new());
            let rule = field.index.filter(|index| index.unique).map(|index| rule(table, field, index));
            let others = RULES.into_iter().filter(|prefix| rule.as_ref().is_none_or(|(own, ..)| own != prefix));
            dropped.extend(others.map(|prefix| name(table, prefix, &[field])));
            if let Some((prefix, rule)) = rule {
                let on = rule.on(table);
                made.push(Made { name: name(table, prefix, &[field]), rule: Some(rule), on });
            }
            if let Some((prefix, on)) = field.index.and_then(|index| plain(table, field, index)) {
                let other = if prefix == PLAIN[0] { PLAIN[1] } else { PLAIN[0] };
                dropped.push(name(table, other, &[field]));
                made.push(Made { name: name(table, prefix, &[field]), rule: None, on });
            }
            Wanted { fields: vec![field], made, dropped }
        });
    single.chain(together(table))
}

/// The rules over several fields. SQLite takes no null for another, so rows that hold one do not count.
fn together(table: &Table) -> impl Iterator<Item = Wanted<'_>> {
    let deletion = table.schema.deletion().map(|field| &table.columns[field]);
    let [prefix, other] = match deletion {
        None => TOGETHER,
        Some(_) => [TOGETHER[1], TOGETHER[0]],
    };
    let condition = deletion.map(|deletion| format!("{deletion} IS NULL"));
    table.schema.together().map(move |rule| {
        let fields: Vec<_> = rule.into_iter().map(|field| &table.schema.fields[field]).collect();
        let keys = fields.iter().map(|field| quoted(&column(field))).collect();
        let (made, other) = (name(table, prefix, &fields), name(table, other, &fields));
        let rule = Rule { keys, condition: condition.clone() };
        let on = rule.on(table);
        Wanted { fields, made: vec![Made { name: made, rule: Some(rule), on }], dropped: vec![other] }
    })
}

/// The indexes of rules over several fields that the schema does not have any more: the fields may be gone as well.
pub(super) fn stale(db: &Connection, table: &Table) -> Result<Vec<String>, StoreError> {
    let known: Vec<String> =
        together(table).flat_map(|Wanted { made, dropped, .. }| [made[0].name.clone(), dropped[0].clone()]).collect();
    let [all, living] = TOGETHER.map(|prefix| format!("{prefix}_*"));
    let there: Vec<String> = db
        .prepare(
            "SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name = ? AND (name GLOB ? OR name GLOB ?)",
        )
        .and_then(|mut s| s.query_map((&table.name, all, living), |row| row.get(0))?.collect())
        .map_err(error::plain)?;
    Ok(there.into_iter().filter(|name| !known.contains(name)).collect())
}

pub(super) fn ensure(db: &Connection, table: &Table) -> Result<(), StoreError> {
    for name in stale(db, table)? {
        db.execute_batch(&format!("DROP INDEX IF EXISTS {}", quoted(&name))).map_err(error::plain)?;
    }
    for Wanted { made, dropped, .. } in wanted(table) {
        let mut sql = String::new();
        for name in dropped {
            sql.push_str(&format!("DROP INDEX IF EXISTS {};", quoted(&name)));
        }
        for Made { name, rule, on } in made {
            let unique = if rule.is_some() { "UNIQUE " } else { "" };
            sql.push_str(&format!("CREATE {unique}INDEX IF NOT EXISTS {} ON {on};", quoted(&name)));
        }
        db.execute_batch(&sql).map_err(|error| match error::of_write(error, table) {
            StoreError::Duplicate { fields } => {
                StoreError::Internal(Box::new(names::not_unique(&table.schema, &fields)))
            }
            other => other,
        })?;
    }
    Ok(())
}

/// `zg_u_user_f_email`, or `zg_w_book_f_shelf.f_place` of several: no name of a field has a dot in it.
fn name(table: &Table, prefix: &str, fields: &[&Field]) -> String {
    let columns: Vec<String> = fields.iter().map(|field| column(field)).collect();
    format!("{prefix}_{}_{}", &table.name[2..], columns.join("."))
}

/// Which rule keeps a field unique.
fn rule(table: &Table, field: &Field, index: Index) -> (&'static str, Rule) {
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
    (prefix, Rule { keys: vec![key], condition })
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
    let is_of = |field: &&Field| RULES.iter().any(|prefix| name(table, prefix, &[field]) == index);
    table.schema.fields.iter().find(is_of).map(|field| &*field.name)
}

/// The fields that are unique together by an index on these columns, as SQLite tells them: `c_book.f_shelf, c_book.f_place`.
pub(super) fn fields_of<'t>(table: &'t Table, columns: &str) -> Option<Vec<&'t str>> {
    let is_told = |rule: &Vec<usize>| {
        let told: Vec<_> =
            rule.iter().map(|field| format!("{}.{}", table.name, column(&table.schema.fields[*field]))).collect();
        told.join(", ") == columns
    };
    table.schema.together().find(is_told).map(|rule| table.schema.names_of(&rule))
}
