//! Writes to rows of several collections as one transaction.

use std::sync::Arc;

use bson::{Bson, Document, RawDocumentBuf, doc};
use mongodb::error::{Error, ErrorKind, TRANSIENT_TRANSACTION_ERROR};
use mongodb::options::{ReturnDocument, UpdateModifications};
use mongodb::{Client, ClientSession, Collection};

use super::collection::{MongoCollection, Rows, is_kept, row, taken_apart, this, update, visible};
use super::{MongoStore, encode, error, keys, shard, transaction};
use crate::crud::store::{Key, MAX_DOCUMENT, Once, Refusal, Row, RowError, StoreError, Write, WriteError, names, once};
use crate::crud::{Schema, json};

/// A write that is ready to be done.
struct Planned {
    rows: Rows,
    schema: Arc<Schema>,
    work: Work,
}

enum Work {
    Insert {
        bytes: RawDocumentBuf,
        id: Bson,
        row: Row,
    },
    /// Of those for which `this` holds; `there` asks for the row without its version.
    Change {
        this: Document,
        there: Document,
        update: UpdateModifications,
    },
    Delete {
        this: Document,
        there: Document,
    },
    Leave {
        this: Document,
        there: Document,
    },
    /// There can be no such row.
    Nothing,
}

fn plan(collection: &MongoCollection, write: Write) -> Result<Planned, StoreError> {
    let (rows, schema) = collection.parts();
    let work = match write {
        Write::Insert(document) => {
            let (values, id) = taken_apart(&schema, &document)?;
            let version = names::first_version();
            let bytes = encode::document(&schema, values, version)?;
            if bytes.as_bytes().len() > MAX_DOCUMENT {
                return Err(StoreError::TooLarge { limit: MAX_DOCUMENT });
            }
            Work::Insert { bytes, id, row: Row { version, json: json::document(&schema, &document) } }
        }
        Write::Replace(document, expect) => {
            let (values, id) = taken_apart(&schema, &document)?;
            let update = collection.replacement(values)?;
            let expect = expect.in_shard_of(&schema, &document);
            Work::Change { this: this(&schema, &id, &expect)?, there: visible(&schema, &id, &expect.only)?, update }
        }
        Write::Update(id, changes, expect) => match encode::id(&schema, &id) {
            Some(id) => {
                let update = update(collection.set(&changes)?)?.into();
                Work::Change { this: this(&schema, &id, &expect)?, there: visible(&schema, &id, &expect.only)?, update }
            }
            None => Work::Nothing,
        },
        Write::Delete(id, expect) => match encode::id(&schema, &id) {
            Some(id) => {
                Work::Delete { this: this(&schema, &id, &expect)?, there: visible(&schema, &id, &expect.only)? }
            }
            None => Work::Nothing,
        },
        Write::Leave(id, expect) => match encode::id(&schema, &id) {
            Some(id) => Work::Leave { this: this(&schema, &id, &expect)?, there: visible(&schema, &id, &expect.only)? },
            None => Work::Nothing,
        },
    };
    Ok(Planned { rows, schema, work })
}

/// Does all of `writes`, or nothing.
pub(super) async fn run(
    store: &MongoStore,
    writes: Vec<(MongoCollection, Write)>,
) -> Result<Vec<Option<Row>>, WriteError> {
    let mut planned = Vec::with_capacity(writes.len());
    for (index, (collection, write)) in writes.into_iter().enumerate() {
        let ready = match collection.store.is(store) {
            true => plan(&collection, write),
            false => Err(StoreError::foreign()),
        };
        planned.push(ready.map_err(|error| WriteError { index, why: Refusal::Store(error) })?);
    }
    if !store.inner.transactions {
        let error = "this server has no transactions: run MongoDB as a replica set, which may have one member";
        return Err(StoreError::Internal(error.into()).into());
    }
    let client = store.inner.client.clone();
    let work = async move {
        let done = all(&client, &planned, None, &mut None).await;
        Ok(done.map_err(|stopped| stopped.told(&planned)))
    };
    store.run(work).await?
}

/// Does all of `writes` and keeps the key with what they wrote, or nothing.
pub(super) async fn once(collection: &MongoCollection, writes: Vec<Write>, key: Key) -> Result<Once, WriteError> {
    let mut planned = Vec::with_capacity(writes.len());
    for (index, write) in writes.into_iter().enumerate() {
        planned.push(plan(collection, write).map_err(|error| WriteError { index, why: Refusal::Store(error) })?);
    }
    let (_, schema) = collection.parts();
    let inner = &collection.store.inner;
    let (client, keys) = (inner.client.clone(), keys::collection(&inner.database));
    let work = async move {
        keys::forget(&keys, &schema, &key).await?;
        let mut before = None;
        let refused = match all(&client, &planned, Some(Keep { keys: &keys, key: &key }), &mut before).await {
            Ok(rows) => return Ok(Ok(Once::Done(rows.into_iter().flatten().collect()))),
            Err(Stopped::Refused(refused)) => Some(refused),
            Err(Stopped::Kept) => None,
            Err(Stopped::Failed(_, failure)) if is_conflict(&failure) => None,
            Err(Stopped::Failed(index, failure)) => {
                return Ok(Err(WriteError { index, why: Refusal::Store(error::of(failure, &schema)) }));
            }
        };
        // What was in the way may be what the same request has written, which was quicker.
        Ok(match keys::recall(&keys, &schema, &key).await? {
            Some(Once::Before(kept)) => Ok(match before.map(|rows| rows.into_iter().flatten().collect::<Vec<_>>()) {
                // It was this request, whose end was not heard.
                Some(rows) if rows.first().is_some_and(|row| row.version == kept.version) => Once::Done(rows),
                _ => Once::Before(kept),
            }),
            Some(once) => Ok(once),
            // Or what it is about to write: a conflict tells nothing of how it will end.
            None => refused.map_or(Ok(Once::Running), Err),
        })
    };
    collection.store.run(work).await?
}

/// A key that is kept behind the last write.
#[derive(Clone, Copy)]
struct Keep<'a> {
    keys: &'a Collection<Document>,
    key: &'a Key,
}

/// Does all of it in one transaction, which is begun anew when others are in its way. `before` is what the transaction before the last has
/// written, which may have come to its end unheard.
async fn all(
    client: &Client,
    planned: &[Planned],
    keep: Option<Keep<'_>>,
    before: &mut Option<Vec<Option<Row>>>,
) -> Result<Vec<Option<Row>>, Stopped> {
    let mut tries = 0_u8;
    loop {
        tries += 1;
        let mut session = client.start_session().await.map_err(|failure| Stopped::Failed(0, failure))?;
        let mut written = Vec::with_capacity(planned.len());
        let Err(stopped) = attempt(&mut session, planned, keep, &mut written).await else { return Ok(written) };
        let _ = session.abort_transaction().await;
        match stopped {
            Stopped::Failed(_, failure)
                if failure.contains_label(TRANSIENT_TRANSACTION_ERROR) && usize::from(tries) < transaction::TRIES =>
            {
                *before = (written.len() == planned.len()).then_some(written);
                // Those that are in each other's way do not come back all at once.
                let pause = uuid::Uuid::new_v4().as_bytes()[0] % (8 * tries);
                tokio::time::sleep(std::time::Duration::from_millis(pause.into())).await;
            }
            Stopped::Refused(WriteError { index, why: Refusal::Store(StoreError::Duplicate { fields }) }) => {
                if let Some(before) = before.take()
                    && let Some(Planned { rows, schema, work: Work::Insert { id, row, .. } }) = planned.get(index)
                    && is_kept(rows, schema, id, row).await.map_err(|error| Stopped::Refused(error.into()))?
                {
                    return Ok(before);
                }
                let why = Refusal::Store(StoreError::Duplicate { fields });
                return Err(Stopped::Refused(WriteError { index, why }));
            }
            stopped => return Err(stopped),
        }
    }
}

/// Why a transaction was not committed.
enum Stopped {
    Refused(WriteError),
    /// There is a record with the key.
    Kept,
    Failed(usize, Error),
}

impl Stopped {
    /// As it is told where there was no key.
    fn told(self, planned: &[Planned]) -> WriteError {
        let (index, failure) = match self {
            Self::Refused(refused) => return refused,
            Self::Kept => return WriteError { index: 0, why: Refusal::Changed },
            Self::Failed(index, failure) => (index, failure),
        };
        let why = match planned.get(index) {
            // Others are writing the row all the time: what was read of it is not what it is.
            _ if is_conflict(&failure) => Refusal::Changed,
            Some(planned) => Refusal::Store(error::of(failure, &planned.schema)),
            None => Refusal::Store(StoreError::Internal(failure.into())),
        };
        WriteError { index, why }
    }
}

fn is_conflict(failure: &Error) -> bool {
    error::code(failure).is_some_and(|(code, _)| code == error::CONFLICT)
}

fn is_duplicate(failure: &Error) -> bool {
    error::code(failure).is_some_and(|(code, _)| code == error::DUPLICATE)
}

/// Does all of it once.
async fn attempt(
    session: &mut ClientSession,
    planned: &[Planned],
    keep: Option<Keep<'_>>,
    written: &mut Vec<Option<Row>>,
) -> Result<(), Stopped> {
    session.start_transaction().await.map_err(|failure| Stopped::Failed(0, failure))?;
    while let Some(next) = planned.get(written.len()) {
        let index = written.len();
        let added = insert_together(session, &planned[index..], index).await?;
        if !added.is_empty() {
            written.extend(added);
            continue;
        }
        match one(session, next).await {
            Ok(Ok(row)) => written.push(row),
            Ok(Err(why)) => return Err(Stopped::Refused(WriteError { index, why })),
            Err(failure) if is_duplicate(&failure) => {
                let why = Refusal::Store(error::of(failure, &next.schema));
                return Err(Stopped::Refused(WriteError { index, why }));
            }
            Err(failure) => return Err(Stopped::Failed(index, failure)),
        }
    }
    if let Some(keep) = keep {
        keep.record(session, written).await?;
    }
    transaction::commit(session).await.map_err(|failure| Stopped::Failed(0, failure))
}

impl Keep<'_> {
    async fn record(self, session: &mut ClientSession, written: &[Option<Row>]) -> Result<(), Stopped> {
        let index = written.len();
        let rows: Vec<Row> = written.iter().flatten().cloned().collect();
        let too_large = |error| Stopped::Refused(WriteError { index, why: Refusal::Store(error) });
        let record = keys::record(self.key, &once::kept(&rows).map_err(too_large)?);
        match self.keys.insert_one(record).session(session).await {
            Ok(_) => Ok(()),
            Err(failure) if is_duplicate(&failure) => Err(Stopped::Kept),
            Err(failure) => Err(Stopped::Failed(index, failure)),
        }
    }
}

/// Adds the rows of one collection that come first in one round trip, if there are several; none else.
async fn insert_together(
    session: &mut ClientSession,
    planned: &[Planned],
    first: usize,
) -> Result<Vec<Option<Row>>, Stopped> {
    let Some(Planned { rows, schema, .. }) = planned.first() else { return Ok(Vec::new()) };
    let namespace = rows.namespace();
    let inserts = planned.iter().map_while(|planned| match &planned.work {
        Work::Insert { bytes, row, .. } if planned.rows.namespace() == namespace => Some((bytes, Some(row.clone()))),
        _ => None,
    });
    let (documents, added): (Vec<_>, Vec<_>) = inserts.unzip();
    if documents.len() < 2 {
        return Ok(Vec::new());
    }
    match rows.insert_many(documents).session(session).await {
        Ok(_) => Ok(added),
        Err(failure) if failure.contains_label(TRANSIENT_TRANSACTION_ERROR) => Err(Stopped::Failed(first, failure)),
        Err(failure) if matches!(&*failure.kind, ErrorKind::InsertMany(_)) => {
            let RowError { index, error } = transaction::refused(failure, schema);
            Err(Stopped::Refused(WriteError { index: first + index, why: Refusal::Store(error) }))
        }
        Err(failure) => Err(Stopped::Failed(first, failure)),
    }
}

type One = Result<Result<Option<Row>, Refusal>, Error>;

async fn one(session: &mut ClientSession, planned: &Planned) -> One {
    let Planned { rows, schema, work } = planned;
    let there = match work {
        Work::Insert { bytes, row, .. } => {
            rows.insert_one(bytes).session(&mut *session).await?;
            return Ok(Ok(Some(row.clone())));
        }
        Work::Change { this, there, update } => {
            if let Some(this) = shard::located(rows, schema, this.clone(), Some(&mut *session)).await? {
                let change = rows.find_one_and_update(this, update.clone());
                let change = change.return_document(ReturnDocument::After).session(&mut *session);
                if let Some(document) = change.await? {
                    return Ok(row(schema, &document).map(Some).map_err(Refusal::Store));
                }
            }
            there
        }
        Work::Delete { this, there } => {
            if let Some(this) = shard::located(rows, schema, this.clone(), Some(&mut *session)).await?
                && rows.delete_one(this).session(&mut *session).await?.deleted_count > 0
            {
                return Ok(Ok(None));
            }
            there
        }
        Work::Leave { this, there } => {
            if let Some(document) = rows.find_one(this.clone()).session(&mut *session).await? {
                return Ok(row(schema, &document).map(Some).map_err(Refusal::Store));
            }
            there
        }
        Work::Nothing => return Ok(Err(Refusal::NotFound)),
    };
    let found = rows.find_one(there.clone()).projection(doc! { "_id": 1 }).session(&mut *session).await?;
    Ok(Err(if found.is_some() { Refusal::Changed } else { Refusal::NotFound }))
}
