//! What the driver's failures mean to a caller.

use mongodb::error::{Error, ErrorKind, UNKNOWN_TRANSACTION_COMMIT_RESULT, WriteFailure};

use super::ensure::unique_fields;
use crate::crud::Schema;
use crate::crud::store::{MAX_DOCUMENT, StoreError};

pub(super) const DUPLICATE: i32 = 11000;
/// Another transaction was in the way.
pub(super) const CONFLICT: i32 = 112;

/// Codes of servers that are starting, stopping, or no longer the primary.
const NOT_NOW: [i32; 17] = [6, 7, 43, 89, 91, 133, 134, 189, 262, 358, 9001, 10107, 11600, 11602, 13388, 13435, 13436];

pub(super) fn unavailable(source: impl Into<crate::BoxError>) -> StoreError {
    StoreError::Unavailable { source: source.into(), retry_after: 2 }
}

pub(super) fn of(error: Error, schema: &Schema) -> StoreError {
    if error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT) {
        // It has been asked for again as often as makes sense. Whoever was told that nothing was written would write it once more.
        tracing::warn!(model = schema.name, %error, "whether a transaction was committed is not known");
        return StoreError::Timeout;
    }
    match code(&error) {
        Some((DUPLICATE, message)) => duplicate(&message, schema),
        Some((50, _)) => StoreError::Timeout,
        Some((14031, _)) => StoreError::Full,
        // Other transactions were in the way each time.
        Some((CONFLICT, _)) => unavailable(error),
        Some((10334 | 17419 | 17420, _)) => StoreError::TooLarge { limit: MAX_DOCUMENT },
        Some((code, _)) if NOT_NOW.contains(&code) => unavailable(error),
        Some(_) if error.contains_label("RetryableWriteError") => unavailable(error),
        Some(_) => StoreError::Internal(error.into()),
        None => match *error.kind {
            ErrorKind::ServerSelection { .. }
            | ErrorKind::Io(_)
            | ErrorKind::ConnectionPoolCleared { .. }
            | ErrorKind::DnsResolve { .. }
            | ErrorKind::Shutdown => unavailable(error),
            _ => StoreError::Internal(error.into()),
        },
    }
}

/// The server's code and text, if it was the server that refused.
pub(super) fn code(error: &Error) -> Option<(i32, String)> {
    match &*error.kind {
        ErrorKind::Command(error) => Some((error.code, error.message.clone())),
        ErrorKind::Write(WriteFailure::WriteError(error)) => Some((error.code, error.message.clone())),
        ErrorKind::Write(WriteFailure::WriteConcernError(error)) => Some((error.code, error.message.clone())),
        _ => None,
    }
}

/// Inserts give no structured hint at the field, only a text: `E11000 duplicate key error collection: db.user index:
/// zg_u_email dup key: { email: "a" }`.
pub(super) fn duplicate(message: &str, schema: &Schema) -> StoreError {
    let index =
        message.split_once("index: ").map(|(_, rest)| rest.split_once(" dup key").map_or(rest, |(name, _)| name));
    let fields = match index.map(str::trim) {
        Some(name) if name.starts_with("_id_") => {
            schema.id.and_then(|id| schema.fields.get(id)).map(|field| vec![&*field.name])
        }
        Some(name) => unique_fields(name),
        None => None,
    };
    match fields {
        Some(fields) => StoreError::Duplicate { fields: fields.into_iter().map(str::to_owned).collect() },
        None => StoreError::Internal(format!("a uniqueness that is not ours: {message}").into()),
    }
}
