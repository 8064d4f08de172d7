//! What a store tells of a schema that it differs from, before and while it is brought in line with it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use ziggurat::crud::schema::{Bounds, DefaultValue, Field, Index, Naive, Text, Type, Unknown};
use ziggurat::crud::store::mongo::{MongoOptions, MongoStore};
use ziggurat::crud::store::sqlite::{self, SqliteOptions, SqliteStore};
use ziggurat::crud::store::{AnyStore, Collection, Expect, OpenError, Safety, Step, StepKind, Store};
use ziggurat::crud::{Expr, Schema, Value};

use crate::rows::text;
use crate::support::{Mongo, is_off};

/// Each promise, held against both stores.
macro_rules! both {
    ($($promise:ident)*) => {$(
        mod $promise {
            use super::*;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                let folder = TempDir::new().unwrap();
                let store = SqliteStore::open(folder.path().join("rows.db"), SqliteOptions::default()).unwrap();
                super::$promise(&store).await;
                store.close().await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_mongodb() {
                if is_off() {
                    return;
                }
                let mongo = Mongo::shared();
                let store = MongoStore::connect(&mongo.database(), MongoOptions::default()).await.unwrap();
                super::$promise(&store).await;
                store.close().await;
            }
        }
    )*};
}

both! {
    a_new_store_is_told_of_and_made
    what_opening_does_is_told_before
    rows_in_the_way_are_counted
    values_that_are_shared_are_found_under_the_new_shape
    values_that_are_shared_together_are_found
    a_rule_over_several_fields_comes_and_goes
    a_collection_has_one_model
}

fn named(name: &str, fields: Vec<Field>) -> Arc<Schema> {
    Arc::new(Schema { name: name.into(), fields, id: Some(0), unknown: Unknown::Forbid })
}

fn model(fields: Vec<Field>) -> Arc<Schema> {
    named("Note", fields)
}

fn int() -> Type {
    Type::Int(Bounds::default())
}

fn str() -> Type {
    Type::Str(Text::default())
}

fn optional(kind: Type) -> Type {
    Type::Optional(Box::new(kind))
}

fn note() -> Vec<Field> {
    vec![
        Field::new("id", int()),
        Field::new("body", str()),
        Field::new("size", int()),
        Field::new("age", optional(int())),
    ]
}

async fn fill(store: &impl Store, rows: &[(i64, &str, Option<i64>)]) {
    let notes = store.open(model(note())).await.unwrap();
    for (id, body, age) in rows {
        let age = age.map_or(Value::Null, Value::Int);
        notes.insert(Value::Object(vec![Value::Int(*id), text(body), Value::Int(1), age])).await.unwrap();
    }
}

/// What the steps are about.
fn told(steps: &[Step]) -> Vec<(StepKind, Option<&str>, u64)> {
    steps.iter().map(|step| (step.kind, step.field.as_deref(), step.rows)).collect()
}

async fn applied<S: Store>(store: &S, schema: &Arc<Schema>) -> (Vec<Step>, u64) {
    let written = Arc::new(AtomicU64::new(0));
    let heard = Arc::clone(&written);
    let told = move |rows| heard.store(rows, Ordering::SeqCst);
    let steps = store.apply(Arc::clone(schema), told).await.unwrap();
    (steps, written.load(Ordering::SeqCst))
}

async fn a_new_store_is_told_of_and_made(store: &impl Store) {
    let steps = store.plan(model(note())).await.unwrap();
    assert_eq!(told(&steps), [(StepKind::NewStore, None, 0), (StepKind::NewCollection, None, 0)]);
    assert_eq!((steps[0].place(), steps[1].place()), (String::new(), "Note".to_owned()));
    assert_eq!(store.plan(model(note())).await.unwrap(), steps, "nothing was made");
    assert_eq!(applied(store, &model(note())).await.0, steps);
    assert_eq!(store.plan(model(note())).await.unwrap(), []);
    let steps = store.plan(named("Other", note())).await.unwrap();
    assert_eq!(told(&steps), [(StepKind::NewCollection, None, 0)]);
}

async fn what_opening_does_is_told_before(store: &impl Store) {
    fill(store, &[(1, "a", None), (2, "b", Some(5))]).await;
    let wider = model(vec![
        Field::new("id", int()),
        Field::new("stars", int()).default(DefaultValue::Constant(Value::Int(3))).index(Index::default()),
        Field::new("size", Type::Float(Bounds::default())),
        Field::new("age", optional(int())).index(Index { sparse: true, ..Index::default() }),
        Field::new("more", optional(str())).index(Index::UNIQUE),
    ]);
    let steps = store.plan(Arc::clone(&wider)).await.unwrap();
    assert!(steps.iter().all(|step| step.safety == Safety::Safe), "{steps:?}");
    let sqlite = store.describe().starts_with("sqlite");
    let written = if sqlite { 2 } else { 0 };
    let mut wanted = vec![
        (StepKind::NewField, Some("stars"), 2),
        (StepKind::NewType, Some("size"), written),
        (StepKind::NewField, Some("more"), written),
        (StepKind::FieldGone, Some("body"), written),
        (StepKind::NewIndex, Some("stars"), 0),
        (StepKind::NewIndex, Some("age"), 0),
        (StepKind::NewIndex, Some("more"), 0),
    ];
    if sqlite {
        wanted.insert(4, (StepKind::Columns, None, 0));
    } else {
        // One that holds nulls as well, by which rows are found.
        wanted.push((StepKind::NewIndex, Some("more"), 0));
    }
    assert_eq!(told(&steps), wanted);
    let words: Vec<_> = steps.iter().map(ToString::to_string).collect();
    assert_eq!(words[0], "Note.stars: new field, with 3; writes 2 rows");
    assert!(words[1].starts_with("Note.size: int becomes float"), "{words:?}");
    assert!(words[2].starts_with("Note.more: new field, with null"), "{words:?}");
    assert_eq!(store.plan(Arc::clone(&wider)).await.unwrap(), steps, "nothing was done");

    let (done, written) = applied(store, &wider).await;
    assert_eq!((told(&done), written), (wanted, 2));
    assert_eq!(store.plan(Arc::clone(&wider)).await.unwrap(), []);
    let rows = store.open(Arc::clone(&wider)).await.unwrap();
    let row = rows.get(Value::Int(2), Expr::True).await.unwrap().unwrap();
    assert_eq!(row.json, r#"{"id":2,"stars":3,"size":1.0,"age":5,"more":null}"#);
    // Opening, which does the same, leaves nothing to do either.
    let back = model(vec![Field::new("id", int()), Field::new("age", optional(int()))]);
    assert!(!store.plan(Arc::clone(&back)).await.unwrap().is_empty());
    if sqlite {
        store.open(Arc::clone(&back)).await.unwrap();
        assert_eq!(store.plan(back).await.unwrap(), []);
    }
}

async fn rows_in_the_way_are_counted(store: &impl Store) {
    fill(store, &[(1, "a", None), (2, "b", Some(5)), (3, "c", None), (4, "a", Some(5)), (5, "a", None)]).await;
    let unfit = model(vec![
        Field::new("id", int()),
        Field::new("body", str()).index(Index::UNIQUE),
        Field::new("size", str()),
        Field::new("age", int()),
        Field::new("must", str()),
    ]);
    let steps = store.plan(Arc::clone(&unfit)).await.unwrap();
    let mut conflicts: Vec<_> = steps
        .iter()
        .filter(|step| step.safety == Safety::Conflict)
        .map(|step| (step.place(), step.kind, step.rows, step.ids.join(" ")))
        .collect();
    conflicts.sort_by_key(|(place, ..)| place.clone());
    let conflict = |place: &str, kind, rows, ids: &str| (place.to_owned(), kind, rows, ids.to_owned());
    assert_eq!(
        conflicts,
        [
            conflict("Note.age", StepKind::Missing, 3, "1 3 5"),
            conflict("Note.body", StepKind::Duplicates, 3, "1 5"),
            conflict("Note.must", StepKind::Missing, 5, "1 2 3"),
            conflict("Note.size", StepKind::Unfit, 5, "1 2 3"),
        ]
    );
    let of = |place: &str| steps.iter().find(|step| step.place() == place).unwrap().to_string();
    assert_eq!(of("Note.must"), "Note.must: required, and lacking in stored rows (5 rows, ids 1, 2, 3, …)");
    assert!(of("Note.age").contains("null in stored rows"), "{}", of("Note.age"));
    assert!(of("Note.size").contains("int becomes str"), "{}", of("Note.size"));
    let refused = store.apply(Arc::clone(&unfit), |_| {}).await;
    assert!(matches!(refused, Err(OpenError::Config(_))), "{refused:?}");
    assert_eq!(store.plan(unfit).await.unwrap(), steps, "what cannot be done as a whole is not begun");
    assert_eq!(store.plan(model(note())).await.unwrap(), []);
}

async fn values_that_are_shared_are_found_under_the_new_shape(store: &impl Store) {
    fill(store, &[(1, "Straße", None), (2, "STRASSE", Some(5)), (3, "c", None)]).await;
    let unique = |field: Field| {
        let mut fields = note();
        fields.retain(|known| known.name != field.name);
        fields.push(field);
        model(fields)
    };
    let duplicates = async |schema: Arc<Schema>| {
        let steps = store.plan(schema).await.unwrap();
        let found = steps.into_iter().filter(|step| step.kind == StepKind::Duplicates);
        found.map(|step| (step.rows, step.ids.join(" "))).collect::<Vec<_>>()
    };
    let folding = Index { case_insensitive: true, ..Index::UNIQUE };
    assert_eq!(duplicates(unique(Field::new("body", str()).index(folding))).await, [(2, "1 2".to_owned())]);
    assert_eq!(duplicates(unique(Field::new("body", str()).index(Index::UNIQUE))).await, []);
    // All rows would get the same.
    let stars = || Field::new("stars", int()).default(DefaultValue::Constant(Value::Int(3)));
    let found = duplicates(unique(stars().index(Index::UNIQUE))).await;
    assert_eq!(found, [(3, "1 3".to_owned())]);
    // Nulls do not count, nor do rows that are marked as deleted.
    assert_eq!(duplicates(unique(Field::new("age", optional(int())).index(Index::UNIQUE))).await, []);
    let deleted = || {
        Field::new("gone", optional(Type::DateTime(Naive::default())))
            .default(DefaultValue::Constant(Value::Null))
            .deletion()
    };
    let mut fields = note();
    fields[1] = Field::new("body", str()).index(folding);
    fields.push(deleted());
    assert_eq!(duplicates(model(fields)).await, [(2, "1 2".to_owned())]);

    let notes = store.open(model(note())).await.unwrap();
    notes.delete(Value::Int(2), Expect::any()).await.unwrap();
    let folded = unique(Field::new("body", str()).index(folding));
    let steps = store.plan(Arc::clone(&folded)).await.unwrap();
    let rule = steps.iter().find(|step| step.kind == StepKind::NewIndex).unwrap();
    // MongoDB keeps the folded texts beside the others.
    assert_eq!(rule.rows, if store.describe().starts_with("sqlite") { 0 } else { 2 }, "{steps:?}");
    applied(store, &folded).await;
    assert_eq!(store.plan(folded).await.unwrap(), []);
}

async fn values_that_are_shared_together_are_found(store: &impl Store) {
    fill(store, &[(1, "a", None), (2, "a", Some(5)), (3, "a", Some(5)), (4, "b", Some(5)), (5, "a", None)]).await;
    let together = |names: [&str; 2], more: Option<Field>| {
        let mut schema = (*model(note())).clone();
        schema.fields.extend(more);
        Arc::new(schema.unique_together(names).unwrap())
    };
    let duplicates = async |schema: Arc<Schema>| {
        let steps = store.plan(schema).await.unwrap();
        let found = steps.into_iter().filter(|step| step.kind == StepKind::Duplicates);
        found.map(|step| step.to_string()).collect::<Vec<_>>()
    };
    // Rows that hold a null do not count.
    let told = "cannot be made unique together: rows hold values that others hold";
    let taken = together(["body", "age"], None);
    assert_eq!(duplicates(Arc::clone(&taken)).await, [format!("Note.body, age: {told} (2 rows, ids 2, 3)")]);
    let why = store.open(Arc::clone(&taken)).await.err().unwrap().to_string();
    assert!(why.contains("Note: body and age cannot be made unique together"), "{why}");
    // All rows would get the same in a field that is new.
    let stars = Field::new("stars", int()).default(DefaultValue::Constant(Value::Int(3)));
    let found = duplicates(together(["stars", "body"], Some(stars))).await;
    assert_eq!(found, [format!("Note.stars, body: {told} (4 rows, ids 1, 5, …)")]);
    let notes = store.open(model(note())).await.unwrap();
    notes.delete(Value::Int(3), Expect::any()).await.unwrap();
    assert_eq!(duplicates(Arc::clone(&taken)).await, [""; 0]);
    applied(store, &taken).await;
    assert_eq!(store.plan(taken).await.unwrap(), []);
}

async fn a_rule_over_several_fields_comes_and_goes(store: &impl Store) {
    fill(store, &[(1, "a", Some(1)), (2, "b", Some(1))]).await;
    let together = |names: &[&str]| Arc::new((*model(note())).clone().unique_together(names).unwrap());
    let is_sqlite = store.describe().starts_with("sqlite");
    let one = together(&["body", "age"]);
    let steps = store.plan(Arc::clone(&one)).await.unwrap();
    assert_eq!(told(&steps), [(StepKind::NewIndex, Some("body, age"), 0)]);
    assert_eq!(steps[0].safety, Safety::Safe);
    applied(store, &one).await;
    // The same fields in another order are another index.
    for (schema, made) in [(together(&["age", "body"]), true), (model(note()), false)] {
        let steps = store.plan(Arc::clone(&schema)).await.unwrap();
        let gone = steps.iter().filter(|step| step.kind == StepKind::IndexGone).collect::<Vec<_>>();
        let safety = if is_sqlite { Safety::Safe } else { Safety::OnRequest };
        assert_eq!(gone.iter().map(|step| step.safety).collect::<Vec<_>>(), [safety], "{steps:?}");
        assert!(gone[0].to_string().contains("zg_w_"), "{steps:?}");
        assert_eq!(steps.iter().any(|step| step.kind == StepKind::NewIndex), made, "{steps:?}");
        assert_eq!(store.open(Arc::clone(&schema)).await.is_ok(), is_sqlite, "others may rely on it");
        applied(store, &schema).await;
        assert_eq!(store.plan(schema).await.unwrap(), []);
    }
    let notes = store.open(model(note())).await.unwrap();
    let again = Value::Object(vec![Value::Int(3), text("a"), Value::Int(1), Value::Int(1)]);
    notes.insert(again).await.unwrap();
}

async fn a_collection_has_one_model(store: &impl Store) {
    store.open(named("BlogPost", note())).await.unwrap();
    let steps = store.plan(named("Blog_post", note())).await.unwrap();
    assert_eq!(told(&steps), [(StepKind::Taken, None, 0)]);
    assert_eq!(steps[0].safety, Safety::Conflict);
    assert!(steps[0].to_string().contains("with BlogPost"), "{}", steps[0]);
    assert!(store.apply(named("Blog_post", note()), |_| {}).await.is_err());
}

#[tokio::test]
async fn a_sqlite_file_is_looked_at_while_it_is_in_use_and_stays_as_it_is() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("notes.db");
    let url = format!("sqlite:///{}", path.display());
    let wider = [model({
        let mut fields = note();
        fields.push(Field::new("stars", int()).default(DefaultValue::Constant(Value::Int(3))).index(Index::UNIQUE));
        fields
    })];
    let missing = AnyStore::plan_url(&url, &wider).await.unwrap();
    assert!(missing.steps[0].to_string().contains("does not exist"), "{missing:?}");
    assert_eq!(told(&missing.steps)[1..], [(StepKind::NewCollection, None, 0)]);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "no file was made");
    assert!(sqlite::plan(folder.path(), &wider).is_err());
    assert!(sqlite::plan(folder.path().join("no/such.db"), &wider).is_err());
    assert!(AnyStore::plan_url("sqlite:///:memory:", &wider).await.is_err());

    let files = || {
        let mut all: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|file| file.unwrap().path())
            .filter(|path| !path.to_string_lossy().ends_with("-shm"))
            .map(|path| (std::fs::read(&path).unwrap(), path))
            .collect();
        all.sort();
        all
    };
    let store = SqliteStore::open(&path, SqliteOptions::default()).unwrap();
    fill(&store, &[(1, "a", None), (2, "b", None)]).await;
    let before = files();
    let steps = AnyStore::plan_url(&url, &wider).await.unwrap().steps;
    assert_eq!(steps, store.plan(Arc::clone(&wider[0])).await.unwrap());
    assert!(steps.iter().any(|step| step.kind == StepKind::Duplicates && step.rows == 2), "{steps:?}");
    assert_eq!(files(), before, "nothing was written");
    store.close().await;

    let before = files();
    assert_eq!(AnyStore::plan_url(&url, &wider).await.unwrap().steps, steps);
    assert_eq!(files(), before, "nothing is left behind");
    // As a process that was killed leaves it: what was written last is in the log.
    let killed = folder.path().join("killed");
    std::fs::create_dir(&killed).unwrap();
    let store = SqliteStore::open(&path, SqliteOptions::default()).unwrap();
    fill(&store, &[(3, "c", None)]).await;
    for name in ["notes.db", "notes.db-wal"] {
        std::fs::copy(folder.path().join(name), killed.join(name)).unwrap();
    }
    store.close().await;
    let sizes = || ["notes.db", "notes.db-wal"].map(|name| std::fs::read(killed.join(name)).unwrap());
    let before = sizes();
    let steps = sqlite::plan(killed.join("notes.db"), &wider).unwrap();
    assert!(steps.iter().any(|step| step.kind == StepKind::Duplicates && step.rows == 3), "{steps:?}");
    assert_eq!(sizes(), before);
}

#[tokio::test]
async fn rows_that_kept_a_field_aside_are_told() {
    let store = SqliteStore::in_memory(SqliteOptions::default()).unwrap();
    fill(&store, &[(1, "a", None), (2, "b", None)]).await;
    let rows = store.open(model(vec![Field::new("id", int())])).await.unwrap();
    rows.insert(Value::Object(vec![Value::Int(3)])).await.unwrap();
    let mut fields = note();
    fields[1] = Field::new("body", str()).default(DefaultValue::Constant(text("?"))).index(Index::UNIQUE);
    fields[2] = Field::new("size", int()).default(DefaultValue::Constant(Value::Int(0)));
    fields.swap(2, 3);
    let steps = store.plan(model(fields.clone())).await.unwrap();
    let words: Vec<_> = steps.iter().map(ToString::to_string).collect();
    assert_eq!(words[0], "Note.body: new field, with \"?\"; 2 of the rows get back what they held; writes 3 rows");
    assert!(steps.iter().all(|step| step.safety == Safety::Safe), "{words:?}");
    applied(&store, &model(fields.clone())).await;
    // Its rule is there when the field comes back, and concerns what rows get that have kept nothing.
    let rows = store.open(model(vec![Field::new("id", int())])).await.unwrap();
    rows.insert(Value::Object(vec![Value::Int(4)])).await.unwrap();
    let steps = store.plan(model(fields.clone())).await.unwrap();
    let found = steps.iter().find(|step| step.kind == StepKind::Duplicates).unwrap();
    assert_eq!((found.place(), found.rows, found.ids.join(" ")), ("Note.body".to_owned(), 2, "3 4".to_owned()));
    assert!(store.open(model(fields.clone())).await.is_err());
    rows.delete(Value::Int(4), Expect::any()).await.unwrap();
    applied(&store, &model(fields.clone())).await;
    fields.swap(2, 3);
    assert_eq!(told(&store.plan(model(fields)).await.unwrap()), [(StepKind::Order, None, 3)]);
}

#[tokio::test]
async fn what_becomes_of_a_feed_is_told() {
    let store = SqliteStore::in_memory(SqliteOptions::default()).unwrap();
    store.open(model(note())).await.unwrap().keep_changes().await.unwrap();
    let steps = store.plan(model(vec![Field::new("id", int())])).await.unwrap();
    assert!(steps.iter().any(|step| step.kind == StepKind::Feed), "{steps:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stale_indexes_of_mongodb_are_dropped_on_request() {
    if is_off() {
        return;
    }
    let mongo = Mongo::shared();
    let uri = mongo.database();
    let store = MongoStore::connect(&uri, MongoOptions::default()).await.unwrap();
    let last = |ttl: Option<u32>| {
        let index = Index { ttl, ..Index::default() };
        Field::new("last", optional(Type::DateTime(Naive::default())))
            .default(DefaultValue::Constant(Value::Null))
            .index(index)
    };
    let fields = |body: Field, ttl: Option<u32>| model(vec![Field::new("id", int()), body, last(ttl)]);
    let unique = || Field::new("body", str()).index(Index::UNIQUE);
    store.open(fields(unique(), Some(60))).await.unwrap();
    assert_eq!(store.plan(fields(unique(), Some(60))).await.unwrap(), []);

    // It is changed where it stands.
    let steps = store.plan(fields(unique(), Some(90))).await.unwrap();
    assert_eq!(told(&steps), [(StepKind::Expiry, Some("last"), 0)]);
    assert!(steps[0].to_string().contains("90 s") && steps[0].to_string().contains("60 s"), "{}", steps[0]);
    store.open(fields(unique(), Some(90))).await.unwrap();
    assert_eq!(store.plan(fields(unique(), Some(90))).await.unwrap(), []);

    let client = mongodb::Client::with_uri_str(&uri).await.unwrap();
    let notes = client.default_database().unwrap().collection::<bson::Document>("note");
    let names = async || {
        let mut names = notes.list_index_names().await.unwrap();
        names.sort();
        names
    };
    let plain = fields(Field::new("body", str()), None);
    let steps = store.plan(Arc::clone(&plain)).await.unwrap();
    let on_request = |steps: &[Step]| {
        let found = steps.iter().filter(|step| step.safety == Safety::OnRequest);
        let mut found: Vec<_> = found.map(|step| (step.place(), step.kind)).collect();
        found.sort_by_key(|(place, _)| place.clone());
        found
    };
    let body = ("Note.body".to_owned(), StepKind::IndexGone);
    assert_eq!(on_request(&steps), [body.clone(), ("Note.last".to_owned(), StepKind::IndexGone)]);
    assert!(store.open(Arc::clone(&plain)).await.is_err(), "others may rely on it");
    assert_eq!(names().await, ["_id_", "zg_i_last", "zg_t_last", "zg_u_body"]);
    assert_eq!(applied(&store, &plain).await.0, steps);
    assert_eq!(names().await, ["_id_", "zg_i_last"]);
    assert_eq!(store.plan(Arc::clone(&plain)).await.unwrap(), []);
    store.open(plain).await.unwrap();

    // A rule for other rows than before has the same name, and takes the place of the one that was.
    store.open(fields(unique(), None)).await.unwrap();
    let nullable = fields(Field::new("body", optional(str())).index(Index::UNIQUE), None);
    let steps = store.plan(Arc::clone(&nullable)).await.unwrap();
    assert_eq!(on_request(&steps), [body]);
    applied(&store, &nullable).await;
    assert_eq!(store.plan(Arc::clone(&nullable)).await.unwrap(), []);
    let rows = store.open(nullable).await.unwrap();
    for id in [1, 2] {
        rows.insert(Value::Object(vec![Value::Int(id), Value::Null, Value::Null])).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn collections_of_other_programs_are_told() {
    if is_off() {
        return;
    }
    let mongo = Mongo::shared();
    let uri = mongo.database();
    let client = mongodb::Client::with_uri_str(&uri).await.unwrap();
    let database = client.default_database().unwrap();
    let notes = database.collection::<bson::Document>("note");
    for id in [1_i64, 2] {
        notes.insert_one(bson::doc! { "_id": id, "body": "same" }).await.unwrap();
    }
    let store = MongoStore::connect(&uri, MongoOptions::default()).await.unwrap();
    let unique = model(vec![Field::new("id", int()), Field::new("body", str()).index(Index::UNIQUE)]);
    let steps = store.plan(Arc::clone(&unique)).await.unwrap();
    let wanted = [(StepKind::NewStore, None, 0), (StepKind::Adopted, None, 0), (StepKind::Duplicates, Some("body"), 2)];
    assert_eq!(told(&steps), wanted);
    assert_eq!(database.list_collection_names().await.unwrap(), ["note"], "nothing was written");
    assert!(store.apply(unique, |_| {}).await.is_err());
    assert_eq!(notes.list_index_names().await.unwrap(), ["_id_"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_far_it_is_is_told() {
    let store = SqliteStore::in_memory(SqliteOptions::default()).unwrap();
    let rows = store.open(model(vec![Field::new("id", int())])).await.unwrap();
    rows.insert_all((0..2500).map(|id| Value::Object(vec![Value::Int(id)])).collect()).await.unwrap();
    let wider = model(vec![Field::new("id", int()), Field::new("age", optional(int()))]);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let all = Arc::clone(&heard);
    store.apply(wider, move |rows| all.lock().unwrap().push(rows)).await.unwrap();
    assert_eq!(*heard.lock().unwrap(), [1000, 2000, 2500]);
}
