//! Indexes and the record of the schema: made when missing, never dropped. Several processes may do this at once.

use bson::{Bson, Document, doc};
use mongodb::options::IndexOptions;
use mongodb::{Database, IndexModel};
use serde_json::Value as Json;
use uuid::Uuid;

use super::{encode, error};
use crate::ConfigError;
use crate::crud::schema::{DefaultValue, Field, Type};
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
        let Some(field) = unique_field(&name) else { continue };
        let unique = schema.field(field).and_then(|index| schema.fields[index].index).is_some_and(|index| index.unique);
        if !unique || name != unique_name(schema, field) {
            return Err(ConfigError::new(format!(
                "{}.{field} is not unique in the way in which its index {name} is",
                schema.name
            ))
            .cure(format!("drop it with `db.{}.dropIndex(\"{name}\")`", rows.name()))
            .into());
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
            let mut options = IndexOptions::builder().name(unique_name(schema, key)).unique(true).build();
            let mut counted = Document::new();
            if nullable {
                // Nulls do not count.
                counted.insert(key, doc! { "$type": type_name(kind) });
            }
            if let Some(deletion) = schema.deletion() {
                // Nor do rows that are marked as deleted; those that are not hold a null.
                counted.insert(&*schema.fields[deletion].name, doc! { "$type": "null" });
            }
            if !counted.is_empty() {
                options.partial_filter_expression = Some(counted);
            }
            create(&rows, schema, IndexModel::builder().keys(doc! { key: 1 }).options(options).build()).await?;
        }
        if !index.unique || nullable || schema.deletion().is_some() {
            // A partial index serves no plain comparison, so a unique field that may be null has both.
            let options = IndexOptions::builder().name(format!("zg_i_{key}")).build();
            create(&rows, schema, IndexModel::builder().keys(doc! { key: 1, "_id": 1 }).options(options).build())
                .await?;
        }
    }
    Ok(())
}

/// The name of the index that keeps a field unique: another one where rows that are marked as deleted do not count.
fn unique_name(schema: &Schema, field: &str) -> String {
    if schema.deletion().is_some() { format!("zg_ua_{field}") } else { format!("zg_u_{field}") }
}

/// The field that an index of this name keeps unique.
pub(super) fn unique_field(name: &str) -> Option<&str> {
    name.strip_prefix("zg_ua_").or_else(|| name.strip_prefix("zg_u_"))
}

fn type_name(kind: &Type) -> Bson {
    match kind {
        Type::Bool => "bool".into(),
        Type::Int(_) | Type::Float(_) | Type::Duration(_) | Type::Decimal(_) => "number".into(),
        Type::Uuid => "binData".into(),
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
