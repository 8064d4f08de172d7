//! What SQL lacks.

use regex::Regex;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Error};

/// `zg_like(text, expression)`: whether a text is like a pattern; SQLite's own `LIKE` and `GLOB` know other wildcards, and
/// end at a NUL.
pub(super) const LIKE: &str = "zg_like";

/// Makes the functions known to a connection.
pub(super) fn add(db: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    db.create_scalar_function(LIKE, 2, flags, like)
}

fn like(context: &mut Context<'_>) -> rusqlite::Result<Option<bool>> {
    // Compiled once for each statement.
    let regex = context.get_or_create_aux(1, |expression| match expression {
        ValueRef::Text(text) => {
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(Regex::new(std::str::from_utf8(text)?)?)
        }
        _ => Err("the expression is no text".into()),
    })?;
    match context.get_raw(0) {
        ValueRef::Text(text) => {
            let text = std::str::from_utf8(text).map_err(|error| Error::UserFunctionError(error.into()))?;
            Ok(Some(regex.is_match(text)))
        }
        _ => Ok(None),
    }
}
