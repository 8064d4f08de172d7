//! What SQL lacks.

use regex::Regex;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Error};

use crate::crud::Decimal;
use crate::crud::schema::check;
use crate::crud::store::names;

/// `zg_like(text, expression)`: whether a text is like a pattern; SQLite's own `LIKE` and `GLOB` know other wildcards, and
/// end at a NUL.
pub(super) const LIKE: &str = "zg_like";

/// `zg_decimal(text)`: bytes that sort as the numbers do which are kept as texts.
pub(super) const DECIMAL: &str = "zg_decimal";

/// `zg_duration(text)`: the microseconds of a duration that is kept as text.
pub(super) const DURATION: &str = "zg_duration";

/// `zg_fold(text)`: the text in which small and capital letters are the same.
pub(super) const FOLD: &str = "zg_fold";

/// Makes the functions known to a connection.
pub(super) fn add(db: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    db.create_scalar_function(LIKE, 2, flags, like)?;
    db.create_scalar_function(DECIMAL, 1, flags, |context| {
        Ok(text(context)?.and_then(|text| Decimal::parse(text).ok()).map(Decimal::key))
    })?;
    db.create_scalar_function(FOLD, 1, flags, |context| Ok(text(context)?.map(names::folded)))?;
    db.create_scalar_function(DURATION, 1, flags, |context| {
        Ok(text(context)?.and_then(|text| check::duration(text).ok()))
    })
}

/// The only argument where it is a text; what is none has no value.
fn text<'c>(context: &'c Context<'_>) -> rusqlite::Result<Option<&'c str>> {
    match context.get_raw(0) {
        ValueRef::Text(text) => {
            std::str::from_utf8(text).map(Some).map_err(|error| Error::UserFunctionError(error.into()))
        }
        _ => Ok(None),
    }
}

fn like(context: &mut Context<'_>) -> rusqlite::Result<Option<bool>> {
    // Compiled once for each statement.
    let regex = context.get_or_create_aux(1, |expression| match expression {
        ValueRef::Text(text) => {
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(Regex::new(std::str::from_utf8(text)?)?)
        }
        _ => Err("the expression is no text".into()),
    })?;
    Ok(text(context)?.map(|text| regex.is_match(text)))
}
