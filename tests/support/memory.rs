//! A store of a type that the crate does not know: it keeps rows in memory, and does what it must.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use ziggurat::ConfigError;
use ziggurat::crud::query::Grouping;
use ziggurat::crud::store::{
    Changes, ChangesError, Collection, Expect, Groups, Key, Many, Once, OpenError, Outcome, Page, Row, RowError, Step,
    Store, StoreError, Write, WriteError,
};
use ziggurat::crud::{Comparison, Expr, Query, Schema, Sort, Value, json};

#[derive(Clone, Default)]
pub struct Memory(Arc<Mutex<HashMap<String, Rows>>>);

/// The rows of one schema.
#[derive(Clone)]
pub struct Rows {
    schema: Arc<Schema>,
    kept: Arc<Mutex<Vec<Kept>>>,
    last: Arc<AtomicI64>,
}

#[derive(Clone)]
struct Kept {
    version: i64,
    values: Vec<Value<'static>>,
}

fn not_done<E: From<StoreError>>() -> E {
    StoreError::Internal("the memory does no such thing".into()).into()
}

fn values(document: Value<'static>) -> Vec<Value<'static>> {
    match document {
        Value::Object(values) => values,
        other => panic!("{other:?}"),
    }
}

impl Store for Memory {
    type Collection = Rows;

    async fn open(&self, schema: Arc<Schema>) -> Result<Rows, OpenError> {
        if schema.id.is_none() {
            return Err(ConfigError::new(format!("{} has no id", schema.name)).into());
        }
        let new = || Rows { schema: schema.clone(), kept: Arc::default(), last: Arc::default() };
        Ok(self.0.lock().unwrap().entry(schema.name.clone()).or_insert_with(new).clone())
    }

    async fn transact(&self, _: Vec<(Rows, Write)>) -> Result<Vec<Option<Row>>, WriteError> {
        Err(not_done())
    }

    async fn plan(&self, _: Arc<Schema>) -> Result<Vec<Step>, OpenError> {
        Ok(Vec::new())
    }

    async fn apply(&self, _: Arc<Schema>, _: impl Fn(u64) + Send + Sync + 'static) -> Result<Vec<Step>, OpenError> {
        Ok(Vec::new())
    }

    fn describe(&self) -> String {
        "memory".to_owned()
    }

    async fn close(&self) {}
}

impl Rows {
    fn row(&self, kept: &Kept) -> Row {
        let mut json = Vec::new();
        json::write_object(&mut json, &self.schema, &kept.values);
        Row { version: kept.version, json: json.into() }
    }

    fn id_of<'k>(&self, values: &'k [Value<'static>]) -> &'k Value<'static> {
        &values[self.schema.id.unwrap()]
    }

    /// No number comes twice.
    fn version(&self, least: i64) -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as i64;
        let next = |last: i64| Some(if least > 0 { least } else { now.max(last + 1) });
        let last = self.last.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next).unwrap();
        next(last).unwrap()
    }

    /// Does `write` to the row with this id.
    fn at<T>(&self, id: &Value<'_>, expect: &Expect, write: impl FnOnce(&mut Vec<Kept>, usize) -> T) -> Outcome<T> {
        let mut kept = self.kept.lock().unwrap();
        let found = kept.iter().position(|row| self.id_of(&row.values) == id && expect.only.holds(&row.values));
        match found {
            None => Outcome::NotFound,
            Some(index) if !expect.fits(kept[index].version) => Outcome::Changed,
            Some(index) => Outcome::Done(write(&mut kept, index)),
        }
    }

    /// Whether the one comes before the other.
    fn precedes(sort: &[Sort], one: &[Value<'static>], other: &[Value<'static>]) -> bool {
        for key in sort {
            let (low, high) = if key.descending { (other, one) } else { (one, other) };
            let (low, high) = (&low[key.field], &high[key.field]);
            if low != high {
                let less = Expr::Compare { field: 0.into(), op: Comparison::Lt, value: high.clone() };
                return matches!(low, Value::Null) || less.holds(std::slice::from_ref(low));
            }
        }
        false
    }
}

impl Collection for Rows {
    async fn get(&self, id: Value<'static>, only: Expr) -> Result<Option<Row>, StoreError> {
        match self.at(&id, &Expect::any().only(only), |kept, index| self.row(&kept[index])) {
            Outcome::Done(row) => Ok(Some(row)),
            _ => Ok(None),
        }
    }

    async fn list(&self, query: Query) -> Result<Page, StoreError> {
        let mut rows = self.kept.lock().unwrap().clone();
        rows.retain(|row| query.filter.holds(&row.values));
        let order = |one: &Kept, other: &Kept| {
            let before = Self::precedes(&query.sort, &one.values, &other.values);
            if before { std::cmp::Ordering::Less } else { std::cmp::Ordering::Greater }
        };
        rows.sort_by(order);
        if let Some(after) = &query.after {
            let mut boundary = vec![Value::Null; self.schema.fields.len()];
            query.sort.iter().zip(after).for_each(|(key, value)| boundary[key.field] = value.clone());
            rows.retain(|row| Self::precedes(&query.sort, &boundary, &row.values));
        }
        let rows: Vec<_> = rows.into_iter().skip(query.offset).collect();
        let shown = &rows[..rows.len().min(query.limit)];
        let next = shown.last().filter(|_| rows.len() > shown.len());
        let next = next.map(|row| query.sort.iter().map(|key| row.values[key.field].clone()).collect());
        let items: Vec<_> = shown.iter().map(|row| self.row(row).json).collect();
        Ok(Page { items: items.join(&b',').into(), versions: shown.iter().map(|row| row.version).collect(), next })
    }

    async fn count(&self, filter: Expr) -> Result<u64, StoreError> {
        Ok(self.kept.lock().unwrap().iter().filter(|row| filter.holds(&row.values)).count() as u64)
    }

    async fn estimate(&self) -> Result<u64, StoreError> {
        self.count(Expr::True).await
    }

    async fn insert(&self, document: Value<'static>) -> Result<Row, StoreError> {
        let values = values(document);
        let mut kept = self.kept.lock().unwrap();
        if kept.iter().any(|row| self.id_of(&row.values) == self.id_of(&values)) {
            let field = self.schema.fields[self.schema.id.unwrap()].name.clone();
            return Err(StoreError::Duplicate { fields: vec![field.to_string()] });
        }
        let new = Kept { version: self.version(0), values };
        let row = self.row(&new);
        kept.push(new);
        Ok(row)
    }

    async fn replace(&self, document: Value<'static>, expect: Expect) -> Result<Outcome<Row>, StoreError> {
        let values = values(document);
        let id = self.id_of(&values).clone();
        Ok(self.at(&id, &expect, |kept, index| {
            kept[index] = Kept { version: self.version(kept[index].version + 1), values };
            self.row(&kept[index])
        }))
    }

    async fn update(
        &self,
        id: Value<'static>,
        changes: Vec<(usize, Value<'static>)>,
        expect: Expect,
    ) -> Result<Outcome<Row>, StoreError> {
        Ok(self.at(&id, &expect, |kept, index| {
            kept[index].version = self.version(kept[index].version + 1);
            changes.into_iter().for_each(|(field, value)| kept[index].values[field] = value);
            self.row(&kept[index])
        }))
    }

    async fn delete(&self, id: Value<'static>, expect: Expect) -> Result<Outcome<()>, StoreError> {
        Ok(self.at(&id, &expect, |kept, index| drop(kept.remove(index))))
    }

    fn has_transactions(&self) -> bool {
        false
    }

    async fn group(&self, _: Grouping) -> Result<Groups, StoreError> {
        Err(not_done())
    }
    async fn insert_all(&self, _: Vec<Value<'static>>) -> Result<Vec<Row>, RowError> {
        Err(not_done())
    }
    async fn import(&self, _: Vec<(Value<'static>, i64)>) -> Result<(), RowError> {
        Err(not_done())
    }
    async fn keep_keys(&self) -> Result<(), OpenError> {
        Err(not_done())
    }
    async fn recall(&self, _: Key) -> Result<Option<Once>, StoreError> {
        Err(not_done())
    }
    async fn once(&self, _: Vec<Write>, _: Key) -> Result<Once, WriteError> {
        Err(not_done())
    }
    async fn update_all(&self, _: Expr, _: Vec<(usize, Value<'static>)>, _: u64) -> Result<Many, StoreError> {
        Err(not_done())
    }
    async fn delete_all(&self, _: Expr, _: u64) -> Result<Many, StoreError> {
        Err(not_done())
    }
    async fn keep_changes(&self) -> Result<(), OpenError> {
        Err(not_done())
    }
    async fn changes(&self, _: Option<String>) -> Result<Changes, ChangesError> {
        Err(not_done())
    }
}
