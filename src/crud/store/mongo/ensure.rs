//! Indexes and the record of the schema: made when missing, never dropped. Several processes may do this at once.

use bson::{Bson, Document, doc};
use mongodb::options::IndexOptions;
use mongodb::{Database, IndexModel};
use serde_json::Value as Json;
use uuid::Uuid;

use super::{encode, error, search, shard};
use crate::ConfigError;
use crate::crud::schema::{DefaultValue, Field, Index, Type, check};
use crate::crud::store::{OpenError, names, shape};
use crate::crud::{Schema, Value};

/// Where the shapes of schemas are kept.
pub(super) const META: &str = "zg_meta";

/// What is kept of the schema whose rows a collection holds.
pub(super) struct Record {
    /// The model that it belongs to.
    pub(super) model: String,
    pub(super) shape: Json,
}

/// What is known of the collection of a schema; nothing when it was never opened.
pub(super) async fn record(database: &Database, schema: &Schema) -> Result<Option<Record>, OpenError> {
    let meta = database.collection::<Document>(META);
    let found = meta.find_one(doc! { "_id": { "$eq": names::collection(&schema.name) } }).await;
    Ok(found.map_err(|error| error::of(error, schema))?.map(|known| Record {
        model: known.get_str("model").unwrap_or(&schema.name).to_owned(),
        shape: known.get_str("shape").ok().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default(),
    }))
}

/// Brings the collection in line with the schema: the fields whose defaults were given to rows, and to how many. `told` hears how
/// many they are so far.
pub(super) async fn ensure(
    database: &Database,
    schema: &Schema,
    told: &(impl Fn(u64) + Sync),
) -> Result<Vec<(usize, u64)>, OpenError> {
    let failed = |error| error::of(error, schema);
    let mut written = Vec::new();
    let name = names::collection(&schema.name);
    let new = shape::of(schema);
    if let Some(Record { model, shape: old }) = record(database, schema).await? {
        if model != schema.name {
            return Err(ConfigError::new(format!("{} and {model} would share the collection {name}", schema.name))
                .cure("rename one of them")
                .into());
        }
        if old != new {
            written = migrate(database, schema, &name, &old, &new, told).await?;
        }
    }
    indexes(database, schema, &name).await?;
    search::ensure(&database.collection(&name), schema).await?;
    let record = doc! { "$set": { "model": &schema.name, "shape": new.to_string() } };
    let meta = database.collection::<Document>(META);
    meta.update_one(doc! { "_id": { "$eq": &name } }, record).upsert(true).await.map_err(failed)?;
    Ok(written)
}

/// Refuses rows that do not fit, and gives new fields their default, so that filters see what answers show.
async fn migrate(
    database: &Database,
    schema: &Schema,
    name: &str,
    old: &Json,
    new: &Json,
    told: &(impl Fn(u64) + Sync),
) -> Result<Vec<(usize, u64)>, OpenError> {
    let mut written = Vec::new();
    let failed = |error| error::of(error, schema);
    let rows = database.collection::<Document>(name);
    if rows.find_one(doc! {}).projection(doc! { "_id": 1 }).await.map_err(failed)?.is_none() {
        return Ok(written);
    }
    if let Some(conflict) = shape::conflict(&schema.name, old, new) {
        return Err(ConfigError::new(format!("the stored rows do not fit the schema: {conflict}"))
            .cure("give the changed field a new name, or move the rows by hand")
            .into());
    }
    for (index, field) in schema.fields.iter().enumerate().filter(|(index, _)| schema.id != Some(*index)) {
        let key = encode::key(schema, index);
        if let Some(default) = field.default.as_ref().filter(|own| !matches!(own, DefaultValue::Claim(_))) {
            let missing = doc! { key: { "$exists": false } };
            // Each row has one of its own.
            let count = match default.is_unique() {
                false => {
                    let value = doc! { "$set": { key: default_of(field, default) } };
                    rows.update_many(missing, value).await.map_err(failed)?.modified_count
                }
                true => {
                    give_each(&rows, schema, missing, || doc! { "$set": { key: default_of(field, default) } }).await?
                }
            };
            written.push((index, count));
            told(written.iter().map(|(_, count)| count).sum());
        }
        let null = doc! { key: { "$eq": Bson::Null } };
        if must_be_there(field) && rows.find_one(null).await.map_err(failed)?.is_some() {
            return Err(ConfigError::new(format!("some stored rows have no {}.{}", schema.name, field.name))
                .cure("give it a default, or declare it as Optional")
                .into());
        }
    }
    Ok(written)
}

/// Updates the rows that hold one by one; how many they were.
async fn give_each(
    rows: &mongodb::Collection<Document>,
    schema: &Schema,
    filter: Document,
    update: impl Fn() -> Document,
) -> Result<u64, OpenError> {
    let failed = |error| error::of(error, schema);
    let projection = shard::projection(schema, doc! { "_id": 1 });
    let mut found = rows.find(filter.clone()).projection(projection).await.map_err(failed)?;
    let mut count = 0;
    while found.advance().await.map_err(failed)? {
        let document = found.deserialize_current().map_err(failed)?;
        let Some(mut this) = shard::row(schema, &document) else { continue };
        // Somebody else may do the same.
        this.insert("$and", vec![filter.clone()]);
        count += rows.update_one(this, update()).await.map_err(failed)?.modified_count;
    }
    Ok(count)
}

/// Whether rows are looked at for nulls in a field. A list that holds a null would be found as well.
pub(super) fn must_be_there(field: &Field) -> bool {
    !field.kind.inner().1 && !matches!(field.kind, Type::List { .. } | Type::Fixed(_))
}

pub(super) fn default_of(field: &Field, default: &DefaultValue) -> Bson {
    let value = match default {
        DefaultValue::Constant(value) => value.clone(),
        DefaultValue::Uuid4 => Value::Uuid(Uuid::new_v4()),
        DefaultValue::Uuid7 => Value::Uuid(Uuid::now_v7()),
        DefaultValue::ObjectId => Value::Str(check::new_object_id().into()),
        DefaultValue::Now => field.kind.instant(names::first_version()),
        DefaultValue::Token(bytes) => Value::Str(check::new_token(*bytes).into()),
        DefaultValue::Claim(_) => Value::Null,
    };
    encode::bson(&field.kind, &value)
}

/// An index that the schema does not have any more and by which rows would go on being refused or removed.
pub(super) struct Stale {
    pub(super) name: String,
    /// The field, or those of a rule with commas between.
    pub(super) field: String,
    /// What it does, and should not.
    pub(super) what: String,
}

/// Those of the indexes that are stale.
pub(super) fn stale(schema: &Schema, there: &[IndexModel]) -> Vec<Stale> {
    let index = |field: &str| schema.field(field).and_then(|index| schema.fields[index].index);
    let model = &schema.name;
    let mut found = Vec::new();
    for name in there.iter().map(name_of) {
        let (field, is_wanted, what) = if let Some(rule) = together(name) {
            let is_wanted = schema.together().any(|wanted| name == together_name(schema, &wanted));
            let what = format!(
                "{model}: {} are not unique together in the way in which its index {name} says",
                rule.join(" and ")
            );
            (rule.join(", "), is_wanted, what)
        } else if let Some(field) = unique_field(name) {
            let is_wanted = index(field).is_some_and(|index| index.unique && name == unique_name(schema, field, index));
            (
                field.to_owned(),
                is_wanted,
                format!("{model}.{field} is not unique in the way in which its index {name} is"),
            )
        } else if let Some(field) = name.strip_prefix(EXPIRES) {
            let is_wanted = index(field).is_some_and(|index| index.ttl.is_some());
            let what = format!("rows do not expire by {model}.{field}, and its index {name} removes them");
            (field.to_owned(), is_wanted, what)
        } else {
            continue;
        };
        if !is_wanted {
            found.push(Stale { name: name.to_owned(), field, what });
        }
    }
    found
}

/// The indexes of a collection; none where there is no such collection yet.
pub(super) async fn existing(
    rows: &mongodb::Collection<Document>,
    schema: &Schema,
) -> Result<Vec<IndexModel>, OpenError> {
    let failed = |error| error::of(error, schema).into();
    let mut found = match rows.list_indexes().await {
        Ok(found) => found,
        Err(error) if error::code(&error).is_some_and(|(code, _)| code == 26) => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut indexes = Vec::new();
    while found.advance().await.map_err(failed)? {
        indexes.push(found.deserialize_current().map_err(failed)?);
    }
    Ok(indexes)
}

/// The name of an index.
pub(super) fn name_of(index: &IndexModel) -> &str {
    index.options.as_ref().and_then(|options| options.name.as_deref()).unwrap_or_default()
}

/// A rule of uniqueness that the schema no longer has would go on refusing rows.
async fn no_stale_rules(rows: &mongodb::Collection<Document>, schema: &Schema) -> Result<(), OpenError> {
    match stale(schema, &existing(rows, schema).await?).first() {
        Some(Stale { name, what, .. }) => {
            let cure = format!("drop it with `db.{}.dropIndex(\"{name}\")`", rows.name());
            Err(ConfigError::new(what.clone()).cure(cure).into())
        }
        None => Ok(()),
    }
}

/// An index that is to be.
pub(super) struct Wanted {
    /// Indexes of the fields, of which there are several where they are unique together.
    pub(super) fields: Vec<usize>,
    pub(super) sort: Sort,
    pub(super) index: IndexModel,
}

/// What an index is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    /// It keeps a field unique, or several together.
    Rule,
    /// It removes rows so many seconds after what they hold.
    Expiry(u32),
    /// It finds rows.
    Plain,
}

/// The indexes that the schema asks for.
pub(super) fn wanted(schema: &Schema) -> Vec<Wanted> {
    let mut all = Vec::new();
    for (position, field) in schema.fields.iter().enumerate() {
        let Some(index) = field.index.filter(|_| schema.id != Some(position)) else { continue };
        let key = &*field.name;
        let (kind, nullable) = field.kind.inner();
        let mut add = |sort: Sort, keys: Document, options: IndexOptions| {
            let index = IndexModel::builder().keys(keys).options(options).build();
            all.push(Wanted { fields: vec![position], sort, index });
        };
        if index.unique {
            let mut options = IndexOptions::builder().name(unique_name(schema, key, index)).unique(true).build();
            let place = if index.case_insensitive { encode::folded_name(schema, position) } else { key.to_owned() };
            let mut counted = Document::new();
            if nullable {
                // Nulls do not count.
                counted.insert(place.clone(), doc! { "$type": type_name(kind) });
            }
            options.partial_filter_expression = living(schema, counted);
            add(Sort::Rule, doc! { place: 1 }, options);
        }
        if let Some(ttl) = index.ttl {
            let after = std::time::Duration::from_secs(ttl.into());
            let options = IndexOptions::builder().name(format!("{EXPIRES}{key}")).expire_after(after).build();
            add(Sort::Expiry(ttl), doc! { key: 1 }, options);
        }
        if !index.unique || index.case_insensitive || nullable || schema.deletion().is_some() {
            // A partial index serves no plain comparison, so a unique field that may be null has both.
            let options = IndexOptions::builder().name(format!("zg_i_{key}")).build();
            add(Sort::Plain, doc! { key: 1, "_id": 1 }, options);
        }
    }
    all.extend(schema.together().map(|rule| {
        let (mut keys, mut counted) = (Document::new(), Document::new());
        for field in rule.iter().map(|field| &schema.fields[*field]) {
            let (kind, nullable) = field.kind.inner();
            keys.insert(&*field.name, 1);
            if nullable {
                // Rows that hold a null in one of them do not count, as on SQLite.
                counted.insert(&*field.name, doc! { "$type": type_name(kind) });
            }
        }
        let mut options = IndexOptions::builder().name(together_name(schema, &rule)).unique(true).build();
        options.partial_filter_expression = living(schema, counted);
        let index = IndexModel::builder().keys(keys).options(options).build();
        Wanted { fields: rule, sort: Sort::Rule, index }
    }));
    all
}

/// What rows must hold to count: `counted`, and that they are not marked as deleted, which is a null. None where all count.
fn living(schema: &Schema, mut counted: Document) -> Option<Document> {
    if let Some(deletion) = schema.deletion() {
        counted.insert(&*schema.fields[deletion].name, doc! { "$type": "null" });
    }
    (!counted.is_empty()).then_some(counted)
}

impl Wanted {
    /// What the fields are called.
    pub(super) fn names<'s>(&self, schema: &'s Schema) -> Vec<&'s str> {
        schema.names_of(&self.fields)
    }

    /// Of a rule: the field whose texts are the same whether their letters are small or capital.
    pub(super) fn folded(&self, schema: &Schema) -> Option<usize> {
        match self.fields[..] {
            [field] if self.sort == Sort::Rule => {
                schema.fields[field].index.filter(|index| index.case_insensitive).map(|_| field)
            }
            _ => None,
        }
    }
}

async fn indexes(database: &Database, schema: &Schema, name: &str) -> Result<(), OpenError> {
    let rows = database.collection::<Document>(name);
    no_stale_rules(&rows, schema).await?;
    for wanted in wanted(schema) {
        if let Some(field) = wanted.folded(schema) {
            fold(&rows, schema, field).await?;
        }
        match wanted.sort {
            Sort::Expiry(ttl) => expires(database, &rows, schema, wanted.index, ttl).await?,
            Sort::Rule | Sort::Plain => create(&rows, schema, wanted.index).await?,
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

/// The same of an index that keeps several unique together: `zg_w_shelf.place`. No name of a field has a dot in it.
fn together_name(schema: &Schema, rule: &[usize]) -> String {
    let rows = if schema.deletion().is_some() { "a" } else { "" };
    format!("zg_w{rows}_{}", schema.names_of(rule).join("."))
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
        // Another program may have written the text meanwhile. It is unique, so there is no shard key.
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
    index: IndexModel,
    ttl: u32,
) -> Result<(), OpenError> {
    let name = name_of(&index).to_owned();
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

/// The fields that an index of this name keeps unique, or unique together.
pub(super) fn unique_fields(name: &str) -> Option<Vec<&str>> {
    together(name).or_else(|| unique_field(name).map(|field| vec![field]))
}

fn together(name: &str) -> Option<Vec<&str>> {
    ["zg_w_", "zg_wa_"].iter().find_map(|prefix| name.strip_prefix(prefix)).map(|rule| rule.split('.').collect())
}

fn unique_field(name: &str) -> Option<&str> {
    ["zg_u_", "zg_ua_", "zg_uc_", "zg_uca_"].iter().find_map(|prefix| name.strip_prefix(prefix))
}

fn type_name(kind: &Type) -> Bson {
    match kind {
        Type::Bool => "bool".into(),
        Type::Int(_) | Type::IntText(_) | Type::Float(_) | Type::Micros(_) | Type::Duration(_) | Type::Decimal(_) => {
            "number".into()
        }
        Type::Uuid | Type::LegacyUuid(_) => "binData".into(),
        Type::ObjectId => "objectId".into(),
        Type::DateTime(_) | Type::Midnight(_) => "date".into(),
        Type::OneOf { .. } => vec!["string", "number", "bool"].into(),
        _ => "string".into(),
    }
}

async fn create(rows: &mongodb::Collection<Document>, schema: &Schema, index: IndexModel) -> Result<(), OpenError> {
    let name = name_of(&index).to_owned();
    match rows.create_index(index).await {
        Ok(_) => Ok(()),
        Err(error) => match error::code(&error) {
            Some((11000, _)) => {
                let fields =
                    unique_fields(&name).unwrap_or_default().into_iter().map(str::to_owned).collect::<Vec<_>>();
                Err(names::not_unique(schema, &fields).into())
            }
            Some((85 | 86, message)) => {
                Err(ConfigError::new(format!("the index {name} of {} is another one: {message}", rows.name()))
                    .cure("drop it by hand; it is made again at the next start")
                    .into())
            }
            _ => Err(error::of(error, schema).into()),
        },
    }
}
