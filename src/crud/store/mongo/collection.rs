//! The operations on one collection.

use std::sync::Arc;
use std::time::Instant;

use bson::{Bson, Document, RawDocument, RawDocumentBuf, doc};
use futures_util::StreamExt;
use mongodb::options::{CollectionOptions, ReadPreference, ReturnDocument, SelectionCriteria, UpdateModifications};
use mongodb::raw_batch_cursor::RawBatchCursor;

use super::gather::{Asked, Gather, Lane};
use super::transaction::{self, Write};
use super::{MongoStore, changes, compile, decode, encode, error, group, keys, shard, transact};
use crate::ConfigError;
use crate::crud::query::Grouping;
use crate::crud::store::{
    Changes, ChangesError, Collection, Expect, Groups, Key, MAX_DOCUMENT, Many, Once, OpenError, Outcome, Page, Row,
    RowError, StoreError, WriteError, names,
};
use crate::crud::{Expr, Query, ReadFrom, Schema, Value, json, store};
use crate::service::stopwatch::in_store;

pub(super) type Rows = mongodb::Collection<RawDocumentBuf>;

/// Rows of one schema in a MongoDB store.
#[derive(Debug, Clone)]
pub struct MongoCollection {
    pub(super) store: MongoStore,
    rows: Rows,
    schema: Arc<Schema>,
    id: usize,
    reads: Arc<Gather>,
}

impl MongoCollection {
    pub(super) fn new(store: MongoStore, rows: Rows, schema: Arc<Schema>, id: usize) -> Self {
        Self { store, rows, schema, id, reads: Arc::default() }
    }

    pub(super) fn parts(&self) -> (Rows, Arc<Schema>) {
        (self.rows.clone(), Arc::clone(&self.schema))
    }

    /// Serves reads by id until none waits.
    async fn serve(self, mut lane: Lane) {
        loop {
            let asked = lane.take();
            if asked.is_empty() {
                return;
            }
            let begun = Instant::now();
            self.read(asked).await;
            lane.took(begun.elapsed());
        }
    }

    /// Reads the rows with these ids in one round trip.
    async fn read(&self, mut asked: Vec<Asked>) {
        let ids: Vec<Bson> = asked.iter().filter_map(|asked| encode::id(&self.schema, &asked.id)).collect();
        let most = i64::try_from(ids.len()).unwrap_or(i64::MAX);
        let filter = match <[Bson; 1]>::try_from(ids) {
            Ok([id]) => doc! { "_id": { "$eq": id } },
            Err(ids) => doc! { "_id": { "$in": ids } },
        };
        let find = self.rows.find(filter).limit(most).max_time(self.store.inner.timeout);
        match self.answer(find.batch(), &mut asked).await {
            Ok(()) => asked.into_iter().for_each(|asked| asked.answer(Ok(None))),
            Err(error) => asked.into_iter().for_each(|asked| asked.answer(Err(error.again()))),
        }
    }

    /// Answers those of `asked` whose row has come, and takes them out.
    async fn answer(
        &self,
        batches: impl IntoFuture<Output = mongodb::error::Result<RawBatchCursor>>,
        asked: &mut Vec<Asked>,
    ) -> Result<(), StoreError> {
        let failed = |e| error::of(e, &self.schema);
        let mut batches = batches.await.map_err(failed)?;
        while let Some(batch) = batches.next().await {
            let batch = batch.map_err(failed)?;
            for document in batch.doc_slices().map_err(failed)? {
                let document = document.map_err(|e| StoreError::Internal(e.into()))?;
                let Some(document) = document.as_document() else { continue };
                let id = decode::scalar(&self.schema, self.id, document)?;
                let row = row(&self.schema, document);
                while let Some(index) = asked.iter().position(|asked| asked.id == id) {
                    let found = row.as_ref().map(|row| Some(row.clone())).map_err(StoreError::again);
                    asked.swap_remove(index).answer(found);
                }
            }
        }
        Ok(())
    }

    /// Writes in a transaction: to so many rows, or to more than it may.
    async fn write_all(&self, write: Write<'static>) -> Result<Many, StoreError> {
        let (rows, schema) = self.parts();
        let client = self.store.inner.client.clone();
        let work = async move { Ok(transaction::run(&client, &rows, &schema, &write).await) };
        self.store.run(work).await?.map_err(|refused| refused.error)
    }

    /// What is to be set of the fields that are given by index.
    pub(super) fn set(&self, changes: &[(usize, Value<'static>)]) -> Result<Document, StoreError> {
        let mut set = Document::new();
        for (index, value) in changes {
            if *index == self.id || self.schema.fields.get(*index).is_none_or(|field| field.shard_key) {
                return Err(StoreError::Internal("a change of the id, of the shard key or of no field".into()));
            }
            encode::set(&mut set, &self.schema, *index, value);
        }
        Ok(set)
    }

    /// The update that puts a document in the place of a row, and counts the version up in the same step.
    ///
    /// Every field is set but the id and the shard key, which a row keeps; what other programs keep beside ours stays. Where the
    /// schema is open that is ours as well, and goes: the literal stands for itself, whatever its texts begin with.
    pub(super) fn replacement(&self, values: &[Value<'static>]) -> Result<UpdateModifications, StoreError> {
        if self.schema.is_open() {
            let document = encode::document(&self.schema, values, 0)?;
            if document.as_bytes().len() > MAX_DOCUMENT {
                return Err(StoreError::TooLarge { limit: MAX_DOCUMENT });
            }
            let document = Document::try_from(document).map_err(|error| StoreError::Internal(error.into()))?;
            let version = doc! { "_v": { "$add": [{ "$ifNull": ["$_v", 0_i64] }, 1_i64] } };
            let whole = doc! { "$mergeObjects": [{ "$literal": document }, version] };
            return Ok(UpdateModifications::Pipeline(vec![doc! { "$replaceWith": whole }]));
        }
        let mut set = Document::new();
        let kept = [Some(self.id), self.schema.shard_key()];
        for (index, value) in values.iter().enumerate().filter(|(index, _)| !kept.contains(&Some(*index))) {
            encode::set(&mut set, &self.schema, index, value);
        }
        update(set).map(Into::into)
    }

    /// The row with this id, if `only` holds for it. Reads with a predicate are not asked for together: each has its own.
    async fn find(&self, id: &Bson, only: &Expr) -> Result<Option<Row>, StoreError> {
        let filter = visible(&self.schema, id, only)?;
        let (rows, schema) = self.parts();
        let timeout = self.store.inner.timeout;
        self.store
            .run(async move {
                let found = rows.find_one(filter).max_time(timeout).await.map_err(|e| error::of(e, &schema))?;
                found.map(|document| row(&schema, &document)).transpose()
            })
            .await
    }

    /// Does an update that counts the version up, if there is such a row of such a version.
    async fn change(
        &self,
        id: Bson,
        update: UpdateModifications,
        expect: Expect,
        whole: bool,
    ) -> Result<Outcome<RawDocumentBuf>, StoreError> {
        let (rows, schema) = self.parts();
        let timeout = self.store.inner.timeout;
        self.store
            .run(async move {
                let failed = |e| error::of(e, &schema);
                let this = shard::located(&rows, &schema, this(&schema, &id, &expect)?, None).await.map_err(failed)?;
                let Some(this) = this else { return not_done(&rows, &schema, &id, &expect).await };
                let mut change =
                    rows.find_one_and_update(this, update).return_document(ReturnDocument::After).max_time(timeout);
                if !whole {
                    change = change.projection(doc! { "_v": 1 });
                }
                match change.await.map_err(failed)? {
                    Some(document) => Ok(Outcome::Done(document)),
                    None => not_done(&rows, &schema, &id, &expect).await,
                }
            })
            .await
    }
}

/// The update that sets fields and counts the version up.
pub(super) fn update(set: Document) -> Result<Document, StoreError> {
    let size = set.to_vec().map_err(|error| StoreError::Internal(error.into()))?.len();
    if size > MAX_DOCUMENT {
        return Err(StoreError::TooLarge { limit: MAX_DOCUMENT });
    }
    let mut update = doc! { "$inc": { "_v": 1_i64 } };
    if !set.is_empty() {
        update.insert("$set", set);
    }
    Ok(update)
}

/// The row with this id, if `only` holds for it.
pub(super) fn visible(schema: &Schema, id: &Bson, only: &Expr) -> Result<Document, StoreError> {
    let mut filter = doc! { "_id": { "$eq": id.clone() } };
    shard::tell(&mut filter, schema, only);
    if *only != Expr::True {
        filter.insert("$and", vec![compile::filter(schema, only)?]);
    }
    Ok(filter)
}

/// The row that is expected. Rows that others wrote have no version, which counts as 0.
pub(super) fn this(schema: &Schema, id: &Bson, expect: &Expect) -> Result<Document, StoreError> {
    let mut filter = visible(schema, id, &expect.only)?;
    if let Some(versions) = &expect.versions {
        let mut versions: Vec<_> = versions.iter().map(|version| Bson::Int64(*version)).collect();
        if versions.contains(&Bson::Int64(0)) {
            versions.push(Bson::Null);
        }
        filter.insert("_v", doc! { "$in": versions });
    }
    Ok(filter)
}

/// Why a conditional write found no row.
async fn not_done<T>(rows: &Rows, schema: &Schema, id: &Bson, expect: &Expect) -> Result<Outcome<T>, StoreError> {
    if expect.versions.is_none() {
        return Ok(Outcome::NotFound);
    }
    let found = rows.find_one(visible(schema, id, &expect.only)?).projection(doc! { "_id": 1 }).await;
    Ok(match found.map_err(|e| error::of(e, schema))? {
        Some(_) => Outcome::Changed,
        None => Outcome::NotFound,
    })
}

/// Whether a row that the server refuses because there is such a one is just the one that is there: what gets no answer is sent
/// again, and a server that has crashed meanwhile may have kept it without remembering that it came from here.
pub(super) async fn is_kept(rows: &Rows, schema: &Schema, id: &Bson, made: &Row) -> Result<bool, StoreError> {
    let there = rows.find_one(doc! { "_id": { "$eq": id.clone() }, "_v": made.version }).await;
    match there.map_err(|e| error::of(e, schema))? {
        Some(there) => Ok(row(schema, &there)? == *made),
        None => Ok(false),
    }
}

pub(super) fn row(schema: &Schema, document: &RawDocument) -> Result<Row, StoreError> {
    let mut json = Vec::with_capacity(document.as_bytes().len() * 5 / 4);
    let version = decode::document(&mut json, schema, document)?;
    Ok(Row { version, json: json.into() })
}

fn unfit() -> StoreError {
    StoreError::Internal("a document without an id".into())
}

/// The members of a document and its id.
pub(super) fn taken_apart<'a>(
    schema: &Schema,
    document: &'a Value<'static>,
) -> Result<(&'a [Value<'static>], Bson), StoreError> {
    let Value::Object(values) = document else { return Err(unfit()) };
    let id = schema.id.and_then(|id| values.get(id)).and_then(|id| encode::id(schema, id)).ok_or_else(unfit)?;
    Ok((values, id))
}

impl Collection for MongoCollection {
    fn reading_from(&self, members: ReadFrom) -> Self {
        let members = match members {
            ReadFrom::Primary => ReadPreference::Primary,
            ReadFrom::PrimaryPreferred => ReadPreference::PrimaryPreferred { options: None },
            ReadFrom::Secondary => ReadPreference::Secondary { options: None },
            ReadFrom::SecondaryPreferred => ReadPreference::SecondaryPreferred { options: None },
            ReadFrom::Nearest => ReadPreference::Nearest { options: None },
        };
        let options = CollectionOptions::builder().selection_criteria(SelectionCriteria::ReadPreference(members));
        let rows = self.store.inner.database.collection_with_options(self.rows.name(), options.build());
        Self::new(self.store.clone(), rows, Arc::clone(&self.schema), self.id)
    }

    async fn get(&self, id: Value<'static>, only: Expr) -> Result<Option<Row>, StoreError> {
        let Some(key) = encode::id(&self.schema, &id) else { return Ok(None) };
        if only != Expr::True {
            return self.find(&key, &only).await;
        }
        let under_way = self.store.enter()?;
        let (answer, lane) = self.reads.ask(id);
        if let Some(lane) = lane {
            let this = self.clone();
            tokio::spawn(async move {
                let _under_way = under_way;
                this.serve(lane).await;
            });
        }
        match in_store(tokio::time::timeout(self.store.inner.timeout, answer)).await {
            Ok(Ok(found)) => found,
            Ok(Err(_)) => Err(StoreError::Internal("a read ended without an answer".into())),
            Err(_) => Err(StoreError::Timeout),
        }
    }

    async fn list(&self, query: Query) -> Result<Page, StoreError> {
        let (filter, sort, keys) = compile::page(&self.schema, &query, self.id)?;
        let (rows, schema) = self.parts();
        let timeout = self.store.inner.timeout;
        let most = i64::try_from(query.limit).unwrap_or(i64::MAX - 1) + 1;
        self.store
            .run(async move {
                let failed = |e| error::of(e, &schema);
                let mut find = rows.find(filter).sort(sort).limit(most).max_time(timeout);
                if query.offset > 0 {
                    find = find.skip(query.offset as u64);
                }
                // One batch unless the rows are large.
                let find = find.batch_size(u32::try_from(most).unwrap_or(u32::MAX));
                let mut batches = find.batch().await.map_err(failed)?;
                let mut page = Page { items: bytes::Bytes::new(), versions: Vec::new(), next: None };
                let mut items = Vec::new();
                let mut last = Vec::new();
                while let Some(batch) = batches.next().await {
                    let batch = batch.map_err(failed)?;
                    let documents = batch.doc_slices().map_err(failed)?;
                    // JSON is about as long as BSON.
                    items.reserve(documents.as_bytes().len() * 5 / 4);
                    for document in documents {
                        let document = document.map_err(|e| StoreError::Internal(e.into()))?;
                        let Some(document) = document.as_document() else { continue };
                        if page.versions.len() == query.limit {
                            page.next = Some(std::mem::take(&mut last));
                            continue;
                        }
                        if !page.versions.is_empty() {
                            items.push(b',');
                        }
                        page.versions.push(decode::document(&mut items, &schema, document)?);
                        if page.versions.len() == query.limit {
                            for key in &keys {
                                last.push(decode::scalar(&schema, key.field, document)?);
                            }
                        }
                    }
                }
                page.items = items.into();
                Ok(page)
            })
            .await
    }

    async fn count(&self, filter: Expr) -> Result<u64, StoreError> {
        let filter = compile::filter(&self.schema, &filter)?;
        let (rows, schema) = self.parts();
        let timeout = self.store.inner.timeout;
        self.store
            .run(async move { rows.count_documents(filter).max_time(timeout).await.map_err(|e| error::of(e, &schema)) })
            .await
    }

    async fn estimate(&self) -> Result<u64, StoreError> {
        let (rows, schema) = self.parts();
        let timeout = self.store.inner.timeout;
        self.store
            .run(async move {
                rows.estimated_document_count().max_time(timeout).await.map_err(|e| error::of(e, &schema))
            })
            .await
    }

    async fn insert(&self, document: Value<'static>) -> Result<Row, StoreError> {
        let (values, id) = taken_apart(&self.schema, &document)?;
        let version = names::first_version();
        let bytes = encode::document(&self.schema, values, version)?;
        if bytes.as_bytes().len() > MAX_DOCUMENT {
            return Err(StoreError::TooLarge { limit: MAX_DOCUMENT });
        }
        let (rows, schema) = self.parts();
        self.store
            .run(async move {
                let row = Row { version, json: json::document(&schema, &document) };
                match rows.insert_one(bytes).await.map_err(|e| error::of(e, &schema)) {
                    Err(StoreError::Duplicate { .. }) if is_kept(&rows, &schema, &id, &row).await? => Ok(row),
                    inserted => inserted.map(|_| row),
                }
            })
            .await
    }

    async fn group(&self, grouping: Grouping) -> Result<Groups, StoreError> {
        let stages = group::stages(&self.schema, &grouping)?;
        let (rows, schema) = self.parts();
        let timeout = self.store.inner.timeout;
        self.store
            .run(async move {
                let failed = |e| error::of(e, &schema);
                let found = rows.aggregate(stages).max_time(timeout).with_type::<RawDocumentBuf>().await;
                let mut found = found.map_err(failed)?;
                let mut groups = Groups { rows: Vec::new(), more: false };
                while found.advance().await.map_err(failed)? {
                    groups.more = groups.rows.len() == grouping.limit;
                    if !groups.more {
                        groups.rows.push(group::read(&schema, &grouping, found.current())?);
                    }
                }
                if groups.rows.is_empty() && grouping.by.is_empty() {
                    groups.rows.push(group::nothing(&schema, &grouping)?);
                }
                Ok(groups)
            })
            .await
    }

    async fn insert_all(&self, documents: Vec<Value<'static>>) -> Result<Vec<Row>, RowError> {
        let mut encoded = Vec::with_capacity(documents.len());
        let mut made = Vec::with_capacity(documents.len());
        let mut ids = Vec::with_capacity(documents.len());
        for (index, document) in documents.iter().enumerate() {
            let (values, id) = taken_apart(&self.schema, document)?;
            let version = names::first_version();
            let bytes = encode::document(&self.schema, values, version)?;
            if bytes.as_bytes().len() > MAX_DOCUMENT {
                return Err(RowError { index, error: StoreError::TooLarge { limit: MAX_DOCUMENT } });
            }
            encoded.push(bytes);
            ids.push(id);
            made.push(Row { version, json: json::document(&self.schema, document) });
        }
        if encoded.is_empty() {
            // The driver takes no empty list.
            return Ok(made);
        }
        let (rows, schema) = self.parts();
        let client = self.store.inner.client.clone();
        let work = async move {
            let refused = match transaction::run(&client, &rows, &schema, &Write::Insert(&encoded)).await {
                Ok(_) => return Ok(Ok(made)),
                Err(refused) => refused,
            };
            // One that is kept came with all the others.
            if matches!(refused.error, StoreError::Duplicate { .. })
                && let Some((id, row)) = ids.get(refused.index).zip(made.get(refused.index))
                && is_kept(&rows, &schema, id, row).await?
            {
                return Ok(Ok(made));
            }
            Ok(Err(refused))
        };
        self.store.run(work).await?
    }

    async fn keep_keys(&self) -> Result<(), OpenError> {
        let (database, schema) = (self.store.inner.database.clone(), Arc::clone(&self.schema));
        if !self.store.inner.transactions {
            return Err(ConfigError::new(format!(
                "{}: this store has no transactions to keep a key and a row in",
                schema.name
            ))
            .cure("run MongoDB as a replica set, which may have one member, or leave idempotency out")
            .into());
        }
        self.store.run(async move { Ok(keys::keep(&database, &schema).await) }).await?
    }

    async fn recall(&self, key: Key) -> Result<Option<Once>, StoreError> {
        let (keys, schema) = (keys::collection(&self.store.inner.database), Arc::clone(&self.schema));
        self.store.run(async move { keys::recall(&keys, &schema, &key).await }).await
    }

    async fn once(&self, writes: Vec<store::Write>, key: Key) -> Result<Once, WriteError> {
        transact::once(self, writes, key).await
    }

    async fn import(&self, from: Vec<(Value<'static>, i64)>) -> Result<(), RowError> {
        let mut encoded = Vec::with_capacity(from.len());
        for (document, version) in &from {
            let (values, _) = taken_apart(&self.schema, document)?;
            encoded.push(encode::document(&self.schema, values, *version)?);
        }
        if encoded.is_empty() {
            return Ok(());
        }
        let (rows, schema) = self.parts();
        let work = async move { rows.insert_many(encoded).await.map_err(|e| transaction::refused(e, &schema)) };
        self.store.run(async move { Ok(work.await.map(drop)) }).await?
    }

    fn has_transactions(&self) -> bool {
        self.store.inner.transactions
    }

    async fn replace(&self, document: Value<'static>, expect: Expect) -> Result<Outcome<Row>, StoreError> {
        let (values, id) = taken_apart(&self.schema, &document)?;
        let replacement = self.replacement(values)?;
        let expect = expect.in_shard_of(&self.schema, &document);
        Ok(self.change(id, replacement, expect, false).await?.map(|changed| {
            let version = decode::version(&changed);
            Row { version, json: json::document(&self.schema, &document) }
        }))
    }

    async fn update(
        &self,
        id: Value<'static>,
        changes: Vec<(usize, Value<'static>)>,
        expect: Expect,
    ) -> Result<Outcome<Row>, StoreError> {
        let Some(id) = encode::id(&self.schema, &id) else { return Ok(Outcome::NotFound) };
        let set = update(self.set(&changes)?)?;
        Ok(match self.change(id, set.into(), expect, true).await? {
            Outcome::Done(document) => Outcome::Done(row(&self.schema, &document)?),
            Outcome::NotFound => Outcome::NotFound,
            Outcome::Changed => Outcome::Changed,
        })
    }

    async fn delete(&self, id: Value<'static>, expect: Expect) -> Result<Outcome<()>, StoreError> {
        let Some(id) = encode::id(&self.schema, &id) else { return Ok(Outcome::NotFound) };
        let (rows, schema) = self.parts();
        self.store
            .run(async move {
                let failed = |e| error::of(e, &schema);
                let this = shard::located(&rows, &schema, this(&schema, &id, &expect)?, None).await.map_err(failed)?;
                let Some(this) = this else { return not_done(&rows, &schema, &id, &expect).await };
                let gone = rows.delete_one(this).await.map_err(failed)?;
                if gone.deleted_count > 0 {
                    Ok(Outcome::Done(()))
                } else {
                    not_done(&rows, &schema, &id, &expect).await
                }
            })
            .await
    }

    async fn update_all(
        &self,
        filter: Expr,
        changes: Vec<(usize, Value<'static>)>,
        most: u64,
    ) -> Result<Many, StoreError> {
        let filter = compile::filter(&self.schema, &filter)?;
        let update = update(self.set(&changes)?)?;
        self.write_all(Write::Update { filter, update, most }).await
    }

    async fn delete_all(&self, filter: Expr, most: u64) -> Result<Many, StoreError> {
        let filter = compile::filter(&self.schema, &filter)?;
        self.write_all(Write::Delete { filter, most }).await
    }

    async fn keep_changes(&self) -> Result<(), OpenError> {
        let (database, rows, schema) = (self.store.inner.database.clone(), self.rows.clone(), Arc::clone(&self.schema));
        if !self.store.inner.transactions {
            return Err(ConfigError::new(format!("{}: only a replica set tells what changes", schema.name))
                .cure("run MongoDB as a replica set, which may have one member, or leave changes out")
                .into());
        }
        self.store.run(async move { Ok(changes::keep(&database, rows.name(), &schema).await) }).await?
    }

    async fn changes(&self, after: Option<String>) -> Result<Changes, ChangesError> {
        changes::changes(&self.store, &self.rows, &self.schema, after).await
    }
}
