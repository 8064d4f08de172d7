//! What opening a collection would do, told without doing it, and what is done on request only.

use std::collections::HashMap;

use bson::{Bson, Document, doc};
use mongodb::{Collection, Database, IndexModel};
use serde_json::Value as Json;

use super::ensure::{self, META, Record, Sort, Stale, Wanted, existing, name_of, unique_fields};
use super::{encode, error, legacy, search};
use crate::crud::Schema;
use crate::crud::schema::Type;
use crate::crud::store::plan::{Step, StepKind};
use crate::crud::store::steps::{EXAMPLES, Found, Look, Steps};
use crate::crud::store::{OpenError, StoreError, names, shape};

/// The steps for one collection.
pub(super) async fn of(database: &Database, schema: &Schema, look: Look) -> Result<Vec<Step>, OpenError> {
    let mut steps = Steps::new(schema);
    let failed = |error| error::of(error, schema);
    let name = names::collection(&schema.name);
    let rows = database.collection::<Document>(&name);
    let mut planning = Planning { schema, rows, is_new: false, looks: look == Look::Rows };
    match ensure::record(database, schema).await? {
        Some(Record { model, .. }) if model != schema.name => {
            let text = format!("would share the collection {name} with {model}");
            steps.conflict(None, StepKind::Taken, text, Found::default(), "rename one of them");
            return Ok(steps.into_vec());
        }
        Some(Record { shape: old, .. }) => {
            let new = shape::of(schema);
            if old != new {
                planning.is_new = planning.rows.find_one(doc! {}).await.map_err(failed)?.is_some();
                planning.shapes(&mut steps, &old, &new).await?;
            }
        }
        None => {
            let meta = database.collection::<Document>(META);
            if meta.find_one(doc! {}).await.map_err(failed)?.is_none() {
                steps.new_store("the database holds nothing of ours yet");
            }
            let there = database.list_collection_names().filter(doc! { "name": &name }).await.map_err(failed)?;
            if there.is_empty() {
                steps.safe(None, StepKind::NewCollection, format!("the collection {name} is made"), 0);
                return Ok(steps.into_vec());
            }
            let text = format!("the collection {name} of other programs is taken over as it is");
            steps.safe(None, StepKind::Adopted, text, 0);
        }
    }
    planning.indexes(&mut steps).await?;
    Ok(steps.into_vec())
}

/// Drops those of our indexes that opening refuses to go on with.
pub(super) async fn drop_stale(database: &Database, schema: &Schema) -> Result<(), OpenError> {
    let rows = database.collection::<Document>(&names::collection(&schema.name));
    let there = existing(&rows, schema).await?;
    let wanted = ensure::wanted(schema);
    let others = wanted.iter().filter(|wanted| wanted.sort != Sort::Plain && is_another(wanted, &there));
    let mut names: Vec<_> = others.map(|wanted| name_of(&wanted.index).to_owned()).collect();
    names.extend(ensure::stale(schema, &there).into_iter().map(|stale| stale.name));
    for name in names {
        rows.drop_index(name).await.map_err(|error| error::of(error, schema))?;
    }
    Ok(())
}

/// Whether an index of the same name is there, and is another one.
fn is_another(wanted: &Wanted, there: &[IndexModel]) -> bool {
    let name = name_of(&wanted.index);
    there.iter().filter(|index| name_of(index) == name).any(|index| !is_same(&wanted.index, index))
}

/// Whether two indexes do the same, but for the time after which rows expire.
fn is_same(one: &IndexModel, other: &IndexModel) -> bool {
    let sort = |index: &IndexModel| {
        let keys = plain(&index.keys);
        let options = index.options.as_ref();
        let unique = options.and_then(|options| options.unique).unwrap_or(false);
        let filter = options.and_then(|options| options.partial_filter_expression.as_ref()).map(plain);
        (keys, unique, filter.filter(|filter| !filter.is_empty()))
    };
    sort(one) == sort(other)
}

/// The same with all numbers of one type: servers do not give them back as they came.
fn plain(document: &Document) -> Document {
    fn one(value: &Bson) -> Bson {
        match value {
            Bson::Int32(x) => f64::from(*x).into(),
            Bson::Int64(x) => i32::try_from(*x).map_or_else(|_| value.clone(), |x| f64::from(x).into()),
            Bson::Document(inner) => plain(inner).into(),
            Bson::Array(items) => items.iter().map(one).collect::<Vec<_>>().into(),
            other => other.clone(),
        }
    }
    document.iter().map(|(key, inner)| (key.clone(), one(inner))).collect()
}

struct Planning<'p> {
    schema: &'p Schema,
    rows: Collection<Document>,
    /// Whether the shape is another one, and there are rows.
    is_new: bool,
    /// Whether the rows are looked at.
    looks: bool,
}

impl Planning<'_> {
    fn failed(&self, error: mongodb::error::Error) -> StoreError {
        error::of(error, self.schema)
    }

    async fn shapes(&self, steps: &mut Steps<'_>, old: &Json, new: &Json) -> Result<(), OpenError> {
        let Self { schema, rows, .. } = self;
        // An estimate may be none where there are some.
        let count = match self.is_new {
            true => rows.estimated_document_count().await.map_err(|e| self.failed(e))?.max(1),
            false => 0,
        };
        // Rows are read by the names of their fields, and as what they hold.
        let kept = match schema.is_open() {
            true => "rows keep it, and clients see it as a member that is no field",
            false => "rows are left as they are",
        };
        steps.of_shapes(old, new, count, 0, kept);
        steps.forget(StepKind::Order);
        if !self.looks || !self.is_new {
            return Ok(());
        }
        let mut refused = Vec::new();
        for step in steps.unfit() {
            let outer = step.field.as_deref().and_then(|path| path.split('.').next()).unwrap_or_default().to_owned();
            let key = schema.field(&outer).map_or(&*outer, |field| encode::key(schema, field));
            let found = self.found(doc! { key: { "$ne": Bson::Null } }).await?;
            (step.rows, step.ids) = (found.rows, found.ids);
            refused.push(outer);
        }
        for (index, field) in schema.fields.iter().enumerate().filter(|(index, _)| schema.id != Some(*index)) {
            if refused.iter().any(|outer| **outer == *field.name) {
                continue;
            }
            let (key, must) = (encode::key(schema, index), ensure::must_be_there(field));
            let missing = doc! { key: { "$exists": false } };
            if field.default.is_some() {
                let count = rows.count_documents(missing).await.map_err(|e| self.failed(e))?;
                if let Some(step) = steps.of(&field.name, StepKind::NewField) {
                    step.rows = count;
                } else if count > 0 {
                    let text = "rows without it get its default";
                    steps.safe(Some(&field.name), StepKind::NewField, text, count);
                }
            } else if must {
                steps.refuse_missing(&field.name, self.found(missing).await?);
            }
            if must {
                steps.refuse_null(&field.name, self.found(doc! { key: { "$type": "null" } }).await?);
            }
        }
        Ok(())
    }

    /// The rows that a filter holds for.
    async fn found(&self, filter: Document) -> Result<Found, StoreError> {
        let rows = self.rows.count_documents(filter.clone()).await.map_err(|e| self.failed(e))?;
        let mut ids = Vec::new();
        if rows > 0 {
            let first =
                self.rows.find(filter).projection(doc! { "_id": 1 }).limit(i64::try_from(EXAMPLES).unwrap_or(1));
            let mut found = first.await.map_err(|e| self.failed(e))?;
            while found.advance().await.map_err(|e| self.failed(e))? {
                ids.push(self.id(found.deserialize_current().map_err(|e| self.failed(e))?.get("_id")));
            }
        }
        Ok(Found { rows, ids })
    }

    async fn indexes(&self, steps: &mut Steps<'_>) -> Result<(), OpenError> {
        let Self { schema, rows, .. } = self;
        let there = existing(rows, schema).await?;
        if schema.searched().next().is_some() && there.iter().all(|index| name_of(index) != search::NAME) {
            steps.safe(None, StepKind::NewIndex, steps.words(), 0);
        }
        for Stale { name, field, .. } in ensure::stale(schema, &there) {
            let why = match unique_fields(&name).map_or(0, |fields| fields.len()) {
                0 => "by which rows expire, as the model does not ask for",
                1 => "by which the field is unique, as the model does not ask for",
                _ => "by which the fields are unique together, as the model does not ask for",
            };
            steps.on_request(&field, StepKind::IndexGone, format!("the index {name} is dropped, {why}"));
        }
        for wanted in ensure::wanted(schema) {
            let names = wanted.names(schema);
            let place = names.join(", ");
            let name = name_of(&wanted.index);
            let known = there.iter().find(|index| name_of(index) == name);
            if let (Sort::Expiry(ttl), Some(known)) = (wanted.sort, known)
                && let Some(before) = known.options.as_ref().and_then(|options| options.expire_after)
                && before.as_secs() != u64::from(ttl)
            {
                let text = format!("rows expire {ttl} s after it, no longer {} s", before.as_secs());
                steps.safe(Some(&place), StepKind::Expiry, text, 0);
                continue;
            }
            match known {
                Some(_) if !is_another(&wanted, &there) => continue,
                Some(_) if wanted.sort == Sort::Plain => {
                    let text = format!("the index {name} is one of other programs");
                    let cure = "drop it by hand; it is made again at the next start";
                    steps.conflict(Some(&place), StepKind::Taken, text, Found::default(), cure);
                    continue;
                }
                Some(_) => {
                    let text = format!("the index {name} is dropped, which is on other rows than the model asks for");
                    steps.on_request(&place, StepKind::IndexGone, text);
                }
                None => {}
            }
            let is_refused = names.iter().any(|name| {
                [StepKind::Unfit, StepKind::Missing].into_iter().any(|kind| steps.of(name, kind).is_some())
            });
            let found = if wanted.sort == Sort::Rule && self.looks && !is_refused {
                self.duplicates(&wanted).await?
            } else {
                Found::default()
            };
            if found.rows > 0 {
                steps.refuse_duplicates(&names, found);
                continue;
            }
            let mut written = 0;
            let folded = wanted.folded(schema);
            if let Some(field) = folded.filter(|_| self.looks) {
                // Beside them their folded texts are kept.
                let (name, folded) = (&*schema.fields[field].name, encode::folded_name(schema, field));
                let lacking = doc! { name: { "$type": "string" }, folded: { "$exists": false } };
                written = rows.count_documents(lacking).await.map_err(|e| self.failed(e))?;
            }
            let text = match wanted.sort {
                Sort::Rule if folded.is_some() => {
                    format!("the unique index {name} is built, for which small and capital letters are the same")
                }
                Sort::Rule => format!("the unique index {name} is built"),
                Sort::Expiry(ttl) => format!("the index {name} is built, and rows expire {ttl} s after it"),
                Sort::Plain => format!("the index {name} is built"),
            };
            steps.safe(Some(&place), StepKind::NewIndex, text, written);
        }
        Ok(())
    }

    /// Rows that hold what others hold, once they have their defaults.
    async fn duplicates(&self, wanted: &Wanted) -> Result<Found, StoreError> {
        let folded = wanted.folded(self.schema);
        let fields = wanted.fields.iter().map(|field| &self.schema.fields[*field]);
        let mut pipeline = Vec::new();
        if self.is_new {
            let deletion = self.schema.deletion().map(|index| &self.schema.fields[index]);
            for field in fields.chain(deletion) {
                let Some(default) = &field.default else { continue };
                if default.is_unique() {
                    // Each row gets one of its own.
                    pipeline.push(doc! { "$match": { &*field.name: { "$exists": true } } });
                    continue;
                }
                let (name, default) = (&*field.name, ensure::default_of(field, default));
                let is_missing = doc! { "$eq": [{ "$type": format!("${name}") }, "missing"] };
                let value = doc! { "$cond": [is_missing, { "$literal": default }, format!("${name}")] };
                pipeline.push(doc! { "$addFields": { name: value } });
            }
        }
        let filter = wanted.index.options.as_ref().and_then(|options| options.partial_filter_expression.clone());
        if let Some(mut filter) = filter {
            if let Some(field) = folded {
                // What is folded may not be there yet.
                let folded = filter.remove(encode::folded_name(self.schema, field));
                filter.extend(folded.map(|condition| (self.schema.fields[field].name.to_string(), condition)));
            }
            pipeline.push(doc! { "$match": filter });
        }
        match folded {
            Some(field) => self.folded(pipeline, &self.schema.fields[field].name).await,
            None => self.grouped(pipeline, &wanted.names(self.schema)).await,
        }
    }

    /// Those of the rows that hold the same.
    async fn grouped(&self, mut pipeline: Vec<Document>, names: &[&str]) -> Result<Found, StoreError> {
        // Names of their own, since what a group is of may not be called as fields may.
        let of: Document =
            names.iter().enumerate().map(|(place, name)| (format!("f{place}"), format!("${name}").into())).collect();
        pipeline.push(doc! { "$group": {
            "_id": of, "rows": { "$sum": 1 }, "first": { "$min": "$_id" }, "last": { "$max": "$_id" },
        } });
        pipeline.push(doc! { "$match": { "rows": { "$gt": 1 } } });
        let asked = self.rows.aggregate(pipeline).allow_disk_use(true).await;
        let mut groups = asked.map_err(|e| self.failed(e))?;
        let mut all = Found::default();
        while groups.advance().await.map_err(|e| self.failed(e))? {
            let group = groups.deserialize_current().map_err(|e| self.failed(e))?;
            let rows = group.get("rows").and_then(number).unwrap_or(2);
            all.add(rows.saturating_sub(1), || self.id(group.get("first")));
            all.add(1, || self.id(group.get("last")));
        }
        Ok(all)
    }

    /// Those of the rows that hold texts which fold to the same; the server folds as others do.
    async fn folded(&self, mut pipeline: Vec<Document>, name: &str) -> Result<Found, StoreError> {
        pipeline.push(doc! { "$project": { name: 1 } });
        let mut found = self.rows.aggregate(pipeline).await.map_err(|e| self.failed(e))?;
        let (mut all, mut first) = (Found::default(), HashMap::<String, Option<String>>::new());
        while found.advance().await.map_err(|e| self.failed(e))? {
            let row = found.deserialize_current().map_err(|e| self.failed(e))?;
            let Ok(text) = row.get_str(name) else { continue };
            match first.entry(names::folded(text)) {
                std::collections::hash_map::Entry::Vacant(place) => {
                    place.insert(Some(self.id(row.get("_id"))));
                }
                std::collections::hash_map::Entry::Occupied(mut place) => {
                    if let Some(before) = place.get_mut().take() {
                        all.add(1, || before);
                    }
                    all.add(1, || self.id(row.get("_id")));
                }
            }
        }
        Ok(all)
    }

    /// An id as JSON.
    fn id(&self, id: Option<&Bson>) -> String {
        let kind = self.schema.id.map(|index| &self.schema.fields[index].kind);
        match id {
            Some(Bson::String(text)) => Json::from(text.as_str()).to_string(),
            Some(Bson::Binary(bytes)) => match (uuid::Uuid::from_slice(&bytes.bytes), kind) {
                (Ok(id), Some(Type::LegacyUuid(order))) => format!("\"{}\"", legacy::reorder(*order, id)),
                (Ok(id), _) => format!("\"{id}\""),
                (Err(_), _) => "null".into(),
            },
            Some(Bson::ObjectId(id)) => format!("\"{}\"", id.to_hex()),
            Some(id) => id.to_string(),
            None => "null".into(),
        }
    }
}

fn number(value: &Bson) -> Option<u64> {
    match value {
        Bson::Int32(x) => u64::try_from(*x).ok(),
        Bson::Int64(x) => u64::try_from(*x).ok(),
        _ => None,
    }
}
