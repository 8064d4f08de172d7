//! Writes to rows of several collections as one transaction.

use bson::{Bson, Document, RawDocumentBuf, doc};
use mongodb::ClientSession;
use mongodb::error::TRANSIENT_TRANSACTION_ERROR;
use mongodb::options::ReturnDocument;

use super::collection::{MongoCollection, Rows, is_kept, row, taken_apart, this, update, visible};
use super::{MongoStore, encode, error, shard, transaction};
use crate::crud::store::{MAX_DOCUMENT, Refusal, Row, StoreError, Write, WriteError, names};
use crate::crud::{Schema, json};

/// A write that is ready to be done.
struct Planned {
    rows: Rows,
    schema: std::sync::Arc<Schema>,
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
        update: Document,
    },
    Delete {
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
            let update = update(collection.set_all(values))?;
            let expect = expect.in_shard_of(&schema, &document);
            Work::Change { this: this(&schema, &id, &expect)?, there: visible(&schema, &id, &expect.only)?, update }
        }
        Write::Update(id, changes, expect) => match encode::id(&schema, &id) {
            Some(id) => {
                let update = update(collection.set(&changes)?)?;
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
        return Err(WriteError { index: 0, why: Refusal::Store(StoreError::Internal(error.into())) });
    }
    let client = store.inner.client.clone();
    let done = store.run(async move {
        let mut tries = 0_u8;
        // What the transaction before has written, which may have come to its end unheard.
        let mut before: Option<Vec<Option<Row>>> = None;
        loop {
            tries += 1;
            let mut session = match client.start_session().await {
                Ok(session) => session,
                Err(failure) => return Ok(Err(failed(&planned, 0, failure))),
            };
            let mut written = Vec::with_capacity(planned.len());
            match once(&mut session, &planned, &mut written).await {
                Ok(()) => return Ok(Ok(written)),
                Err(Stopped::Refused(refused)) => {
                    let _ = session.abort_transaction().await;
                    if let (Some(before), Refusal::Store(StoreError::Duplicate { .. })) = (before, &refused.why)
                        && let Some(Planned { rows, schema, work: Work::Insert { id, row, .. } }) =
                            planned.get(refused.index)
                        && is_kept(rows, schema, id, row).await?
                    {
                        return Ok(Ok(before));
                    }
                    return Ok(Err(refused));
                }
                Err(Stopped::Failed(index, failure)) => {
                    let _ = session.abort_transaction().await;
                    if !failure.contains_label(TRANSIENT_TRANSACTION_ERROR) || usize::from(tries) == transaction::TRIES
                    {
                        return Ok(Err(failed(&planned, index, failure)));
                    }
                    before = (written.len() == planned.len()).then_some(written);
                    // Those that are in each other's way do not come back all at once.
                    let pause = uuid::Uuid::new_v4().as_bytes()[0] % (8 * tries);
                    tokio::time::sleep(std::time::Duration::from_millis(pause.into())).await;
                }
            }
        }
    });
    done.await.unwrap_or_else(|error| Err(WriteError { index: 0, why: Refusal::Store(error) }))
}

/// Why a transaction was not committed.
enum Stopped {
    Refused(WriteError),
    Failed(usize, mongodb::error::Error),
}

fn failed(planned: &[Planned], index: usize, failure: mongodb::error::Error) -> WriteError {
    if error::code(&failure).is_some_and(|(code, _)| code == error::CONFLICT) {
        // Others are writing the row all the time: what was read of it is not what it is.
        return WriteError { index, why: Refusal::Changed };
    }
    let error = match planned.get(index) {
        Some(planned) => error::of(failure, &planned.schema),
        None => StoreError::Internal(failure.into()),
    };
    WriteError { index, why: Refusal::Store(error) }
}

async fn once(session: &mut ClientSession, planned: &[Planned], written: &mut Vec<Option<Row>>) -> Result<(), Stopped> {
    session.start_transaction().await.map_err(|failure| Stopped::Failed(0, failure))?;
    for (index, planned) in planned.iter().enumerate() {
        match one(session, planned).await {
            Ok(Ok(row)) => written.push(row),
            Ok(Err(why)) => return Err(Stopped::Refused(WriteError { index, why })),
            Err(failure) if error::code(&failure).is_some_and(|(code, _)| code == error::DUPLICATE) => {
                let why = Refusal::Store(error::of(failure, &planned.schema));
                return Err(Stopped::Refused(WriteError { index, why }));
            }
            Err(failure) => return Err(Stopped::Failed(index, failure)),
        }
    }
    transaction::commit(session).await.map_err(|failure| Stopped::Failed(0, failure))
}

type One = Result<Result<Option<Row>, Refusal>, mongodb::error::Error>;

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
        Work::Nothing => return Ok(Err(Refusal::NotFound)),
    };
    let found = rows.find_one(there.clone()).projection(doc! { "_id": 1 }).session(&mut *session).await?;
    Ok(Err(if found.is_some() { Refusal::Changed } else { Refusal::NotFound }))
}
