//! Requests that may come again, kept in the same transaction as what they made.

use bson::{DateTime, Document, doc};
use mongodb::options::IndexOptions;
use mongodb::{Collection, Database, IndexModel};

use super::error;
use crate::ConfigError;
use crate::crud::Schema;
use crate::crud::store::once::KEYS_LIVE;
use crate::crud::store::{Key, Once, OpenError, Row, StoreError};

/// The collection of all models' keys.
pub(super) fn collection(database: &Database) -> Collection<Document> {
    database.collection("zg_keys")
}

pub(super) async fn keep(database: &Database, schema: &Schema) -> Result<(), OpenError> {
    let options = IndexOptions::builder().name("zg_ttl_at".to_owned()).expire_after(KEYS_LIVE).build();
    let index = IndexModel::builder().keys(doc! { "at": 1 }).options(options).build();
    match collection(database).create_index(index).await {
        Ok(_) => Ok(()),
        Err(error) => match error::code(&error) {
            Some((85 | 86, message)) => Err(ConfigError::new(format!("the index zg_ttl_at is another one: {message}"))
                .cure("drop it by hand; it is made again at the next start")
                .into()),
            _ => Err(error::of(error, schema).into()),
        },
    }
}

/// What became of the request with this key, if it has come before.
pub(super) async fn recall(
    keys: &Collection<Document>,
    schema: &Schema,
    key: &Key,
) -> Result<Option<Once>, StoreError> {
    let name = doc! { "_id": { "$eq": &key.name }, "at": { "$gt": forgotten() } };
    let Some(found) = keys.find_one(name).await.map_err(|e| error::of(e, schema))? else { return Ok(None) };
    let part = |name: &str| StoreError::Internal(format!("a kept key has no {name}").into());
    if found.get_i64("print").map_err(|_| part("print"))? != key.fingerprint {
        return Ok(Some(Once::Other));
    }
    let json = found.get_str("doc").map_err(|_| part("doc"))?.to_owned();
    Ok(Some(Once::Before(Row { version: found.get_i64("ver").map_err(|_| part("ver"))?, json: json.into() })))
}

/// What is kept of the request that wrote this.
pub(super) fn record(key: &Key, row: &Row) -> Document {
    let json = String::from_utf8_lossy(&row.json);
    doc! { "_id": &key.name, "print": key.fingerprint, "at": DateTime::now(), "ver": row.version, "doc": &*json }
}

/// Takes away what the server has not taken away yet.
pub(super) async fn forget(keys: &Collection<Document>, schema: &Schema, key: &Key) -> Result<(), StoreError> {
    let old = doc! { "_id": { "$eq": &key.name }, "at": { "$lte": forgotten() } };
    keys.delete_one(old).await.map(drop).map_err(|e| error::of(e, schema))
}

/// What came by then is forgotten.
fn forgotten() -> DateTime {
    DateTime::from_millis(DateTime::now().timestamp_millis() - i64::try_from(KEYS_LIVE.as_millis()).unwrap_or(0))
}
