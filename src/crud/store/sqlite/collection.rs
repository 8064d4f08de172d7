//! The operations on one table.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use rusqlite::types::{Value as Sql, ValueRef};
use rusqlite::{Connection, OptionalExtension, params_from_iter};

use super::compile::{self, Statement};
use super::table::{Table, quoted};
use super::{SqliteStore, changes, error, group, keys, transact};
use crate::crud::query::Grouping;
use crate::crud::store::{
    Changes, ChangesError, Collection, Expect, Groups, Key, MAX_DOCUMENT, Many, Once, OpenError, Outcome, Page, Row,
    RowError, StoreError, Write, WriteError, names,
};
use crate::crud::{Expr, Query, Value, json};

/// Rows of one schema in a SQLite store.
#[derive(Debug, Clone)]
pub struct SqliteCollection {
    pub(super) store: SqliteStore,
    pub(super) table: Arc<Table>,
    pub(super) sql: Arc<Texts>,
}

/// Statements that are the same each time.
#[derive(Debug)]
pub(super) struct Texts {
    pub(super) get: String,
    pub(super) exists: String,
    pub(super) insert: String,
}

impl SqliteCollection {
    pub(super) fn new(store: SqliteStore, table: Arc<Table>) -> Self {
        let name = quoted(&table.name);
        let sql = Texts {
            get: format!("SELECT ver,json(doc) FROM {name} WHERE id=?"),
            exists: format!("SELECT 1 FROM {name} WHERE id=?"),
            insert: format!("INSERT INTO {name}(id,ver,doc) VALUES(?1,?2,jsonb(?3))"),
        };
        Self { store, table, sql: Arc::new(sql) }
    }

    /// The document as canonical JSON, if it is not too large.
    pub(super) fn encode(&self, document: &Value<'_>) -> Result<Bytes, StoreError> {
        let json = json::document(&self.table.schema, document);
        if json.len() > MAX_DOCUMENT { Err(StoreError::TooLarge { limit: MAX_DOCUMENT }) } else { Ok(json) }
    }
}

impl SqliteCollection {
    /// Does one write.
    async fn change(&self, write: Write) -> Result<Outcome<Option<Row>>, StoreError> {
        let planned = self.plan(write)?;
        let answer = self.store.write(move |db| planned.run(db))?;
        self.store.answered(answer).await
    }

    /// Does a write after which there is a row.
    async fn changed(&self, write: Write) -> Result<Outcome<Row>, StoreError> {
        Ok(match self.change(write).await? {
            Outcome::Done(Some(row)) => Outcome::Done(row),
            Outcome::Done(None) | Outcome::NotFound => Outcome::NotFound,
            Outcome::Changed => Outcome::Changed,
        })
    }

    /// Adds all documents or none, each with the version that is given or a first one.
    async fn add_all(&self, documents: Vec<(Value<'static>, Option<i64>)>) -> Result<Vec<Row>, RowError> {
        let mut encoded = Vec::with_capacity(documents.len());
        for (index, (document, version)) in documents.iter().enumerate() {
            let json = self.encode(document).map_err(|error| RowError { index, error })?;
            encoded.push((self.table.id_of(document)?, json, *version));
        }
        let (table, texts) = (Arc::clone(&self.table), Arc::clone(&self.sql));
        let refused = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&refused);
        let answer = self.store.write(move |db| {
            let mut insert = db.prepare_cached(&texts.insert).map_err(error::plain)?;
            let add = |(index, (id, json, version)): (usize, (Sql, Bytes, Option<i64>))| {
                let row = Row { version: version.unwrap_or_else(names::first_version), json };
                // An error undoes the savepoint, and with it all that were added.
                insert.execute((id, row.version, Text(&row.json))).map(|_| row).map_err(|e| {
                    seen.store(index, Ordering::Relaxed);
                    error::of_write(e, &table)
                })
            };
            encoded.into_iter().enumerate().map(add).collect()
        })?;
        let rows = self.store.answered(answer).await;
        rows.map_err(|error| RowError { index: refused.load(Ordering::Relaxed), error })
    }

    /// Writes to all rows for which `filter` holds, or to none when there are more than `most`. `sql` writes, and answers for
    /// each row how large it is now.
    async fn write_all(&self, sql: Statement, filter: &Expr, most: u64) -> Result<Many, StoreError> {
        let table = Arc::clone(&self.table);
        let count = compile::count_until(&table, filter, most)?;
        let answer = self.store.write(move |db| {
            // The one writer: nobody comes between the counting and the writing.
            let found: i64 = db
                .prepare_cached(&count.text)
                .and_then(|mut s| s.query_row(params_from_iter(count.args), |row| row.get(0)))
                .map_err(error::plain)?;
            if found.unsigned_abs() > most {
                return Ok(Many::TooMany);
            }
            let failed = |e| error::of_write(e, &table);
            let mut statement = db.prepare_cached(&sql.text).map_err(failed)?;
            let mut rows = statement.query(params_from_iter(sql.args)).map_err(failed)?;
            let mut written = 0;
            while let Some(row) = rows.next().map_err(failed)? {
                if row.get::<_, isize>(0).map_err(error::plain)?.unsigned_abs() > MAX_DOCUMENT {
                    return Err(StoreError::TooLarge { limit: MAX_DOCUMENT });
                }
                written += 1;
            }
            Ok(Many::Done(written))
        })?;
        self.store.answered(answer).await
    }
}

/// The bytes of a text column.
pub(super) fn text(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Bytes> {
    match row.get_ref(column)? {
        ValueRef::Text(text) => Ok(Bytes::copy_from_slice(text)),
        other => Err(rusqlite::Error::InvalidColumnType(column, "doc".into(), other.data_type())),
    }
}

fn page(db: &Connection, table: &Table, query: &Query) -> Result<Page, StoreError> {
    let (sql, keys) = compile::page(table, query)?;
    let mut statement = db.prepare_cached(&sql.text).map_err(error::plain)?;
    let mut rows = statement.query(params_from_iter(sql.args)).map_err(error::plain)?;
    let mut items = Vec::new();
    let mut versions = Vec::new();
    let mut last = Vec::new();
    let mut next = None;
    while let Some(row) = rows.next().map_err(error::plain)? {
        if versions.len() == query.limit {
            next = Some(std::mem::take(&mut last));
            break;
        }
        if !versions.is_empty() {
            items.push(b',');
        }
        versions.push(row.get(0).map_err(error::plain)?);
        match row.get_ref(1).map_err(error::plain)? {
            ValueRef::Text(text) => items.extend_from_slice(text),
            _ => return Err(StoreError::Internal("a stored document is no JSON".into())),
        }
        if versions.len() == query.limit {
            for (index, key) in keys.iter().enumerate() {
                last.push(table.unbind(key.field, row.get_ref(index + 2).map_err(error::plain)?)?);
            }
        }
    }
    Ok(Page { items: items.into(), versions, next })
}

impl Collection for SqliteCollection {
    async fn get(&self, id: Value<'static>, only: Expr) -> Result<Option<Row>, StoreError> {
        let Some(id) = super::table::id(&id) else { return Ok(None) };
        let mut sql = Statement::new(&*self.sql.get, vec![id]);
        sql.and(&self.table, &only)?;
        let answer = self.store.read(move |db| {
            let row = |row: &rusqlite::Row<'_>| Ok(Row { version: row.get(0)?, json: text(row, 1)? });
            db.prepare_cached(&sql.text)
                .and_then(|mut s| s.query_row(params_from_iter(&sql.args), row).optional())
                .map_err(error::plain)
        })?;
        self.store.answered(answer).await
    }

    async fn list(&self, query: Query) -> Result<Page, StoreError> {
        let table = Arc::clone(&self.table);
        let answer = self.store.read(move |db| page(db, &table, &query))?;
        self.store.answered(answer).await
    }

    fn writes(&self) -> Option<u64> {
        self.store.writes()
    }

    async fn count(&self, filter: Expr) -> Result<u64, StoreError> {
        let sql = compile::count(&self.table, &filter)?;
        let answer = self.store.read(move |db| {
            db.prepare_cached(&sql.text)
                .and_then(|mut s| s.query_row(params_from_iter(&sql.args), |row| row.get(0)))
                .map(i64::unsigned_abs)
                .map_err(error::plain)
        })?;
        self.store.answered(answer).await
    }

    async fn estimate(&self) -> Result<u64, StoreError> {
        // Walks over the smallest index, without a row.
        self.count(Expr::True).await
    }

    async fn group(&self, grouping: Grouping) -> Result<Groups, StoreError> {
        let compiled = group::compile(&self.table, &grouping)?;
        let answer = self.store.read(move |db| group::run(db, &compiled))?;
        self.store.answered(answer).await
    }

    async fn insert(&self, document: Value<'static>) -> Result<Row, StoreError> {
        match self.change(Write::Insert(document)).await? {
            Outcome::Done(Some(row)) => Ok(row),
            _ => Err(StoreError::Internal("a row that was added is not there".into())),
        }
    }

    async fn insert_all(&self, documents: Vec<Value<'static>>) -> Result<Vec<Row>, RowError> {
        self.add_all(documents.into_iter().map(|document| (document, None)).collect()).await
    }

    async fn keep_keys(&self) -> Result<(), OpenError> {
        let answer = self.store.write(keys::keep)?;
        Ok(self.store.answered(answer).await?)
    }

    async fn recall(&self, key: Key) -> Result<Option<Once>, StoreError> {
        let answer = self.store.read(move |db| keys::recall(db, &key))?;
        self.store.answered(answer).await
    }

    async fn once(&self, writes: Vec<Write>, key: Key) -> Result<Once, WriteError> {
        transact::once(self, writes, key).await
    }

    async fn import(&self, rows: Vec<(Value<'static>, i64)>) -> Result<(), RowError> {
        self.add_all(rows.into_iter().map(|(row, version)| (row, Some(version))).collect()).await.map(drop)
    }

    fn has_transactions(&self) -> bool {
        true
    }

    async fn replace(&self, document: Value<'static>, expect: Expect) -> Result<Outcome<Row>, StoreError> {
        self.changed(Write::Replace(document, expect)).await
    }

    async fn update(
        &self,
        id: Value<'static>,
        changes: Vec<(usize, Value<'static>)>,
        expect: Expect,
    ) -> Result<Outcome<Row>, StoreError> {
        self.changed(Write::Update(id, changes, expect)).await
    }

    async fn delete(&self, id: Value<'static>, expect: Expect) -> Result<Outcome<()>, StoreError> {
        Ok(self.change(Write::Delete(id, expect)).await?.map(drop))
    }

    async fn update_all(
        &self,
        filter: Expr,
        changes: Vec<(usize, Value<'static>)>,
        most: u64,
    ) -> Result<Many, StoreError> {
        let mut sql = compile::update(&self.table, &changes)?;
        sql.text.push_str(" WHERE ");
        sql.filter(&self.table, &filter)?;
        sql.text.push_str(" RETURNING octet_length(json(doc))");
        self.write_all(sql, &filter, most).await
    }

    async fn delete_all(&self, filter: Expr, most: u64) -> Result<Many, StoreError> {
        let mut sql = Statement::new(format!("DELETE FROM {} WHERE ", quoted(&self.table.name)), Vec::new());
        sql.filter(&self.table, &filter)?;
        sql.text.push_str(" RETURNING 0");
        self.write_all(sql, &filter, most).await
    }

    async fn keep_changes(&self) -> Result<(), OpenError> {
        let table = Arc::clone(&self.table);
        let answer = self.store.write(move |db| changes::keep(db, &table))?;
        Ok(self.store.answered(answer).await?)
    }

    async fn changes(&self, after: Option<String>) -> Result<Changes, ChangesError> {
        changes::changes(&self.store, &self.table, after).await
    }
}

/// Canonical JSON, bound as text without a copy.
pub(super) struct Text<'a>(pub(super) &'a [u8]);

impl rusqlite::ToSql for Text<'_> {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        Ok(rusqlite::types::ToSqlOutput::Borrowed(ValueRef::Text(self.0)))
    }
}
