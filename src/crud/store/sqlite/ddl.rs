//! Tables: made when they are missing, widened when the schema has grown. No row and no column is ever dropped.

use rusqlite::{Connection, OptionalExtension};
use serde_json::Value as Json;

use super::reshape::{Failure, Reshaped, reshape};
use super::table::{Table, column, extract, quoted};
use super::{changes, error, indexes, search};
use crate::ConfigError;
use crate::crud::StoreError;
use crate::crud::store::shape;

/// The tables that belong to the store itself. Shapes are compared as a whole, so there is no need to keep a hash.
const META: &str =
    "CREATE TABLE IF NOT EXISTS zg_meta(coll TEXT PRIMARY KEY, model TEXT NOT NULL, shape TEXT NOT NULL) STRICT";

/// Rows after which it is told how many were written.
const TELL: u64 = 1000;

/// Brings the table in line with the schema; runs inside a transaction of the writer. `told` hears how many rows were written. A
/// [`ConfigError`] comes boxed in [`StoreError::Internal`].
pub(super) fn ensure(db: &Connection, table: &Table, told: &dyn Fn(u64)) -> Result<(), StoreError> {
    db.execute_batch(META).map_err(error::plain)?;
    let known: Option<(String, String)> = db
        .query_row("SELECT model, shape FROM zg_meta WHERE coll = ?", [&table.name], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()
        .map_err(error::plain)?;
    let new = shape::of(&table.schema);
    match known {
        None => create(db, table)?,
        Some((model, _)) if model != table.schema.name => {
            return Err(refuse(
                ConfigError::new(format!("{} and {model} would share the table {}", table.schema.name, table.name))
                    .cure("rename one of them"),
            ));
        }
        Some((_, old)) => {
            let old: Json = serde_json::from_str(&old).map_err(|e| StoreError::Internal(e.into()))?;
            if old != new {
                migrate(db, table, &old, &new, told)?;
            }
        }
    }
    indexes::ensure(db, table)?;
    search::ensure(db, table)?;
    db.execute(
        "INSERT INTO zg_meta(coll, model, shape) VALUES (?1, ?2, ?3)
         ON CONFLICT(coll) DO UPDATE SET shape = excluded.shape WHERE shape <> excluded.shape",
        (&table.name, &table.schema.name, new.to_string()),
    )
    .map_err(error::plain)?;
    Ok(())
}

fn refuse(error: ConfigError) -> StoreError {
    StoreError::Internal(Box::new(error))
}

/// `doc` is JSONB shaped like the answer; `x` holds fields of earlier schemas, in case they come back.
fn create(db: &Connection, table: &Table) -> Result<(), StoreError> {
    let mut sql = format!(
        "CREATE TABLE {}(seq INTEGER PRIMARY KEY, id ANY NOT NULL UNIQUE, ver INTEGER NOT NULL, doc BLOB NOT NULL, x TEXT",
        quoted(&table.name)
    );
    for (_, definition) in generated(table) {
        sql.push(',');
        sql.push_str(&definition);
    }
    sql.push_str(") STRICT");
    db.execute_batch(&sql).map_err(error::plain)
}

/// The generated columns and their definitions. They take no space and, unlike an expression, let SQLite use an index for
/// a keyset.
pub(super) fn generated(table: &Table) -> impl Iterator<Item = (String, String)> {
    let fields = table.schema.fields.iter().enumerate();
    fields.filter(|(index, field)| *index != table.id && field.kind.is_scalar()).map(|(_, field)| {
        let name = column(field);
        let definition = format!("{} ANY GENERATED ALWAYS AS ({}) VIRTUAL", quoted(&name), extract(field));
        (name, definition)
    })
}

/// The columns of the table, those included that are computed.
pub(super) fn columns(db: &Connection, table: &Table) -> Result<Vec<String>, StoreError> {
    db.prepare("SELECT name FROM pragma_table_xinfo(?)")
        .and_then(|mut s| s.query_map([&table.name], |row| row.get(0))?.collect())
        .map_err(error::plain)
}

fn migrate(db: &Connection, table: &Table, old: &Json, new: &Json, told: &dyn Fn(u64)) -> Result<(), StoreError> {
    let name = quoted(&table.name);
    let rows: i64 =
        db.query_row(&format!("SELECT count(*) FROM {name}"), [], |row| row.get(0)).map_err(error::plain)?;
    if rows > 0
        && let Some(conflict) = shape::conflict(&table.schema.name, old, new)
    {
        return Err(refuse(
            ConfigError::new(format!("the {rows} stored rows do not fit the schema: {conflict}"))
                .cure("give the changed field a new name, or move the rows by hand"),
        ));
    }
    let mut columns = columns(db, table)?;
    for (column, definition) in generated(table) {
        if !columns.contains(&column) {
            db.execute_batch(&format!("ALTER TABLE {name} ADD COLUMN {definition}")).map_err(error::plain)?;
            columns.push(column);
        }
    }
    let changes_are_kept = changes::are_kept(db, table)?;
    changes::forget(db, table)?;
    rewrite(db, table, &shape::fields(old), told)?;
    if changes_are_kept { changes::keep(db, table) } else { Ok(()) }
}

/// Brings each row into the shape of the schema.
fn rewrite(db: &Connection, table: &Table, was: &[String], told: &dyn Fn(u64)) -> Result<(), StoreError> {
    let name = quoted(&table.name);
    let mut next = db
        .prepare(&format!("SELECT seq, json(doc), x FROM {name} WHERE seq > ? ORDER BY seq LIMIT 1"))
        .map_err(error::plain)?;
    let mut put =
        db.prepare(&format!("UPDATE {name} SET doc = jsonb(?2), x = ?3 WHERE seq = ?1")).map_err(error::plain)?;
    let (mut last, mut written) = (i64::MIN, 0);
    while let Some((seq, doc, rest)) = next
        .query_row([last], |row| Ok((row.get(0)?, row.get::<_, String>(1)?, row.get::<_, Option<String>>(2)?)))
        .optional()
        .map_err(error::plain)?
    {
        let Reshaped { doc, rest } = reshape(&table.schema, was, &doc, rest.as_deref()).map_err(|e| match e {
            Failure::Json(error) => StoreError::Internal(error.into()),
            other => refuse(other.into()),
        })?;
        put.execute((seq, doc, rest)).map_err(error::plain)?;
        last = seq;
        written += 1;
        if written % TELL == 0 {
            told(written);
        }
    }
    told(written);
    Ok(())
}
