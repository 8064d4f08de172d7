//! What opening a table would do, told without doing it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use rusqlite::config::DbConfig;
use rusqlite::functions::FunctionFlags;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension};
use serde_json::Value as Json;
use uuid::Uuid;

use super::indexes::{Made, Rule, Wanted};
use super::reshape::{Failure, attempt};
use super::table::{Table, column, extract, quoted};
use super::{changes, ddl, error, indexes, open, place};
use crate::crud::json::write_scalar;
use crate::crud::schema::Field;
use crate::crud::store::plan::{self, Step, StepKind};
use crate::crud::store::steps::{EXAMPLES, Found, Look, Steps};
use crate::crud::store::{OpenError, StoreError, shape};
use crate::crud::{Schema, Value};

/// What opening the store at `path` would do for each of the schemas, and what would stand in its way, as [`Store::plan`] tells it.
///
/// Nothing is written and nothing is locked: other processes may go on reading and writing meanwhile. A file that is not there
/// is not made.
///
/// [`Store::plan`]: crate::crud::Store::plan
///
/// # Errors
/// When there is something else at `path`, or the store cannot keep rows of such a schema at all.
pub fn plan(path: impl AsRef<Path>, schemas: &[Arc<Schema>]) -> Result<Vec<Step>, OpenError> {
    let path = path.as_ref();
    place::check(path)?;
    let tables = schemas.iter().map(|schema| Table::new(Arc::clone(schema))).collect::<Result<Vec<_>, _>>()?;
    let mut steps = Vec::new();
    if !path.exists() {
        for table in &tables {
            let mut found = Steps::new(&table.schema);
            found.new_store(format!("the file {} does not exist, and is made", path.display()));
            create(&mut found, table);
            plan::add(&mut steps, found.into_vec());
        }
        return Ok(steps);
    }
    let db = quiet(path)?;
    for table in &tables {
        plan::add(&mut steps, of(&db, table, Look::Rows).map_err(super::opened)?);
    }
    Ok(steps)
}

/// A connection that leaves the files as they are.
fn quiet(path: &Path) -> Result<Connection, OpenError> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let db = open::reader(path)?;
    // What a process that was killed has left in the log is for the next one that writes. Where there is nothing in it, closing
    // takes away the files beside the store.
    if std::fs::metadata(log).is_ok_and(|log| log.len() > 0) {
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(error::plain)?;
    }
    Ok(db)
}

/// The steps for one table, all of them seen at one moment.
pub(super) fn of(db: &Connection, table: &Table, look: Look) -> Result<Vec<Step>, StoreError> {
    let begun = db.is_autocommit();
    if begun {
        db.execute_batch("BEGIN").map_err(error::plain)?;
    }
    let found = steps(db, table, look);
    if begun {
        db.execute_batch("ROLLBACK").map_err(error::plain)?;
    }
    found
}

fn steps(db: &Connection, table: &Table, look: Look) -> Result<Vec<Step>, StoreError> {
    let mut steps = Steps::new(&table.schema);
    let has_records = db
        .prepare("SELECT 1 FROM sqlite_schema WHERE name = 'zg_meta'")
        .and_then(|mut s| s.exists([]))
        .and_then(|is_there| if is_there { db.prepare("SELECT 1 FROM zg_meta")?.exists([]) } else { Ok(false) })
        .map_err(error::plain)?;
    if !has_records {
        steps.new_store("the file holds nothing yet");
        create(&mut steps, table);
        return Ok(steps.into_vec());
    }
    let known: Option<(String, String)> = db
        .query_row("SELECT model, shape FROM zg_meta WHERE coll = ?", [&table.name], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()
        .map_err(error::plain)?;
    let Some((model, old)) = known else {
        create(&mut steps, table);
        return Ok(steps.into_vec());
    };
    if model != table.schema.name {
        let text = format!("would share the table {} with {model}", table.name);
        steps.conflict(None, StepKind::Taken, text, Found::default(), "rename one of them");
        return Ok(steps.into_vec());
    }
    let old: Json = serde_json::from_str(&old).map_err(|e| StoreError::Internal(e.into()))?;
    let new = shape::of(&table.schema);
    let planning = Planning { db, table, was: shape::fields(&old), is_new: old != new, looks: look == Look::Rows };
    if planning.is_new {
        planning.shapes(&mut steps, &old, &new)?;
    }
    planning.indexes(&mut steps)?;
    if super::search::wanted(db, table)?.is_some() {
        steps.safe(None, StepKind::NewIndex, steps.words(), 0);
    }
    if planning.is_new && planning.looks {
        db.remove_function(RESHAPED, 2).map_err(error::plain)?;
    }
    Ok(steps.into_vec())
}

fn create(steps: &mut Steps<'_>, table: &Table) {
    steps.safe(None, StepKind::NewCollection, format!("the table {} is made", table.name), 0);
}

struct Planning<'p> {
    db: &'p Connection,
    table: &'p Table,
    /// The fields that the model had before.
    was: Vec<String>,
    /// Whether the shape is another one.
    is_new: bool,
    /// Whether the rows are looked at.
    looks: bool,
}

impl Planning<'_> {
    fn shapes(&self, steps: &mut Steps<'_>, old: &Json, new: &Json) -> Result<(), StoreError> {
        let Self { db, table, .. } = *self;
        let rows = db
            .query_row(&format!("SELECT count(*) FROM {}", quoted(&table.name)), [], |row| row.get(0))
            .map(number)
            .map_err(error::plain)?;
        steps.of_shapes(old, new, rows, rows, "what rows hold of it is kept aside, in case it comes back");
        let there = ddl::columns(db, table)?;
        let added: Vec<_> =
            ddl::generated(table).map(|(column, _)| column).filter(|column| !there.contains(column)).collect();
        if !added.is_empty() {
            let text = format!("generated columns are added: {}", added.join(", "));
            steps.safe(None, StepKind::Columns, text, 0);
        }
        if changes::are_kept(db, table)? {
            let text = "what changed before is forgotten, and those who follow the changes begin anew";
            steps.safe(None, StepKind::Feed, text, 0);
        }
        if self.looks && rows > 0 {
            self.come_back(steps)?;
            self.unfit(steps)?;
        }
        Ok(())
    }

    /// New fields of which rows have kept what they held.
    fn come_back(&self, steps: &mut Steps<'_>) -> Result<(), StoreError> {
        let sql = format!(
            "SELECT count(*) FROM {} WHERE coalesce(json_type(x, ?1), json_type(x, ?2)) IS NOT NULL",
            quoted(&self.table.name)
        );
        for field in &self.table.schema.fields {
            let Some(step) = steps.of(&field.name, StepKind::NewField) else { continue };
            let back: i64 = {
                let (field, extra) = (format!("$.\"{}\"", field.name), format!("$.\"\".\"{}\"", field.name));
                self.db.query_row(&sql, [field, extra], |row| row.get(0)).map_err(error::plain)?
            };
            if back > 0 {
                step.text = format!("{}; {back} of the rows get back what they held", step.text);
            }
        }
        Ok(())
    }

    /// Rows that have no place in the new shape.
    fn unfit(&self, steps: &mut Steps<'_>) -> Result<(), StoreError> {
        let name = quoted(&self.table.name);
        let mut refused = Vec::new();
        for step in steps.unfit() {
            // The id is no part of what is asked here, and nested fields are told by the outermost.
            let outer = step.field.as_deref().and_then(|path| path.split('.').next()).unwrap_or_default();
            refused.push(outer.to_owned());
            let sql = format!(
                "SELECT id, count(*) OVER () FROM {name} WHERE doc->>'$.\"{outer}\"' IS NOT NULL LIMIT {EXAMPLES}"
            );
            let mut found = self.db.prepare(&sql).map_err(error::plain)?;
            let mut rows = found.query([]).map_err(error::plain)?;
            while let Some(row) = rows.next().map_err(error::plain)? {
                step.rows = number(row.get(1).map_err(error::plain)?);
                step.ids.push(id(row, 0));
            }
        }
        let mut all: BTreeMap<(usize, String), (Failure, Found)> = BTreeMap::new();
        let mut found = self.db.prepare(&format!("SELECT id, json(doc), x FROM {name}")).map_err(error::plain)?;
        let mut rows = found.query([]).map_err(error::plain)?;
        while let Some(row) = rows.next().map_err(error::plain)? {
            let (doc, rest): (String, Option<String>) =
                row.get(1).and_then(|doc| Ok((doc, row.get(2)?))).map_err(error::plain)?;
            let (_, failures) = attempt(&self.table.schema, &self.was, &doc, rest.as_deref())
                .map_err(|e| StoreError::Internal(e.into()))?;
            for failure in failures {
                let key = match &failure {
                    Failure::Missing(at) => (0, at.clone()),
                    Failure::Null(at) => (1, at.clone()),
                    Failure::Unfit(at) => (2, at.clone()),
                    // The same for all that are like it: the field is refused already, or the rows are damaged.
                    Failure::Json(_) => continue,
                };
                all.entry(key).or_insert_with(|| (failure, Found::default())).1.add(1, || id(row, 0));
            }
        }
        for ((_, at), (failure, found)) in all {
            let field = at.split_once('.').map_or(&*at, |(_, field)| field);
            let outer = field.split('.').next().unwrap_or_default();
            if refused.iter().any(|known| known == outer) {
                continue;
            }
            match failure {
                Failure::Missing(_) => steps.refuse_missing(field, found),
                Failure::Null(_) => steps.refuse_null(field, found),
                _ => {
                    let text = "holds what none of its types allows";
                    steps.conflict(Some(field), StepKind::Unfit, text, found, "keep the types that it had");
                }
            }
        }
        Ok(())
    }

    fn indexes(&self, steps: &mut Steps<'_>) -> Result<(), StoreError> {
        let there: Vec<String> = self
            .db
            .prepare("SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name = ?")
            .and_then(|mut s| s.query_map([&self.table.name], |row| row.get(0))?.collect())
            .map_err(error::plain)?;
        let gone = |name: &str| format!("the index {name} is dropped, which the model does not ask for any more");
        for name in indexes::stale(self.db, self.table)? {
            steps.safe(None, StepKind::IndexGone, gone(&name), 0);
        }
        for Wanted { fields, made, dropped } in indexes::wanted(self.table) {
            let names: Vec<&str> = fields.iter().map(|field| &*field.name).collect();
            let place = names.join(", ");
            // Of several fields together none says how.
            let index = match fields[..] {
                [field] => field.index,
                _ => None,
            };
            for name in dropped.into_iter().filter(|name| there.contains(name)) {
                steps.safe(Some(&place), StepKind::IndexGone, gone(&name), 0);
            }
            for Made { name, rule, .. } in made {
                let is_there = there.contains(&name);
                // One that is there has let all pass, but for what rows get now.
                if is_there && names.iter().all(|name| steps.of(name, StepKind::NewField).is_none()) {
                    continue;
                }
                let text = match index {
                    Some(index) if rule.is_some() && index.case_insensitive => {
                        format!("the unique index {name} is built, for which small and capital letters are the same")
                    }
                    _ if rule.is_some() => format!("the unique index {name} is built"),
                    Some(index) if index.sparse => format!("the index {name} is built, without rows that hold null"),
                    _ => format!("the index {name} is built"),
                };
                let found = match rule {
                    Some(rule) if self.looks && !fields.iter().any(|field| is_refused(steps, field)) => {
                        self.duplicates(&fields, &rule)?
                    }
                    _ => Found::default(),
                };
                if found.rows > 0 {
                    steps.refuse_duplicates(&names, found);
                } else if !is_there {
                    steps.safe(Some(&place), StepKind::NewIndex, text, 0);
                }
            }
        }
        Ok(())
    }

    /// Rows that hold what others hold, in the shape that they will have.
    fn duplicates(&self, fields: &[&Field], rule: &Rule) -> Result<Found, StoreError> {
        let Self { db, table, .. } = *self;
        let doc = if self.is_new { format!("{RESHAPED}(json(doc), x)") } else { "doc".to_owned() };
        let deletion = table.schema.deletion().map(|deletion| &table.schema.fields[deletion]);
        let deletion = deletion.filter(|other| fields.iter().all(|field| field.name != other.name));
        let mut columns = String::new();
        for field in fields.iter().copied().chain(deletion) {
            columns.push_str(&format!(", {} AS {}", extract(field), quoted(&column(field))));
        }
        let sql = format!(
            "WITH shaped AS MATERIALIZED (SELECT id, {doc} AS doc FROM {}), keyed AS (SELECT id{columns} FROM shaped)
             SELECT min(id), max(id), count(*) FROM keyed WHERE {} IS NOT NULL AND {} GROUP BY {} HAVING count(*) > 1",
            quoted(&table.name),
            rule.keys.join(" IS NOT NULL AND "),
            rule.condition.as_deref().unwrap_or("true"),
            rule.keys.join(", "),
        );
        if self.is_new {
            let (schema, was) = (Arc::clone(&table.schema), self.was.clone());
            db.create_scalar_function(RESHAPED, 2, FunctionFlags::SQLITE_UTF8, move |context| {
                let (doc, rest) = (context.get::<String>(0)?, context.get::<Option<String>>(1)?);
                Ok(attempt(&schema, &was, &doc, rest.as_deref()).ok().map(|(doc, _)| doc))
            })
            .map_err(error::plain)?;
        }
        let mut all = Found::default();
        let mut found = db.prepare(&sql).map_err(error::plain)?;
        let mut rows = found.query([]).map_err(error::plain)?;
        while let Some(row) = rows.next().map_err(error::plain)? {
            let count = number(row.get(2).map_err(error::plain)?);
            all.add(count - 1, || id(row, 0));
            all.add(1, || id(row, 1));
        }
        Ok(all)
    }
}

fn number(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

/// An id as JSON. It may be of a type that the schema does not have any more.
fn id(row: &rusqlite::Row<'_>, column: usize) -> String {
    let id = match row.get_ref(column) {
        Ok(ValueRef::Integer(id)) => Value::Int(id),
        Ok(ValueRef::Text(id)) => Value::Str(String::from_utf8_lossy(id)),
        Ok(ValueRef::Blob(id)) => Uuid::from_slice(id).map_or(Value::Null, Value::Uuid),
        _ => Value::Null,
    };
    let mut text = Vec::new();
    write_scalar(&mut text, &id);
    String::from_utf8_lossy(&text).into_owned()
}

/// `zg_reshaped(doc, x)`: the document in the new shape, with null where it has none.
const RESHAPED: &str = "zg_reshaped";

/// Whether a field is in the way already, so that nothing can be said of its values.
fn is_refused(steps: &mut Steps<'_>, field: &Field) -> bool {
    [StepKind::Unfit, StepKind::Missing].into_iter().any(|kind| steps.of(&field.name, kind).is_some())
}
