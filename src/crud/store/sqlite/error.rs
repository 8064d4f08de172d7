//! What SQLite's failures mean to a caller.

use rusqlite::{Error, ErrorCode};

use super::indexes;
use super::table::Table;
use crate::crud::StoreError;

const UNIQUE: i32 = 2067;
const PRIMARY_KEY: i32 = 1555;

/// The failure of a statement that cannot break a rule of a table.
pub(super) fn plain(error: Error) -> StoreError {
    match &error {
        Error::SqliteFailure(cause, _) => match cause.code {
            ErrorCode::DiskFull => StoreError::Full,
            ErrorCode::OperationInterrupted => StoreError::Timeout,
            ErrorCode::TooBig => StoreError::TooLarge { limit: super::super::MAX_DOCUMENT },
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::OutOfMemory
            | ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen => StoreError::Unavailable { source: error.into(), retry_after: 1 },
            _ => StoreError::Internal(error.into()),
        },
        _ => StoreError::Internal(error.into()),
    }
}

/// Whether a statement failed because the schema changed while it was prepared.
pub(super) fn is_of_schema(error: &StoreError) -> bool {
    let StoreError::Internal(error) = error else { return false };
    error.downcast_ref::<Error>().and_then(Error::sqlite_error_code) == Some(ErrorCode::SchemaChanged)
}

/// The failure of a write to `table`. A broken uniqueness is told as `UNIQUE constraint failed: c_user.f_email`, with commas between
/// several columns, or as `UNIQUE constraint failed: index 'zg_uc_user_f_email'` when it is one of what is computed.
pub(super) fn of_write(error: Error, table: &Table) -> StoreError {
    if let Error::SqliteFailure(cause, Some(text)) = &error
        && matches!(cause.extended_code, UNIQUE | PRIMARY_KEY)
        && let Some(fields) = broken(text, table)
    {
        return StoreError::Duplicate { fields: fields.into_iter().map(str::to_owned).collect() };
    }
    plain(error)
}

/// The fields whose uniqueness is broken.
fn broken<'t>(text: &str, table: &'t Table) -> Option<Vec<&'t str>> {
    if let Some((_, index)) = text.rsplit_once("index '") {
        return indexes::field_of(table, index.trim_end_matches('\'')).map(|field| vec![field]);
    }
    let (_, columns) = text.split_once("failed: ")?;
    indexes::fields_of(table, columns).or_else(|| {
        let (_, column) = columns.rsplit_once('.')?;
        table.field_of_column(column).map(|field| vec![field])
    })
}
