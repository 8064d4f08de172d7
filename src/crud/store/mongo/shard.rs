//! The shard key in what is asked of rows by their ids.
//!
//! A router (`mongos`) sends a write to the one shard that has the row when its filter holds the shard key. Without one it asks all of
//! them, and older servers refuse `findAndModify`. Of rows that are read by their id the key is told when it is known anyway.

use bson::{Bson, Document, doc};
use mongodb::ClientSession;
use mongodb::error::Error;

use super::collection::Rows;
use super::encode;
use crate::crud::{Expr, Schema};

/// The name of the shard key in the store, where it is not the id.
fn key(schema: &Schema) -> Option<&str> {
    schema.shard_beside_id().map(|index| encode::key(schema, index))
}

/// Tells the shard key if `only` demands what it is.
pub(super) fn tell(filter: &mut Document, schema: &Schema, only: &Expr) {
    if let Some(index) = schema.shard_beside_id()
        && let Some(value) = only.demanded(index)
    {
        let field = &schema.fields[index];
        filter.insert(encode::key(schema, index), doc! { "$eq": encode::bson(&field.kind, value) });
    }
}

/// The filter of a write to one row, with its shard key. Where nothing has told that it is looked up, which is no race, as it does not
/// change; none when there is no such row.
pub(super) async fn located(
    rows: &Rows,
    schema: &Schema,
    mut row: Document,
    session: Option<&mut ClientSession>,
) -> Result<Option<Document>, Error> {
    let Some(key) = key(schema).filter(|key| !row.contains_key(*key)) else { return Ok(Some(row)) };
    let find = rows.find_one(row.clone()).projection(doc! { key: 1 });
    let found = match session {
        Some(session) => find.session(session).await?,
        None => find.await?,
    };
    let Some(found) = found else { return Ok(None) };
    let value = found.get(key)?.map(Bson::try_from).transpose()?;
    row.insert(key, doc! { "$eq": value.unwrap_or(Bson::Null) });
    Ok(Some(row))
}

/// What is to be read of rows that are written one by one then, beside `more`.
pub(super) fn projection(schema: &Schema, mut more: Document) -> Document {
    if let Some(key) = key(schema) {
        more.insert(key, 1);
    }
    more
}

/// The filter of a row that was read so.
pub(super) fn row(schema: &Schema, found: &Document) -> Option<Document> {
    let mut filter = doc! { "_id": { "$eq": found.get("_id")?.clone() } };
    if let Some(key) = key(schema) {
        filter.insert(key, doc! { "$eq": found.get(key).cloned().unwrap_or(Bson::Null) });
    }
    Some(filter)
}
