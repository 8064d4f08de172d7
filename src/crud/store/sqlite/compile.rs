//! Queries to SQL.
//!
//! Names come from the schema and values are always parameters: nothing that a client sent is ever part of the text.

use rusqlite::types::Value as Sql;

use super::functions;
use super::table::{self, Table};
use crate::crud::store::{Expect, StoreError, names};
use crate::crud::{Comparison, Expr, Path, Query, Sort, Value, json};

/// SQL text and its parameters in order.
#[derive(Debug, Default)]
pub(super) struct Statement {
    pub(super) text: String,
    pub(super) args: Vec<Sql>,
}

/// Counts the rows for which `filter` holds.
pub(super) fn count(table: &Table, filter: &Expr) -> Result<Statement, StoreError> {
    let mut sql = Statement { text: format!("SELECT count(*) FROM \"{}\" WHERE ", table.name), args: Vec::new() };
    sql.filter(table, filter)?;
    Ok(sql)
}

/// Counts the rows for which `filter` holds, up to one more than `most`.
pub(super) fn count_until(table: &Table, filter: &Expr, most: u64) -> Result<Statement, StoreError> {
    let mut sql =
        Statement { text: format!("SELECT count(*) FROM (SELECT 1 FROM \"{}\" WHERE ", table.name), args: Vec::new() };
    sql.filter(table, filter)?;
    sql.text.push_str(" LIMIT ?)");
    sql.args.push(Sql::Integer(i64::try_from(most).unwrap_or(i64::MAX - 1) + 1));
    Ok(sql)
}

/// Sets fields, given by index, and counts the version up; the text ends before the `WHERE`.
pub(super) fn update(table: &Table, changes: &[(usize, Value<'static>)]) -> Result<Statement, StoreError> {
    let mut sql = Statement::new(format!("UPDATE \"{}\" SET ver=ver+1", table.name), Vec::new());
    for (count, (index, value)) in changes.iter().enumerate() {
        let field = table.schema.fields.get(*index).filter(|field| *index != table.id && !field.shard_key);
        let Some(field) = field else {
            return Err(StoreError::Internal("a change of the id, of the shard key or of no field".into()));
        };
        sql.text.push_str(if count == 0 { ",doc=jsonb_set(doc" } else { "" });
        sql.text.push_str(",'$.\"");
        sql.text.push_str(&field.name);
        sql.text.push_str("\"',jsonb(?)");
        let mut json = Vec::new();
        json::write_value(&mut json, &field.kind, value);
        sql.args.push(Sql::Text(String::from_utf8_lossy(&json).into_owned()));
    }
    if !changes.is_empty() {
        sql.text.push(')');
    }
    Ok(sql)
}

/// Selects version, document and keys of one row more than a page holds.
pub(super) fn page(table: &Table, query: &Query) -> Result<(Statement, Vec<Sort>), StoreError> {
    let keys = names::keys(&table.schema, query, table.id)?;
    let mut sql = Statement::default();
    sql.text.push_str("SELECT ver,json(doc)");
    for key in &keys {
        sql.text.push(',');
        sql.text.push_str(&table.columns[key.field]);
    }
    sql.text.push_str(" FROM \"");
    sql.text.push_str(&table.name);
    sql.text.push_str("\" WHERE ");
    sql.filter(table, &query.filter)?;
    if let Some(after) = &query.after {
        sql.text.push_str(" AND ");
        sql.after(table, &keys, after)?;
    }
    sql.text.push_str(" ORDER BY ");
    for (index, key) in keys.iter().enumerate() {
        if index > 0 {
            sql.text.push(',');
        }
        sql.text.push_str(&table.columns[key.field]);
        if key.descending {
            sql.text.push_str(" DESC");
        }
    }
    sql.text.push_str(" LIMIT ?");
    sql.args.push(Sql::Integer(i64::try_from(query.limit).unwrap_or(i64::MAX - 1) + 1));
    if query.offset > 0 {
        sql.text.push_str(" OFFSET ?");
        sql.args.push(Sql::Integer(i64::try_from(query.offset).unwrap_or(i64::MAX)));
    }
    Ok((sql, keys))
}

/// SQL's word for a comparison; of those only `IS NOT` is two-valued.
const fn operator(op: Comparison) -> &'static str {
    match op {
        Comparison::Eq => "=",
        Comparison::Ne => " IS NOT ",
        Comparison::Gt => ">",
        Comparison::Ge => ">=",
        Comparison::Lt => "<",
        Comparison::Le => "<=",
    }
}

impl Statement {
    /// Text to which a condition is to be added, with the parameters in it.
    pub(super) fn new(text: impl Into<String>, args: Vec<Sql>) -> Self {
        Self { text: text.into(), args }
    }

    /// ` AND (..)`, unless it holds for every row.
    pub(super) fn and(&mut self, table: &Table, only: &Expr) -> Result<(), StoreError> {
        if *only == Expr::True {
            return Ok(());
        }
        self.text.push_str(" AND ");
        self.filter(table, only)
    }

    /// ` AND ver IN (..) AND (..)`
    pub(super) fn expect(&mut self, table: &Table, expect: &Expect) -> Result<(), StoreError> {
        if let Some(versions) = &expect.versions {
            self.text.push_str(" AND ver");
            let versions: Vec<_> = versions.iter().map(|version| Value::Int(*version)).collect();
            self.choices(&versions, table::item)?;
        }
        self.and(table, &expect.only)
    }

    /// A predicate in brackets. Inside it SQL's third truth value may occur, which counts as false; only a negation would
    /// let it through, so that asks `IS NOT TRUE`.
    pub(super) fn filter(&mut self, table: &Table, expr: &Expr) -> Result<(), StoreError> {
        match expr {
            Expr::True => self.text.push('1'),
            Expr::And(parts) => self.joined(table, parts, " AND ", "1")?,
            Expr::Or(parts) => self.joined(table, parts, " OR ", "0")?,
            Expr::Not(inner) => {
                self.text.push('(');
                self.filter(table, inner)?;
                self.text.push_str(" IS NOT TRUE)");
            }
            Expr::Compare { field, op, value } => {
                names::scalar(&table.schema, field)?;
                self.text.push('(');
                self.compare(table, field, operator(*op), value)?;
                self.text.push(')');
            }
            Expr::In { values, .. } if values.is_empty() => self.text.push('0'),
            Expr::In { field, values } => {
                names::scalar(&table.schema, field)?;
                self.text.push('(');
                self.text.push_str(&table.value_at(field)?);
                self.choices(values, |value| table.bind(field, value))?;
                self.text.push(')');
            }
            Expr::IsNull { field } => {
                self.text.push('(');
                self.text.push_str(&table.value_at(field)?);
                self.text.push_str(" IS NULL)");
            }
            Expr::Like { field, pattern } => {
                names::scalar(&table.schema, field)?;
                let value = table.value_at(field)?;
                self.text.push('(');
                if let Some(key) = names::folded_key(&table.schema, field, pattern) {
                    // Says nothing new, but lets SQLite look into the index.
                    self.text.push_str(&format!("{}({value})=? AND ", functions::FOLD));
                    self.args.push(Sql::Text(key));
                }
                self.text.push_str(&format!("{}({value},?))", functions::LIKE));
                self.args.push(Sql::Text(pattern.anchored()));
            }
            Expr::Has { values, .. } if values.is_empty() => self.text.push('0'),
            Expr::Has { field, values } => {
                let item = names::item(&table.schema, field)?;
                self.text.push_str("EXISTS(SELECT 1 FROM json_each(doc,");
                self.text.push_str(&table.json_path(field)?);
                self.text.push_str(") WHERE ");
                self.text.push_str(&table::ordered(item, "value"));
                self.choices(values, table::item)?;
                self.text.push(')');
            }
            Expr::HasKey { field, key } => {
                names::map(&table.schema, field)?;
                self.text.push_str("EXISTS(SELECT 1 FROM json_each(doc,");
                self.text.push_str(&table.json_path(field)?);
                self.text.push_str(") WHERE key=?)");
                self.args.push(Sql::Text(key.clone()));
            }
            Expr::Search { words } => {
                let name = super::search::name(table);
                self.text.push_str(&format!("(seq IN (SELECT rowid FROM \"{name}\" WHERE \"{name}\" MATCH ?))"));
                self.args.push(Sql::Text(super::search::matching(words)));
            }
            Expr::Caller(never) => match *never {},
            Expr::Length { field, op, length } => {
                names::item(&table.schema, field)?;
                let path = table.json_path(field)?;
                // SQLite takes a null for an array without items.
                self.text.push_str("(CASE json_type(doc,");
                self.text.push_str(&path);
                self.text.push_str(") WHEN 'array' THEN json_array_length(doc,");
                self.text.push_str(&path);
                self.text.push_str(") END");
                self.text.push_str(operator(*op));
                self.text.push_str("?)");
                self.args.push(Sql::Integer(i64::try_from(*length).unwrap_or(i64::MAX)));
            }
        }
        Ok(())
    }

    fn joined(&mut self, table: &Table, parts: &[Expr], word: &str, none: &str) -> Result<(), StoreError> {
        self.text.push('(');
        if parts.is_empty() {
            self.text.push_str(none);
        }
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                self.text.push_str(word);
            }
            self.filter(table, part)?;
        }
        self.text.push(')');
        Ok(())
    }

    /// ` IN (?,?)`
    fn choices(
        &mut self,
        values: &[Value<'_>],
        bind: impl Fn(&Value<'_>) -> Result<Sql, StoreError>,
    ) -> Result<(), StoreError> {
        self.text.push_str(" IN (");
        for (index, value) in values.iter().enumerate() {
            self.text.push_str(if index > 0 { ",?" } else { "?" });
            self.args.push(bind(value)?);
        }
        self.text.push(')');
        Ok(())
    }

    fn compare(&mut self, table: &Table, field: &Path, op: &str, value: &Value<'_>) -> Result<(), StoreError> {
        self.text.push_str(&table.value_at(field)?);
        self.text.push_str(op);
        self.text.push('?');
        self.args.push(table.bind(field, value)?);
        Ok(())
    }

    /// Only what comes after a boundary.
    fn after(&mut self, table: &Table, keys: &[Sort], after: &[Value<'_>]) -> Result<(), StoreError> {
        let never_null = |key: &Sort| !table.schema.fields[key.field].kind.inner().1;
        let descending = keys[0].descending;
        if keys.iter().all(|key| key.descending == descending && never_null(key)) {
            return self.row_value(table, keys, after, descending);
        }
        self.text.push('(');
        // Says nothing new, but lets SQLite start in an index instead of reading it from one end.
        if never_null(&keys[0]) || !(descending || after[0] == Value::Null) {
            self.compare(table, &keys[0].field.into(), if descending { "<=" } else { ">=" }, &after[0])?;
            self.text.push_str(" AND ");
        }
        self.text.push('(');
        for last in 0..keys.len() {
            self.text.push_str(if last > 0 { " OR (" } else { "(" });
            for (key, value) in keys[..last].iter().zip(after) {
                self.compare(table, &key.field.into(), " IS ", value)?;
                self.text.push_str(" AND ");
            }
            self.beyond(table, keys[last], &after[last])?;
            self.text.push(')');
        }
        self.text.push_str("))");
        Ok(())
    }

    /// `(f_age,id)>(?,?)`, for which SQLite walks the index from the boundary on.
    fn row_value(&mut self, table: &Table, keys: &[Sort], after: &[Value<'_>], less: bool) -> Result<(), StoreError> {
        let columns: Vec<_> = keys.iter().map(|key| table.columns[key.field].as_str()).collect();
        self.text.push('(');
        self.text.push_str(&columns.join(","));
        self.text.push_str(if less { ")<(?" } else { ")>(?" });
        self.text.push_str(&",?".repeat(keys.len() - 1));
        self.text.push(')');
        for (key, value) in keys.iter().zip(after) {
            self.args.push(table.bind(&key.field.into(), value)?);
        }
        Ok(())
    }

    /// One key beyond its boundary; null is the least value.
    fn beyond(&mut self, table: &Table, key: Sort, value: &Value<'_>) -> Result<(), StoreError> {
        let column = &table.columns[key.field];
        match (key.descending, value) {
            (false, Value::Null) => {
                self.text.push_str(column);
                self.text.push_str(" IS NOT NULL");
            }
            (true, Value::Null) => self.text.push('0'),
            (false, value) => self.compare(table, &key.field.into(), ">", value)?,
            (true, value) => {
                self.text.push('(');
                self.compare(table, &key.field.into(), "<", value)?;
                self.text.push_str(" OR ");
                self.text.push_str(column);
                self.text.push_str(" IS NULL)");
            }
        }
        Ok(())
    }
}
