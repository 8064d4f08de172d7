//! Several writes as one.

use bson::{Document, RawDocumentBuf};
use mongodb::error::{Error, ErrorKind, TRANSIENT_TRANSACTION_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT};
use mongodb::{Client, ClientSession, Collection};

use super::error;
use crate::crud::Schema;
use crate::crud::store::{Many, RowError, StoreError};

/// How often a transaction is begun anew when the server says that another one was in its way.
pub(super) const TRIES: usize = 5;

/// What is done in one transaction.
pub(super) enum Write<'a> {
    /// Adds documents.
    Insert(&'a [RawDocumentBuf]),
    /// Changes all rows that hold, at most so many.
    Update { filter: Document, update: Document, most: u64 },
    /// Removes all rows that hold, at most so many.
    Delete { filter: Document, most: u64 },
}

/// Does all of `write` or nothing.
pub(super) async fn run(
    client: &Client,
    rows: &Collection<RawDocumentBuf>,
    schema: &Schema,
    write: &Write<'_>,
) -> Result<Many, RowError> {
    let mut tries = 0;
    loop {
        tries += 1;
        let mut session = client.start_session().await.map_err(|e| error::of(e, schema))?;
        match once(&mut session, rows, write).await {
            Ok(Many::Done(count)) => return Ok(Many::Done(count)),
            Ok(Many::TooMany) => {
                let _ = session.abort_transaction().await;
                return Ok(Many::TooMany);
            }
            Err(failure) => {
                // The server ends a transaction whose session goes away; this only makes it sooner.
                let _ = session.abort_transaction().await;
                if !failure.contains_label(TRANSIENT_TRANSACTION_ERROR) || tries == TRIES {
                    return Err(refused(failure, schema));
                }
            }
        }
    }
}

/// Writes and commits, unless it would be too much.
async fn once(
    session: &mut ClientSession,
    rows: &Collection<RawDocumentBuf>,
    write: &Write<'_>,
) -> Result<Many, Error> {
    session.start_transaction().await?;
    // A transaction sees the rows as they were when it began: what was counted is what is written.
    if let Write::Update { filter, most, .. } | Write::Delete { filter, most } = write
        && rows.count_documents(filter.clone()).limit(most.saturating_add(1)).session(&mut *session).await? > *most
    {
        return Ok(Many::TooMany);
    }
    let written = match write {
        Write::Insert(documents) => {
            rows.insert_many(*documents).session(&mut *session).await?;
            documents.len() as u64
        }
        Write::Update { filter, update, .. } => {
            rows.update_many(filter.clone(), update.clone()).session(&mut *session).await?.matched_count
        }
        Write::Delete { filter, .. } => rows.delete_many(filter.clone()).session(&mut *session).await?.deleted_count,
    };
    commit(session).await?;
    Ok(Many::Done(written))
}

pub(super) async fn commit(session: &mut ClientSession) -> Result<(), Error> {
    let mut tries = 0;
    loop {
        tries += 1;
        match session.commit_transaction().await {
            // A commit can be asked for again: one that was done is done.
            Err(failure) if failure.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT) && tries < TRIES => {}
            committed => return committed,
        }
    }
}

/// Which document the server refused, and why.
pub(super) fn refused(failure: Error, schema: &Schema) -> RowError {
    if let ErrorKind::InsertMany(many) = &*failure.kind
        && let Some(first) = many.write_errors.iter().flatten().next()
    {
        let index = first.index;
        let error = match first.code {
            error::DUPLICATE => error::duplicate(&first.message, schema),
            _ => StoreError::Internal(failure.into()),
        };
        return RowError { index, error };
    }
    error::of(failure, schema).into()
}
