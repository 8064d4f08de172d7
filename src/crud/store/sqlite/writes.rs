//! Writes to one row: made ready by whoever asks, done by the thread that writes.

use std::sync::Arc;

use bytes::Bytes;
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, OptionalExtension, params_from_iter};

use super::collection::{SqliteCollection, Text, Texts, text};
use super::compile::{self, Statement};
use super::error;
use super::table::{self, Table, quoted};
use crate::crud::Value;
use crate::crud::store::{Expect, MAX_DOCUMENT, Outcome, Row, StoreError, Write, names};

/// A write that is ready to be done.
pub(super) struct Planned {
    table: Arc<Table>,
    work: Work,
}

enum Work {
    Insert {
        texts: Arc<Texts>,
        id: Sql,
        json: Bytes,
    },
    /// `sql` answers the version.
    Replace {
        sql: Statement,
        exists: Statement,
        json: Bytes,
    },
    /// `sql` answers the version and the document, and changes the row or leaves it as it is.
    Update {
        sql: Statement,
        exists: Statement,
    },
    Delete {
        sql: Statement,
        exists: Statement,
    },
    /// There can be no such row.
    Nothing,
}

impl SqliteCollection {
    pub(super) fn plan(&self, write: Write) -> Result<Planned, StoreError> {
        let table = Arc::clone(&self.table);
        let work = match write {
            Write::Insert(document) => {
                let (id, json) = (table.id_of(&document)?, self.encode(&document)?);
                Work::Insert { texts: Arc::clone(&self.sql), id, json }
            }
            Write::Replace(document, expect) => self.replacing(&document, expect)?,
            Write::Update(id, changes, expect) => self.updating(&id, &changes, &expect)?,
            Write::Delete(id, expect) => self.deleting(&id, &expect)?,
            Write::Leave(id, expect) => self.leaving(&id, &expect)?,
        };
        Ok(Planned { table, work })
    }

    fn replacing(&self, document: &Value<'static>, expect: Expect) -> Result<Work, StoreError> {
        let expect = &expect.in_shard_of(&self.table.schema, document);
        let json = self.encode(document)?;
        let id = self.table.id_of(document)?;
        let exists = self.exists(&id, expect)?;
        let mut sql = Statement::new(
            format!("UPDATE {} SET ver=ver+1,doc=jsonb(?) WHERE id=?", quoted(&self.table.name)),
            vec![Sql::Text(String::from_utf8_lossy(&json).into_owned()), id],
        );
        sql.expect(&self.table, expect)?;
        sql.text.push_str(" RETURNING ver");
        Ok(Work::Replace { sql, exists, json })
    }

    fn updating(
        &self,
        id: &Value<'static>,
        changes: &[(usize, Value<'static>)],
        expect: &Expect,
    ) -> Result<Work, StoreError> {
        let Some(id) = table::id(id) else { return Ok(Work::Nothing) };
        let exists = self.exists(&id, expect)?;
        let mut sql = compile::update(&self.table, changes)?;
        sql.text.push_str(" WHERE id=?");
        sql.args.push(id);
        sql.expect(&self.table, expect)?;
        sql.text.push_str(" RETURNING ver,json(doc)");
        Ok(Work::Update { sql, exists })
    }

    fn deleting(&self, id: &Value<'static>, expect: &Expect) -> Result<Work, StoreError> {
        let Some(id) = table::id(id) else { return Ok(Work::Nothing) };
        let exists = self.exists(&id, expect)?;
        let mut sql = Statement::new(format!("DELETE FROM {} WHERE id=?", quoted(&self.table.name)), vec![id]);
        sql.expect(&self.table, expect)?;
        Ok(Work::Delete { sql, exists })
    }

    fn leaving(&self, id: &Value<'static>, expect: &Expect) -> Result<Work, StoreError> {
        let Some(id) = table::id(id) else { return Ok(Work::Nothing) };
        let exists = self.exists(&id, expect)?;
        let mut sql = Statement::new(&*self.sql.get, vec![id]);
        sql.expect(&self.table, expect)?;
        Ok(Work::Update { sql, exists })
    }

    /// Asks whether there is such a row, of any version.
    fn exists(&self, id: &Sql, expect: &Expect) -> Result<Statement, StoreError> {
        let mut sql = Statement::new(&*self.sql.exists, vec![id.clone()]);
        sql.and(&self.table, &expect.only)?;
        Ok(sql)
    }
}

impl Planned {
    /// Does it; the row as it is now, or nothing when it is gone.
    pub(super) fn run(self, db: &Connection) -> Result<Outcome<Option<Row>>, StoreError> {
        let Self { table, work } = self;
        let failed = |e| error::of_write(e, &table);
        match work {
            Work::Insert { texts, id, json } => {
                let row = Row { version: names::first_version(), json };
                db.prepare_cached(&texts.insert)
                    .and_then(|mut s| s.execute((id, row.version, Text(&row.json))))
                    .map_err(failed)?;
                Ok(Outcome::Done(Some(row)))
            }
            Work::Replace { sql, exists, json } => {
                let version = db
                    .prepare_cached(&sql.text)
                    .and_then(|mut s| s.query_row(params_from_iter(sql.args), |row| row.get(0)).optional())
                    .map_err(failed)?;
                match version {
                    Some(version) => Ok(Outcome::Done(Some(Row { version, json }))),
                    None => not_done(db, exists),
                }
            }
            Work::Update { sql, exists } => {
                let row = db
                    .prepare_cached(&sql.text)
                    .and_then(|mut s| {
                        let row = |row: &rusqlite::Row<'_>| Ok(Row { version: row.get(0)?, json: text(row, 1)? });
                        s.query_row(params_from_iter(sql.args), row).optional()
                    })
                    .map_err(failed)?;
                match row {
                    Some(row) if row.json.len() > MAX_DOCUMENT => Err(StoreError::TooLarge { limit: MAX_DOCUMENT }),
                    Some(row) => Ok(Outcome::Done(Some(row))),
                    None => not_done(db, exists),
                }
            }
            Work::Delete { sql, exists } => {
                let gone = db
                    .prepare_cached(&sql.text)
                    .and_then(|mut s| s.execute(params_from_iter(sql.args)))
                    .map_err(failed)?;
                if gone > 0 { Ok(Outcome::Done(None)) } else { not_done(db, exists) }
            }
            Work::Nothing => Ok(Outcome::NotFound),
        }
    }
}

/// Why a conditional write found no row; `exists` asks for the row without its version.
fn not_done<T>(db: &Connection, exists: Statement) -> Result<Outcome<T>, StoreError> {
    let found = db.prepare_cached(&exists.text).and_then(|mut s| s.exists(params_from_iter(exists.args)));
    Ok(if found.map_err(error::plain)? { Outcome::Changed } else { Outcome::NotFound })
}
