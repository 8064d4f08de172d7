//! The rows of a model as code uses them, beside the clients of a service.

use std::fmt;
use std::sync::Arc;

use super::schema::validate;
use super::store::{RowError, StoreError, Write};
use super::{Collection, Expect, Expr, Outcome, Path, Query, Row, Schema, Sort, Value, Walk};
use crate::ConfigError;

/// The rows of a model: JSON in and out, checked as the body of a request is.
///
/// Code is no client: it sees and sets every field, no policy stands before it, and only what it asks for is compared.
///
/// ```
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
///
/// use ziggurat::crud::store::AnyStore;
/// use ziggurat::crud::{Expr, Outcome, Rows, Schema, Store};
///
/// let schema = Arc::new(Schema::from_description(
///     r#"{"name": "Cat", "id": "id", "fields": [
///         {"name": "id", "type": {"type": "int"}},
///         {"name": "age", "type": {"type": "int"}}
///     ]}"#,
/// )?);
/// let store = AnyStore::open_url("sqlite:///:memory:").await?;
/// let cats = Rows::new(schema.clone(), store.open(schema.clone()).await?)?;
///
/// let cat = cats.insert(br#"{"id": 1, "age": 9}"#).await?;
/// let Outcome::Done(cat) = cats.replace(br#"{"id": 1, "age": 10}"#, Some(cat.version)).await? else { panic!("others wrote it") };
/// let adult = Expr::from_description(&schema, r#"["compare", "age", "ge", {"value": 2}]"#)?;
/// let mut walk = cats.find(adult, &["-age".to_owned()], 0, 20, 100)?;
/// while let Some(page) = walk.next().await? {
///     assert_eq!(&page.items[..], &cat.json[..]);
/// }
/// store.close().await;
/// # Ok(())
/// # }
/// # tokio::runtime::Runtime::new().unwrap().block_on(run()).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct Rows<C> {
    schema: Arc<Schema>,
    id: usize,
    collection: C,
    /// Rows that are marked as deleted are there, too.
    deleted: bool,
    /// The rows of one shard key.
    shard: Expr,
}

impl<C: Collection> Rows<C> {
    /// Those of `collection`, which was opened for `schema`.
    ///
    /// # Errors
    /// When the schema has no id.
    pub fn new(schema: Arc<Schema>, collection: C) -> Result<Self, ConfigError> {
        match schema.id {
            Some(id) => Ok(Self { schema, id, collection, deleted: false, shard: Expr::True }),
            None => Err(ConfigError::new(format!("{} has no id, so its rows cannot be told apart", schema.name))),
        }
    }

    /// The model.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// The same with those rows that are marked as deleted, which are not there otherwise.
    #[must_use]
    pub fn with_deleted(mut self) -> Self {
        self.deleted = true;
        self
    }

    /// The same of those rows whose [shard key](Schema::shard_by) is this, which is given as JSON. What is known of a row need not be
    /// looked up to write it.
    ///
    /// # Errors
    /// When the schema has no shard key, or it cannot be that.
    pub fn in_shard(mut self, key: &[u8]) -> Result<Self, RowsError> {
        let Some(index) = self.schema.shard_key() else {
            return Err(RowsError::Invalid(format!("{} has no shard key", self.schema.name)));
        };
        let field = &self.schema.fields[index];
        let value = validate::value(&field.kind, key).map_err(|rejection| {
            let (given, model) = (String::from_utf8_lossy(key), &self.schema.name);
            RowsError::Invalid(format!("{given} is no {} of {model}: it {rejection}", field.name))
        })?;
        self.shard = Expr::equal(Path::from(index), value.into_owned());
        Ok(self)
    }

    fn there(&self) -> Expr {
        let there = if self.deleted { Expr::True } else { self.schema.alive() };
        there.and(self.shard.clone())
    }

    /// What is demanded of a row that is written.
    fn expect(&self, version: Option<i64>) -> Expect {
        version.map_or(Expect::any(), |version| Expect::versions(vec![version])).only(self.shard.clone())
    }

    /// The row with this id, which is given as JSON.
    ///
    /// # Errors
    /// When that is no id of the model, or the store fails.
    pub async fn get(&self, id: &[u8]) -> Result<Option<Row>, RowsError> {
        Ok(self.collection.get(self.id(id)?, self.there()).await?)
    }

    /// Adds a row. A UUID that is left out is made.
    ///
    /// # Errors
    /// When the document breaks the rules of the model, another row has its id or a value that must be unique, or the store fails.
    pub async fn insert(&self, document: &[u8]) -> Result<Row, RowsError> {
        Ok(self.collection.insert(self.read(document)?).await?)
    }

    /// Adds all rows or none.
    ///
    /// # Errors
    /// As [`insert`](Self::insert), for the first row that is refused; and when the store has no transactions.
    pub async fn insert_all(&self, documents: &[Vec<u8>]) -> Result<Vec<Row>, RowsError> {
        if documents.len() > 1 && !self.collection.has_transactions() {
            return Err(RowsError::Unsupported(
                "this store has no transactions, so several rows cannot be added as one",
            ));
        }
        let documents = documents.iter().map(|document| self.read(document)).collect::<Result<Vec<_>, _>>()?;
        Ok(self.collection.insert_all(documents).await?)
    }

    /// Puts the document in the place of the row with its id, if that is of this version.
    ///
    /// # Errors
    /// As [`insert`](Self::insert), and when the row has another shard key, which cannot be changed.
    pub async fn replace(&self, document: &[u8], version: Option<i64>) -> Result<Outcome<Row>, RowsError> {
        let document = self.renewed(document)?;
        let place = self.place_of(&document);
        let replaced = self.collection.replace(document, self.expect(version)).await?;
        self.unless_moved(replaced, place).await
    }

    /// Removes the row with this id, which is given as JSON, if it is of this version. Where the model says so it is marked as
    /// deleted instead, and a second time it is not there.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn delete(&self, id: &[u8], version: Option<i64>) -> Result<Outcome<()>, RowsError> {
        let Some(changes) = self.schema.deleting() else { return self.purge(id, version).await };
        let id = self.id(id)?;
        let expect = self.expect(version).only(self.schema.alive());
        let deleted = match self.collection.update(id.clone(), changes, expect).await? {
            Outcome::Done(_) => Outcome::Done(()),
            Outcome::NotFound => Outcome::NotFound,
            Outcome::Changed => Outcome::Changed,
        };
        self.unless_moved(deleted, Place { id, shard: self.shard.clone() }).await
    }

    /// Removes the row with this id, marked as deleted or not, if it is of this version.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn purge(&self, id: &[u8], version: Option<i64>) -> Result<Outcome<()>, RowsError> {
        let id = self.id(id)?;
        let deleted = self.collection.delete(id.clone(), self.expect(version)).await?;
        self.unless_moved(deleted, Place { id, shard: self.shard.clone() }).await
    }

    /// How many rows hold.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn count(&self, filter: Expr) -> Result<u64, RowsError> {
        Ok(self.collection.count(filter.and(self.there())).await?)
    }

    /// The rows that hold: the first `limit` after `offset` in the order of the named fields, `-` before one for largest first.
    ///
    /// # Errors
    /// When rows cannot be sorted so.
    pub fn find(
        &self,
        filter: Expr,
        sort: &[String],
        offset: usize,
        limit: usize,
        page: usize,
    ) -> Result<Walk<C>, ConfigError> {
        let sort = Sort::total(&self.schema, sort)?;
        let query = Query { filter: filter.and(self.there()), sort, limit, offset, after: None };
        Ok(Walk::new(self.collection.clone(), query, page))
    }

    /// A row that is to be added, for [`Store::transact`](super::Store::transact).
    ///
    /// # Errors
    /// When the document breaks the rules of the model.
    pub fn to_insert(&self, document: &[u8]) -> Result<(C, Write), RowsError> {
        Ok((self.collection.clone(), Write::Insert(self.read(document)?)))
    }

    /// A document that is to be put in the place of the row with its id, if that is of this version.
    ///
    /// # Errors
    /// As [`to_insert`](Self::to_insert).
    pub fn to_replace(&self, document: &[u8], version: Option<i64>) -> Result<(C, Write), RowsError> {
        Ok((self.collection.clone(), Write::Replace(self.renewed(document)?, self.expect(version))))
    }

    /// A row that is to be removed, or marked as deleted where the model says so, if it is of this version.
    ///
    /// # Errors
    /// When that is no id of the model.
    pub fn to_delete(&self, id: &[u8], version: Option<i64>) -> Result<(C, Write), RowsError> {
        let (id, expect) = (self.id(id)?, self.expect(version));
        let write = match self.schema.deleting() {
            Some(changes) => Write::Update(id, changes, expect.only(self.schema.alive())),
            None => Write::Delete(id, expect),
        };
        Ok((self.collection.clone(), write))
    }

    /// What became of a write to a row; that the row has another shard key than it was told is an error of its own.
    async fn unless_moved<T>(&self, outcome: Outcome<T>, place: Place) -> Result<Outcome<T>, RowsError> {
        if matches!(outcome, Outcome::NotFound) {
            self.refuse_move(place).await?;
        }
        Ok(outcome)
    }

    /// Tells of a row that was not found because it has another shard key.
    ///
    /// # Errors
    /// When that is so.
    pub(crate) async fn refuse_move(&self, Place { id, shard }: Place) -> Result<(), RowsError> {
        let Some(key) = self.schema.shard_key().filter(|_| shard != Expr::True) else { return Ok(()) };
        if self.collection.get(id, Expr::Not(Box::new(shard))).await?.is_none() {
            return Ok(());
        }
        let (model, field) = (&self.schema.name, &self.schema.fields[key].name);
        Err(RowsError::Invalid(format!(
            "the {model} with this id has another {field}: it is the shard key, which cannot be changed"
        )))
    }

    /// The row that a write is meant for, if there is to be one.
    #[cfg(feature = "python")]
    pub(crate) fn place(&self, write: &Write) -> Option<Place> {
        match write {
            Write::Insert(_) => None,
            Write::Replace(document, _) => Some(self.place_of(document)),
            Write::Update(id, ..) | Write::Delete(id, _) | Write::Leave(id, _) => {
                Some(Place { id: id.clone(), shard: self.shard.clone() })
            }
        }
    }

    fn place_of(&self, document: &Value<'static>) -> Place {
        let Value::Object(values) = document else { return Place { id: Value::Null, shard: Expr::True } };
        let id = values.get(self.id).cloned().unwrap_or(Value::Null);
        Place { id, shard: self.schema.in_shard_of(values) }
    }

    /// The document with what each write makes anew.
    fn renewed(&self, document: &[u8]) -> Result<Value<'static>, RowsError> {
        let mut values = self.values(document)?;
        for (field, value) in validate::renewed(&self.schema) {
            values[field] = value;
        }
        Ok(Value::Object(values))
    }

    fn read(&self, document: &[u8]) -> Result<Value<'static>, RowsError> {
        self.values(document).map(Value::Object)
    }

    fn values(&self, document: &[u8]) -> Result<Vec<Value<'static>>, RowsError> {
        validate::whole(&self.schema, document).map_err(|rejection| {
            RowsError::Invalid(format!("the {} breaks the rules of its model: {rejection}", self.schema.name))
        })
    }

    fn id(&self, json: &[u8]) -> Result<Value<'static>, RowsError> {
        let id = validate::value(&self.schema.fields[self.id].kind, json);
        id.map(Value::into_owned).map_err(|rejection| {
            let given = String::from_utf8_lossy(json);
            RowsError::Invalid(format!("{given} is no id of {}: it {rejection}", self.schema.name))
        })
    }
}

/// A row that a write is meant for.
pub(crate) struct Place {
    id: Value<'static>,
    /// What is known of where it is.
    shard: Expr,
}

/// Why rows were not read or written.
#[derive(Debug)]
#[non_exhaustive]
pub enum RowsError {
    /// A document breaks the rules of the model; the text names each place.
    Invalid(String),
    /// The store cannot do it.
    Unsupported(&'static str),
    /// The store failed, or holds what stands in the way.
    Store(StoreError),
}

impl fmt::Display for RowsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(text) => f.write_str(text),
            Self::Unsupported(what) => f.write_str(what),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RowsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(error) => Some(error),
            _ => None,
        }
    }
}

impl From<StoreError> for RowsError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<RowError> for RowsError {
    fn from(refused: RowError) -> Self {
        Self::Store(refused.error)
    }
}
