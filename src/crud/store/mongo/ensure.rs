//! Indexes and the record of the schema: made when missing, never dropped. Several processes may do this at once.

use bson::{Bson, Document, doc};
use mongodb::options::IndexOptions;
use mongodb::{Database, IndexModel};
use serde_json::Value as Json;
use uuid::Uuid;

use super::{encode, error, search};
use crate::ConfigError;
use crate::crud::schema::{DefaultValue, Field, Index, Type, check};
use crate::crud::store::{OpenError, names, shape};
use crate::crud::{Schema, Value};

/// Where the shapes of schemas are kept.
const META: &str = "zg_meta";

pub(super) async fn ensure(database: &Database, schema: &Schema) -> Result<(), OpenError> {
    let failed = |error| error::of(error, schema);
    let name = names::collection(&schema.name);
    let meta = database.collection::<Document>(META);
    let new = shape::of(schema);
    if let Some(known) = meta.find_one(doc! { "_id": { "$eq": &name } }).await.map_err(failed)? {
        let model = known.get_str("model").unwrap_or(&schema.name);
        if model != schema.name {
            return Err(ConfigError::new(format!("{} and {model} would share the collection {name}", schema.name))
                .cure("rename one of them")
                .into());
        }
        let old: Json =
            known.get_str("shape").ok().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        if old != new {
            migrate(database, schema, &name, &old, &new).await?;
        }
    }
    indexes(database, schema, &name).await?;
    search::ensure(&database.collection(&name), schema).await?;
    let record = doc! { "$set": { "model": &schema.name, "shape": new.to_string() } };
    meta.update_one(doc! { "_id": { "$eq": &name } }, record).upsert(true).await.map_err(failed)?;
    Ok(())
}

/// Refuses rows that do not fit, and gives new fields their default, so that filters see what answers show.
async fn migrate(database: &Database, schema: &Schema, name: &str, old: &Json, new: &Json) -> Result<(), OpenError> {
    let failed = |error| error::of(error, schema);
    let rows = database.collection::<Document>(name);
    if rows.find_one(doc! {}).projection(doc! { "_id": 1 }).await.map_err(failed)?.is_none() {
        return Ok(());
    }
    if let Some(conflict) = shape::conflict(&schema.name, old, new) {
        return Err(ConfigError::new(format!("the stored rows do not fit the schema: {conflict}"))
            .cure("give the changed field a new name, or move the rows by hand")
            .into());
    }
    for (index, field) in schema.fields.iter().enumerate().filter(|(index, _)| schema.id != Some(*index)) {
        let key = encode::key(schema, index);
        if let Some(default) = &field.default {
            let missing = doc! { key: { "$exists": false } };
            let value = doc! { "$set": { key: default_of(field, default) } };
            rows.update_many(missing, value).await.map_err(failed)?;
        }
        let null = doc! { key: { "$eq": Bson::Null } };
        let is_list = matches!(field.kind, Type::List { .. });
        if !field.kind.inner().1 && !is_list && rows.find_one(null).await.map_err(failed)?.is_some() {
            return Err(ConfigError::new(format!("some stored rows have no {}.{}", schema.name, field.name))
                .cure("give it a default, or declare it as Optional")
                .into());
        }
    }
    Ok(())
}

fn default_of(field: &Field, default: &DefaultValue) -> Bson {
    let value = match default {
        DefaultValue::Constant(value) => value.clone(),
        DefaultValue::Uuid4 => Value::Uuid(Uuid::new_v4()),
        DefaultValue::Uuid7 => Value::Uuid(Uuid::now_v7()),
        DefaultValue::ObjectId => Value::Str(check::new_object_id().into()),
        DefaultValue::Now => Value::DateTime(names::first_version() / 1000),
    };
    encode::bson(&field.kind, &value)
}

/// A rule of uniqueness that the schema no longer has would go on refusing rows.
async fn no_stale_rules(rows: &mongodb::Collection<Document>, schema: &Schema) -> Result<(), OpenError> {
    let names = match rows.list_index_names().await {
        Ok(names) => names,
        // There is no such collection yet.
        Err(error) if error::code(&error).is_some_and(|(code, _)| code == 26) => return Ok(()),
        Err(error) => return Err(error::of(error, schema).into()),
    };
    for name in names {
        let index = |field: &str| schema.field(field).and_then(|index| schema.fields[index].index);
        let what = if let Some(field) = unique_field(&name) {
            let is_wanted = index(field).is_some_and(|index| index.unique && name == unique_name(schema, field, index));
            (!is_wanted)
                .then(|| format!("{}.{field} is not unique in the way in which its index {name} is", schema.name))
        } else if let Some(field) = name.strip_prefix(EXPIRES) {
            let is_wanted = index(field).is_some_and(|index| index.ttl.is_some());
            (!is_wanted)
                .then(|| format!("rows do not expire by {}.{field}, and its index {name} removes them", schema.name))
        } else {
            None
        };
        if let Some(what) = what {
            let cure = format!("drop it with `db.{}.dropIndex(\"{name}\")`", rows.name());
            return Err(ConfigError::new(what).cure(cure).into());
        }
    }
    Ok(())
}

async fn indexes(database: &Database, schema: &Schema, name: &str) -> Result<(), OpenError> {
    let rows = database.collection::<Document>(name);
    no_stale_rules(&rows, schema).await?;
    for (position, field) in schema.fields.iter().enumerate() {
        let Some(index) = field.index.filter(|_| schema.id != Some(position)) else { continue };
        let key = &*field.name;
        let (kind, nullable) = field.kind.inner();
        if index.unique {
            let mut options = IndexOptions::builder().name(unique_name(schema, key, index)).unique(true).build();
            let place = if index.case_insensitive {
                fold(&rows, schema, position).await?;
                encode::folded_name(schema, position)
            } else {
                key.to_owned()
            };
            let mut counted = Document::new();
            if nullable {
                // Nulls do not count.
                counted.insert(place.clone(), doc! { "$type": type_name(kind) });
            }
            if let Some(deletion) = schema.deletion() {
                // Nor do rows that are marked as deleted; those that are not hold a null.
                counted.insert(&*schema.fields[deletion].name, doc! { "$type": "null" });
            }
            if !counted.is_empty() {
                options.partial_filter_expression = Some(counted);
            }
            create(&rows, schema, IndexModel::builder().keys(doc! { place: 1 }).options(options).build()).await?;
        }
        if let Some(ttl) = index.ttl {
            expires(database, &rows, schema, key, ttl).await?;
        }
        if !index.unique || index.case_insensitive || nullable || schema.deletion().is_some() {
            // A partial index serves no plain comparison, so a unique field that may be null has both.
            let options = IndexOptions::builder().name(format!("zg_i_{key}")).build();
            create(&rows, schema, IndexModel::builder().keys(doc! { key: 1, "_id": 1 }).options(options).build())
                .await?;
        }
    }
    Ok(())
}

/// The name of the index that keeps a field unique: another one where rows that are marked as deleted do not count.
fn unique_name(schema: &Schema, field: &str, index: Index) -> String {
    let letters = if index.case_insensitive { "c" } else { "" };
    let rows = if schema.deletion().is_some() { "a" } else { "" };
    format!("zg_u{letters}{rows}_{field}")
}

/// Keeps the folded text beside those that have none yet.
async fn fold(rows: &mongodb::Collection<Document>, schema: &Schema, position: usize) -> Result<(), OpenError> {
    let failed = |error| error::of(error, schema);
    let (key, folded) = (&*schema.fields[position].name, encode::folded_name(schema, position));
    let lacking = doc! { key: { "$type": "string" }, folded.clone(): { "$exists": false } };
    let mut found = rows.find(lacking).projection(doc! { key: 1 }).await.map_err(failed)?;
    while found.advance().await.map_err(failed)? {
        let document = found.deserialize_current().map_err(failed)?;
        let (Some(id), Ok(text)) = (document.get("_id"), document.get_str(key)) else { continue };
        // Another program may have written the text meanwhile.
        let this = doc! { "_id": { "$eq": id.clone() }, key: { "$eq": text } };
        let set = doc! { "$set": { folded.clone(): names::folded(text) } };
        rows.update_one(this, set).await.map_err(failed)?;
    }
    Ok(())
}

/// What the names of indexes by which rows expire begin with.
const EXPIRES: &str = "zg_t_";

/// Has the server remove rows so many seconds after a time that they hold; it looks about once in a minute.
async fn expires(
    database: &Database,
    rows: &mongodb::Collection<Document>,
    schema: &Schema,
    key: &str,
    ttl: u32,
) -> Result<(), OpenError> {
    let name = format!("{EXPIRES}{key}");
    let after = std::time::Duration::from_secs(ttl.into());
    let options = IndexOptions::builder().name(name.clone()).expire_after(after).build();
    let index = IndexModel::builder().keys(doc! { key: 1 }).options(options).build();
    match rows.create_index(index).await {
        Ok(_) => Ok(()),
        // It is there with another time.
        Err(error) if error::code(&error).is_some_and(|(code, _)| matches!(code, 85 | 86)) => {
            let change =
                doc! { "collMod": rows.name(), "index": { "name": name, "expireAfterSeconds": i64::from(ttl) } };
            database.run_command(change).await.map(drop).map_err(|error| error::of(error, schema).into())
        }
        Err(error) => Err(error::of(error, schema).into()),
    }
}

/// The field that an index of this name keeps unique.
pub(super) fn unique_field(name: &str) -> Option<&str> {
    ["zg_u_", "zg_ua_", "zg_uc_", "zg_uca_"].iter().find_map(|prefix| name.strip_prefix(prefix))
}

fn type_name(kind: &Type) -> Bson {
    match kind {
        Type::Bool => "bool".into(),
        Type::Int(_) | Type::Float(_) | Type::Duration(_) | Type::Decimal(_) => "number".into(),
        Type::Uuid => "binData".into(),
        Type::ObjectId => "objectId".into(),
        Type::DateTime => "date".into(),
        Type::OneOf { .. } => vec!["string", "number", "bool"].into(),
        _ => "string".into(),
    }
}

async fn create(rows: &mongodb::Collection<Document>, schema: &Schema, index: IndexModel) -> Result<(), OpenError> {
    let name = index.options.as_ref().and_then(|options| options.name.clone()).unwrap_or_default();
    match rows.create_index(index).await {
        Ok(_) => Ok(()),
        Err(error) => match error::code(&error) {
            Some((11000, _)) => Err(ConfigError::new(format!(
                "{}.{} cannot be made unique: some stored rows hold the same value",
                schema.name,
                unique_field(&name).unwrap_or_default()
            ))
            .into()),
            Some((85 | 86, message)) => {
                Err(ConfigError::new(format!("the index {name} of {} is another one: {message}", rows.name()))
                    .cure("drop it by hand; it is made again at the next start")
                    .into())
            }
            _ => Err(error::of(error, schema).into()),
        },
    }
}
