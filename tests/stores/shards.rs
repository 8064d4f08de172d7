//! MongoDB with a shard key: what goes over the wire. No cluster is asked here: a proxy hears what a router would need to know.

use std::sync::Arc;

use bson::{Document, doc};
use uuid::Uuid;
use ziggurat::crud::schema::{Access, DefaultValue, Field, Text, Type, Unknown};
use ziggurat::crud::store::mongo::{MongoCollection, MongoOptions, MongoStore};
use ziggurat::crud::store::{Collection, Expect, Outcome, Refusal, Store, Write};
use ziggurat::crud::{Expr, Path, Rows, Schema, Value};

use crate::rows::text;
use crate::support::{Mongo, is_off};
use crate::wire::Wire;

const TENANT: usize = 1;
const TEXT: usize = 2;

fn plain() -> Schema {
    let fields = vec![
        Field::new("id", Type::Uuid),
        Field::new("tenant", Type::Str(Text::default())).access(Access::Immutable),
        Field::new("text", Type::Str(Text::default())),
    ];
    Schema { name: "Note".into(), fields, id: Some(0), unknown: Unknown::Forbid }
}

/// The rows of one model, what is sent of them, and one that is there.
struct Notes {
    wire: Wire,
    store: MongoStore,
    rows: MongoCollection,
    schema: Arc<Schema>,
    id: Value<'static>,
    _mongo: Mongo,
}

impl Notes {
    async fn of(schema: Schema) -> Self {
        let mongo = Mongo::shared();
        let wire = Wire::before(&mongo.database()).await;
        let store = MongoStore::connect(wire.uri(), MongoOptions::default()).await.unwrap();
        let schema = Arc::new(schema);
        let rows = store.open(Arc::clone(&schema)).await.unwrap();
        let id = Value::Uuid(Uuid::now_v7());
        let notes = Self { wire, store, rows, schema, id, _mongo: mongo };
        notes.rows.insert(notes.document("new")).await.unwrap();
        notes.wire.heard("note");
        notes
    }

    fn document(&self, content: &'static str) -> Value<'static> {
        Value::Object(vec![self.id.clone(), text("a"), text(content)])
    }

    /// The commands since the last call, and whether the filters of all of them tell the shard key.
    fn heard(&self) -> (Vec<String>, bool) {
        let heard = self.wire.heard("note");
        let told = heard.iter().filter(|(name, _)| name != "find").all(|(_, filter)| {
            assert!(filter.get_document("_id").is_ok_and(|id| id.contains_key("$eq")), "{filter}");
            filter.get("tenant") == Some(&doc! { "$eq": "a" }.into())
        });
        (heard.into_iter().map(|(name, _)| name).collect(), told)
    }

    /// Checks what was sent of writes that came to their end.
    fn told(&self, what: &str, commands: &[&str]) {
        let (sent, told) = self.heard();
        assert_eq!(sent, commands, "{what}");
        assert!(told, "{what}");
    }
}

fn in_tenant(name: &'static str) -> Expr {
    Expr::equal(Path::from(TENANT), text(name))
}

fn set(content: &'static str) -> Vec<(usize, Value<'static>)> {
    vec![(TEXT, text(content))]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_write_to_a_row_tells_its_shard_key() {
    if is_off() {
        return;
    }
    let notes = Notes::of(plain().shard_by("tenant").unwrap()).await;
    let (rows, id) = (&notes.rows, &notes.id);
    let done = |outcome: Outcome<_>| match outcome {
        Outcome::Done(row) => row,
        other => panic!("{other:?}"),
    };

    done(rows.replace(notes.document("1"), Expect::any()).await.unwrap());
    notes.told("a document has the key", &["findAndModify"]);
    let row = done(rows.update(id.clone(), set("2"), Expect::any().only(in_tenant("a"))).await.unwrap());
    notes.told("so has a condition", &["findAndModify"]);
    let row = done(rows.update(id.clone(), set("3"), Expect::versions(vec![row.version])).await.unwrap());
    notes.told("else it is looked up", &["find", "findAndModify"]);
    let among = Expr::In { field: Path::from(TENANT), values: vec![text("a")] };
    let or = Expr::And(vec![in_tenant("a").or(in_tenant("b")), among.clone()]);
    let row = done(rows.update(id.clone(), set("4"), Expect::versions(vec![row.version]).only(or)).await.unwrap());
    notes.told("one of one is that one", &["findAndModify"]);
    let either = in_tenant("a").or(in_tenant("b"));
    let row = done(rows.update(id.clone(), set("5"), Expect::versions(vec![row.version]).only(either)).await.unwrap());
    notes.told("one of two may be either", &["find", "findAndModify"]);
    let replaced = done(rows.replace(notes.document("6"), Expect::versions(vec![row.version])).await.unwrap());
    notes.told("of a version", &["findAndModify"]);
    assert_eq!(rows.get(id.clone(), Expr::True).await.unwrap().unwrap(), replaced);
    notes.wire.heard("note");

    // Rows that are not there, or not as they should be, are told from each other as ever.
    let stale = Expect::versions(vec![row.version]);
    let stranger = Value::Uuid(Uuid::now_v7());
    assert_eq!(rows.update(id.clone(), set("x"), stale.clone()).await.unwrap(), Outcome::Changed);
    assert_eq!(rows.update(stranger.clone(), set("x"), stale.clone()).await.unwrap(), Outcome::NotFound);
    assert_eq!(rows.update(stranger.clone(), set("x"), Expect::any()).await.unwrap(), Outcome::NotFound);
    assert_eq!(rows.delete(id.clone(), stale.clone().only(in_tenant("a"))).await.unwrap(), Outcome::Changed);
    assert_eq!(rows.delete(id.clone(), stale.clone().only(in_tenant("b"))).await.unwrap(), Outcome::NotFound);
    assert_eq!(rows.delete(id.clone(), stale).await.unwrap(), Outcome::Changed);
    assert_eq!(rows.delete(stranger, Expect::any()).await.unwrap(), Outcome::NotFound);
    notes.wire.heard("note");

    assert_eq!(rows.delete(id.clone(), Expect::any()).await.unwrap(), Outcome::Done(()));
    notes.told("a delete", &["find", "delete"]);
    rows.insert(notes.document("7")).await.unwrap();
    notes.wire.heard("note");
    assert_eq!(rows.delete(id.clone(), Expect::any().only(among)).await.unwrap(), Outcome::Done(()));
    notes.told("a delete under a condition", &["delete"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_of_transactions_tell_it_too() {
    if is_off() {
        return;
    }
    let notes = Notes::of(plain().shard_by("tenant").unwrap()).await;
    let (rows, id) = (&notes.rows, notes.id.clone());
    let writes = |all: Vec<Write>| all.into_iter().map(|write| (rows.clone(), write)).collect::<Vec<_>>();
    let known = Expect::any().only(in_tenant("a"));
    let all = writes(vec![
        Write::Replace(notes.document("1"), Expect::any()),
        Write::Update(id.clone(), set("2"), known.clone()),
        Write::Delete(id.clone(), known),
    ]);
    notes.store.transact(all).await.unwrap();
    notes.told("known", &["findAndModify", "findAndModify", "delete"]);
    rows.insert(notes.document("3")).await.unwrap();
    notes.wire.heard("note");
    let all = writes(vec![
        Write::Update(id.clone(), set("4"), Expect::any()),
        Write::Delete(id.clone(), Expect::any()),
        Write::Insert(notes.document("5")),
    ]);
    notes.store.transact(all).await.unwrap();
    let heard = notes.wire.heard("note");
    let names: Vec<_> = heard.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["find", "findAndModify", "find", "delete", "insert"]);
    for (name, filter) in heard.iter().filter(|(name, _)| matches!(&**name, "findAndModify" | "delete")) {
        assert_eq!(filter.get("tenant"), Some(&doc! { "$eq": "a" }.into()), "{name}");
    }
    for (write, why) in [
        (Write::Update(id.clone(), set("x"), Expect::versions(vec![1])), "changed"),
        (Write::Delete(id.clone(), Expect::any().only(in_tenant("b"))), "not found"),
        (Write::Delete(Value::Uuid(Uuid::now_v7()), Expect::any()), "not found"),
    ] {
        let told = match notes.store.transact(writes(vec![write])).await.unwrap_err().why {
            Refusal::Changed => "changed",
            Refusal::NotFound => "not found",
            Refusal::Store(error) => panic!("{error}"),
        };
        assert_eq!(told, why);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn code_tells_what_it_knows_of_a_row() {
    if is_off() {
        return;
    }
    let notes = Notes::of(plain().shard_by("tenant").unwrap()).await;
    let rows = Rows::new(Arc::clone(&notes.schema), notes.rows.clone()).unwrap();
    let Value::Uuid(id) = &notes.id else { panic!() };
    let (id, document) = (format!("\"{id}\""), format!(r#"{{"id":"{id}","tenant":"a","text":"1"}}"#));
    let Outcome::Done(row) = rows.replace(document.as_bytes(), None).await.unwrap() else { panic!("not replaced") };
    notes.told("a row that is saved", &["findAndModify"]);
    let mine = rows.clone().in_shard(br#""a""#).unwrap();
    assert_eq!(mine.get(id.as_bytes()).await.unwrap().unwrap(), row);
    assert_eq!(notes.wire.heard("note")[0].1.get("tenant"), Some(&doc! { "$eq": "a" }.into()));
    assert_eq!(mine.delete(id.as_bytes(), Some(row.version)).await.unwrap(), Outcome::Done(()));
    notes.told("one that is removed", &["delete"]);
    rows.insert(document.as_bytes()).await.unwrap();
    notes.wire.heard("note");
    assert_eq!(rows.delete(id.as_bytes(), None).await.unwrap(), Outcome::Done(()));
    notes.told("one of which nothing is known", &["find", "delete"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_tell_it_where_it_is_known_and_never_look_it_up() {
    if is_off() {
        return;
    }
    let notes = Notes::of(plain().shard_by("tenant").unwrap()).await;
    let found = notes.rows.get(notes.id.clone(), in_tenant("a")).await.unwrap();
    assert!(found.is_some());
    let heard = notes.wire.heard("note");
    assert_eq!((heard.len(), heard[0].1.get("tenant")), (1, Some(&doc! { "$eq": "a" }.into())));
    assert_eq!(notes.rows.get(notes.id.clone(), Expr::True).await.unwrap(), found);
    let heard = notes.wire.heard("note");
    assert_eq!((heard.len(), heard[0].1.len()), (1, 1), "the id alone: {}", heard[0].1);
    assert_eq!(notes.rows.get(notes.id.clone(), in_tenant("b")).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_shard_key_or_with_the_id_as_such_nothing_is_added() {
    if is_off() {
        return;
    }
    for schema in [plain(), plain().shard_by("id").unwrap()] {
        let notes = Notes::of(schema).await;
        let (rows, id) = (&notes.rows, &notes.id);
        let sent = |what: &str, name: &str, rest: Document| {
            let heard = notes.wire.heard("note");
            let [(command, filter)] = heard.as_slice() else { panic!("{what}: {heard:?}") };
            let mut filter = filter.clone();
            assert!(filter.remove("_id").is_some());
            assert_eq!((&**command, filter), (name, rest), "{what}");
        };
        rows.replace(notes.document("1"), Expect::any()).await.unwrap();
        sent("replace", "findAndModify", doc! {});
        rows.update(id.clone(), vec![(TENANT, text("b"))], Expect::any()).await.unwrap();
        sent("update", "findAndModify", doc! {});
        let only = Expect::any().only(in_tenant("b"));
        rows.update(id.clone(), set("2"), only).await.unwrap();
        sent("update under a condition", "findAndModify", doc! { "$and": [{ "tenant": { "$eq": "b" } }] });
        rows.get(id.clone(), in_tenant("b")).await.unwrap().unwrap();
        sent("get", "find", doc! { "$and": [{ "tenant": { "$eq": "b" } }] });
        notes.store.transact(vec![(rows.clone(), Write::Delete(id.clone(), Expect::any()))]).await.unwrap();
        sent("a delete in a transaction", "delete", doc! {});
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_are_given_a_field_one_by_one_tell_it() {
    if is_off() {
        return;
    }
    let notes = Notes::of(plain().shard_by("tenant").unwrap()).await;
    let mut grown = plain();
    grown.fields.push(Field::new("token", Type::Uuid).default(DefaultValue::Uuid4));
    let rows = notes.store.open(Arc::new(grown.shard_by("tenant").unwrap())).await.unwrap();
    let heard = notes.wire.heard("note");
    let given: Vec<_> = heard.iter().filter(|(name, _)| name == "update").collect();
    let [(_, filter)] = given.as_slice() else { panic!("{heard:?}") };
    assert!(filter.contains_key("_id"), "{filter}");
    assert_eq!(filter.get("tenant"), Some(&doc! { "$eq": "a" }.into()));
    assert!(rows.get(notes.id.clone(), Expr::True).await.unwrap().is_some());
}

/// What opening the collection says through a router, where the cluster knows this of it.
async fn opened(schema: &Schema, known: Option<Document>) -> Result<(), String> {
    let mongo = Mongo::shared();
    let uri = mongo.database();
    let router = Wire::router(&uri).await;
    let store = MongoStore::connect(router.uri(), MongoOptions::default()).await.unwrap();
    let client = mongodb::Client::with_uri_str(&uri).await.unwrap();
    if let Some(mut known) = known {
        known.insert("_id", format!("{}.note", client.default_database().unwrap().name()));
        client.database("config").collection("collections").insert_one(known).await.unwrap();
    }
    let opened = store.open(Arc::new(schema.clone())).await;
    // Each has a database of its own, and only through a router it is looked up.
    let direct = MongoStore::connect(&uri, MongoOptions::default()).await.unwrap();
    direct.open(Arc::new(schema.clone())).await.unwrap();
    opened.map(drop).map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_router_is_asked_by_what_rows_are_sharded() {
    if is_off() {
        return;
    }
    let schema = plain().shard_by("tenant").unwrap();
    opened(&schema, None).await.unwrap();
    opened(&schema, Some(doc! { "key": { "tenant": 1, "_id": 1 } })).await.unwrap();
    opened(&schema, Some(doc! { "key": { "_id": 1 }, "unsplittable": true })).await.unwrap();
    let why = opened(&schema, Some(doc! { "key": { "region": 1 } })).await.unwrap_err();
    assert!(why.contains(r#".note is sharded by { "region": 1 }, and Note by tenant"#), "{why}");
    assert!(why.contains("shard it anew by tenant alone or by tenant and _id"), "{why}");
    let why = opened(&schema, Some(doc! { "key": { "tenant": 1, "region": 1 } })).await.unwrap_err();
    assert!(why.contains(r#"{ "tenant": 1, "region": 1 }"#), "{why}");
    opened(&plain(), Some(doc! { "key": { "region": 1 } })).await.unwrap();
    opened(&plain().shard_by("id").unwrap(), Some(doc! { "key": { "_id": "hashed" } })).await.unwrap();
}
