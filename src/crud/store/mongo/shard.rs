//! The shard key in what is asked of rows by their ids, and how a sharded cluster has to keep them.
//!
//! A router (`mongos`) sends a write to the one shard that has the row when its filter holds the shard key. Without one it asks all of
//! them, and older servers refuse `findAndModify`. Of rows that are read by their id the key is told when it is known anyway.

use bson::{Bson, Document, doc};
use mongodb::error::Error;
use mongodb::{Client, ClientSession};

use super::collection::Rows;
use super::{encode, error};
use crate::ConfigError;
use crate::crud::store::OpenError;
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

/// Looks whether a cluster keeps the rows as the schema says. One that does not shard them yet is told of in the log, as they may be
/// sharded while the app runs.
pub(super) async fn check(client: &Client, namespace: &str, schema: &Schema) -> Result<(), OpenError> {
    let Some(index) = schema.shard_key() else { return Ok(()) };
    let key = encode::key(schema, index);
    let known = client.database("config").collection::<Document>("collections");
    let found = match known.find_one(doc! { "_id": { "$eq": namespace } }).await {
        Ok(found) => found,
        // Who serves rows need not be one who may look at the cluster.
        Err(failure) if error::code(&failure).is_some_and(|(code, _)| code == NOT_ALLOWED) => {
            let model = &schema.name;
            tracing::warn!(
                model,
                "this user may not read config.collections, so it is not known by what {namespace} is sharded"
            );
            return Ok(());
        }
        Err(failure) => return Err(error::of(failure, schema).into()),
    };
    match found.as_ref().and_then(shards_by) {
        None => {
            let model = &schema.name;
            tracing::warn!(model, "{namespace} is not sharded yet; `{}` does it", command(namespace, key));
            Ok(())
        }
        Some(by) if fits(by, key) => Ok(()),
        Some(by) => Err(ConfigError::new(format!(
            "{namespace} is sharded by {by}, and {} by {}",
            schema.name, schema.fields[index].name
        ))
        .cure(format!("name the field by which it is sharded, or shard it anew by {key} alone or by {key} and _id"))
        .into()),
    }
}

/// Unauthorized.
const NOT_ALLOWED: i32 = 13;

/// By what a collection is sharded, as `config.collections` tells it: there are such that were dropped, and such that lie whole on one
/// shard.
fn shards_by(told: &Document) -> Option<&Document> {
    let is = |name: &str| told.get_bool(name).unwrap_or(false);
    told.get_document("key").ok().filter(|_| !is("dropped") && !is("unsplittable"))
}

/// Whether writes that tell `key` and the id tell all of a shard key.
fn fits(by: &Document, key: &str) -> bool {
    let mut names = by.keys();
    names.next().is_some_and(|first| first == key) && names.all(|name| name == "_id")
}

/// What shards a collection. Ids are spread by their hashes, since new ones are often the greatest; what many rows have in common is
/// divided by their ids.
fn command(namespace: &str, key: &str) -> String {
    match key {
        "_id" => format!(r#"sh.shardCollection("{namespace}", {{ "_id": "hashed" }})"#),
        _ => format!(r#"sh.shardCollection("{namespace}", {{ "{key}": 1, "_id": 1 }})"#),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_writes_tell_as_a_whole_fit() {
        for (by, key, is) in [
            (doc! { "tenant": 1 }, "tenant", true),
            (doc! { "tenant": "hashed" }, "tenant", true),
            (doc! { "tenant": 1, "_id": 1 }, "tenant", true),
            (doc! { "tenant": 1, "region": 1 }, "tenant", false),
            (doc! { "_id": 1, "tenant": 1 }, "tenant", false),
            (doc! { "region": 1 }, "tenant", false),
            (doc! { "_id": "hashed" }, "_id", true),
            (doc! { "_id": 1, "tenant": 1 }, "_id", false),
        ] {
            assert_eq!(fits(&by, key), is, "{by} {key}");
        }
    }

    #[test]
    fn what_a_command_shards_by_fits() {
        for (key, says) in [("tenant", r#"{ "tenant": 1, "_id": 1 }"#), ("_id", r#"{ "_id": "hashed" }"#)] {
            assert_eq!(command("shop.note", key), format!(r#"sh.shardCollection("shop.note", {says})"#));
        }
    }

    #[test]
    fn what_lies_on_one_shard_is_not_sharded() {
        let key = doc! { "_id": 1 };
        assert_eq!(shards_by(&doc! { "key": key.clone(), "dropped": false }), Some(&key));
        assert_eq!(shards_by(&doc! { "key": key.clone(), "dropped": true }), None);
        assert_eq!(shards_by(&doc! { "key": key, "unsplittable": true }), None);
    }
}
