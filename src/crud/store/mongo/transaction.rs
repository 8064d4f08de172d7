//! Several writes as one.

use bson::RawDocumentBuf;
use mongodb::error::{Error, ErrorKind, TRANSIENT_TRANSACTION_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT};
use mongodb::{Client, ClientSession, Collection};

use super::error;
use crate::crud::Schema;
use crate::crud::store::{RowError, StoreError};

/// How often a transaction is begun anew when the server says that another one was in its way.
const TRIES: usize = 5;

/// Adds all documents or none.
pub(super) async fn insert_all(
    client: &Client,
    rows: &Collection<RawDocumentBuf>,
    schema: &Schema,
    documents: &[RawDocumentBuf],
) -> Result<(), RowError> {
    let mut tries = 0;
    loop {
        tries += 1;
        let mut session = client.start_session().await.map_err(|e| error::of(e, schema))?;
        match add(&mut session, rows, documents).await {
            Ok(()) => return Ok(()),
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

async fn add(
    session: &mut ClientSession,
    rows: &Collection<RawDocumentBuf>,
    documents: &[RawDocumentBuf],
) -> Result<(), Error> {
    session.start_transaction().await?;
    rows.insert_many(documents).session(&mut *session).await?;
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
fn refused(failure: Error, schema: &Schema) -> RowError {
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
