//! MongoDB: the common promises, and those of a server that comes and goes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bson::UuidRepresentation;
use ziggurat::crud::schema::{Bounds, DefaultValue, Field, Index, LegacyUuid, ListSort, Naive, Text, Type, Unknown};
use ziggurat::crud::store::mongo::{MongoOptions, MongoStore};
use ziggurat::crud::store::sqlite::{SqliteOptions, SqliteStore};
use ziggurat::crud::store::{Collection, Expect, OpenError, Outcome, Store, StoreError};
use ziggurat::crud::{Expr, Query, Schema, Sort, Value};

use crate::rows::{self, ID, Random, text};
use crate::support::{Mongo, Server, is_off};
use crate::{promises, rows::text_of};

async fn connect(uri: &str) -> MongoStore {
    MongoStore::connect(uri, MongoOptions::default()).await.unwrap()
}

/// A database that our store and another program write to; none where tests with MongoDB are off.
struct Shared {
    store: MongoStore,
    theirs: mongodb::Database,
    _server: Mongo,
}

impl Shared {
    async fn database() -> Option<Self> {
        if is_off() {
            return None;
        }
        let server = Mongo::shared();
        let uri = server.database();
        let client = mongodb::Client::with_uri_str(&uri).await.unwrap();
        let theirs = client.default_database().unwrap();
        Some(Self { store: connect(&uri).await, theirs, _server: server })
    }
}

macro_rules! keeps {
    ($($promise:ident ( $($argument:expr),* );)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $promise() {
            if is_off() {
                return;
            }
            let mongo = Mongo::shared();
            let store = connect(&mongo.database()).await;
            promises::$promise(store.clone() $(, $argument)*).await;
            store.close().await;
        }
    )*};
}

keeps! {
    crud();
    code();
    versions();
    race();
    reads();
    unique();
    unique_together();
    bytes();
    filters(120);
    only(100);
    many(30);
    changes();
    copied();
    extras();
    once();
    once_refused();
    once_together();
    walks(25);
    together();
    dropped();
    sizes();
    reopened();
    closed();
    transacts();
    sharded();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_equal_those_of_sqlite_to_the_byte() {
    if is_off() {
        return;
    }
    let mongo = Mongo::shared();
    let schema = rows::schema("Same");
    let one = connect(&mongo.database()).await.open(Arc::clone(&schema)).await.unwrap();
    let two = SqliteStore::in_memory(SqliteOptions::default()).unwrap().open(Arc::clone(&schema)).await.unwrap();
    let mut random = Random(21);
    for _ in 0..30 {
        let row = Value::Object(rows::row(&mut random));
        assert_eq!(one.insert(row.clone()).await.unwrap().json, two.insert(row).await.unwrap().json);
    }
    for _ in 0..20 {
        let sort = Sort { field: random.pick(&rows::SCALARS[1..]), descending: random.below(2) == 0 };
        let sort = vec![sort, Sort { field: ID, descending: random.below(2) == 0 }];
        let filter = rows::predicate(&mut random, 1);
        let query = Query { filter, sort, limit: 9, offset: 0, after: None };
        let (a, b) = (one.list(query.clone()).await.unwrap(), two.list(query.clone()).await.unwrap());
        assert_eq!((&a.items, &a.next), (&b.items, &b.next), "{query:?}");
    }
}

fn model(fields: Vec<Field>) -> Arc<Schema> {
    Arc::new(Schema { name: "Note".into(), fields, id: Some(0), unknown: Unknown::Forbid })
}

fn note() -> Vec<Field> {
    vec![Field::new("id", Type::Int(Bounds::default())), Field::new("body", Type::Str(Text::default()))]
}

async fn json(rows: &impl Collection, id: i64) -> String {
    let row = rows.get(Value::Int(id), Expr::True).await.unwrap().unwrap();
    String::from_utf8(row.json.to_vec()).unwrap()
}

fn refused<T>(result: Result<T, OpenError>) -> String {
    match result {
        Err(OpenError::Config(error)) => error.to_string(),
        Err(error) => panic!("{error:?}"),
        Ok(_) => panic!("it was opened"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_may_grow_but_not_contradict_the_rows() {
    if is_off() {
        return;
    }
    let mongo = Mongo::shared();
    let store = connect(&mongo.database()).await;
    let rows = store.open(model(note())).await.unwrap();
    rows.insert(Value::Object(vec![Value::Int(1), text("same")])).await.unwrap();
    rows.insert(Value::Object(vec![Value::Int(2), text("same")])).await.unwrap();
    let why = refused(store.open(model(vec![note()[0].clone(), Field::new("body", Type::Bool)])).await);
    assert!(why.contains("Note.body"), "{why}");
    let mut unique = note();
    unique[1] = unique[1].clone().index(Index::UNIQUE);
    let why = refused(store.open(model(unique)).await);
    assert!(why.contains("Note.body") && why.contains("unique"), "{why}");
    let mut required = note();
    required.push(Field::new("stars", Type::Int(Bounds::default())));
    let why = refused(store.open(model(required.clone())).await);
    assert!(why.contains("Note.stars"), "{why}");
    required[2] = required[2].clone().default(DefaultValue::Constant(Value::Int(3)));
    let rows = store.open(model(required)).await.unwrap();
    assert_eq!(json(&rows, 1).await, r#"{"id":1,"body":"same","stars":3}"#);
    let three = Expr::Compare { field: 2.into(), op: ziggurat::crud::Comparison::Eq, value: Value::Int(3) };
    assert_eq!(rows.count(three).await.unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_that_the_schema_no_longer_has_is_told_with_the_cure() {
    if is_off() {
        return;
    }
    let mongo = Mongo::shared();
    let store = connect(&mongo.database()).await;
    let mut unique = note();
    unique[1] = unique[1].clone().index(Index::UNIQUE);
    store.open(model(unique.clone())).await.unwrap();
    store.open(model(unique)).await.unwrap();
    let why = refused(store.open(model(note())).await);
    assert!(why.contains(r#"db.note.dropIndex("zg_u_body")"#), "{why}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_is_told_when_rows_expire() {
    let Some(mongo) = Shared::database().await else { return };
    let notes = mongo.theirs.collection::<bson::Document>("note");
    let expiring = |ttl: Option<u32>| {
        let mut fields = note();
        let index = Index { ttl, ..Index::default() };
        fields.push(Field::new("last", Type::Optional(Box::new(Type::DateTime(Naive::default())))).index(index));
        fields[2] = fields[2].clone().default(DefaultValue::Constant(Value::Null));
        fields
    };
    let told = async || {
        let mut found = notes.list_indexes().await.unwrap();
        while found.advance().await.unwrap() {
            let options = found.deserialize_current().unwrap().options.unwrap();
            if options.name.as_deref() == Some("zg_t_last") {
                return options.expire_after;
            }
        }
        None
    };
    mongo.store.open(model(expiring(Some(60)))).await.unwrap();
    assert_eq!(told().await, Some(Duration::from_secs(60)));
    mongo.store.open(model(expiring(Some(90)))).await.unwrap();
    assert_eq!(told().await, Some(Duration::from_secs(90)), "it is changed where it stands");
    let why = refused(mongo.store.open(model(expiring(None))).await);
    assert!(why.contains("rows do not expire by Note.last") && why.contains(r#"dropIndex("zg_t_last")"#), "{why}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_other_programs_have_version_0_and_can_be_changed() {
    let Some(mongo) = Shared::database().await else { return };
    let rows = mongo.store.open(model(note())).await.unwrap();
    let foreign = mongo.theirs.collection("note");
    foreign.insert_one(bson::doc! { "_id": 7, "body": "theirs", "more": [1, 2] }).await.unwrap();
    let row = rows.get(Value::Int(7), Expr::True).await.unwrap().unwrap();
    assert_eq!((row.version, &row.json[..]), (0, &br#"{"id":7,"body":"theirs"}"#[..]));
    let new = Value::Object(vec![Value::Int(7), text("ours")]);
    let Outcome::Done(row) = rows.replace(new, Expect::versions(vec![0])).await.unwrap() else {
        panic!("not replaced")
    };
    assert_eq!(row.version, 1);
    let kept = foreign.find_one(bson::doc! { "_id": 7 }).await.unwrap().unwrap();
    assert_eq!(kept, bson::doc! { "_id": 7, "body": "ours", "more": [1, 2], "_v": 1_i64 });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uuids_of_other_programs_are_read_and_written_in_their_order() {
    let Some(mongo) = Shared::database().await else { return };
    for (order, theirs) in [
        (LegacyUuid::Python, UuidRepresentation::PythonLegacy),
        (LegacyUuid::Java, UuidRepresentation::JavaLegacy),
        (LegacyUuid::CSharp, UuidRepresentation::CSharpLegacy),
    ] {
        let name = format!("{order:?}");
        let foreign = mongo.theirs.collection::<bson::Document>(match order {
            LegacyUuid::CSharp => "csharp",
            LegacyUuid::Java => "java",
            LegacyUuid::Python => "python",
        });
        let kind = || Type::LegacyUuid(order);
        let refs = Type::List { sort: ListSort::List, item: Box::new(kind()), min: None, max: None };
        let fields =
            vec![Field::new("id", kind()), Field::new("mail", kind()).index(Index::UNIQUE), Field::new("refs", refs)];
        let rows =
            mongo.store.open(Arc::new(Schema { name, fields, id: Some(0), unknown: Unknown::Forbid })).await.unwrap();
        let ids: Vec<_> = (0..5).map(|_| uuid::Uuid::new_v4()).collect();
        let stored = |id: uuid::Uuid| {
            bson::Bson::Binary(bson::Binary::from_uuid_with_representation(
                bson::Uuid::from_bytes(id.into_bytes()),
                theirs,
            ))
        };
        for id in &ids[..4] {
            let row = bson::doc! { "_id": stored(*id), "mail": stored(*id), "refs": [stored(*id)] };
            foreign.insert_one(row).await.unwrap();
        }
        let json = |id: uuid::Uuid| format!(r#"{{"id":"{id}","mail":"{id}","refs":["{id}"]}}"#);
        let row = rows.get(Value::Uuid(ids[0]), Expr::True).await.unwrap().unwrap();
        assert_eq!(row.json, json(ids[0]));
        let same = Expr::equal(1.into(), Value::Uuid(ids[1]));
        assert_eq!(rows.count(same).await.unwrap(), 1);
        let has = Expr::Has { field: 2.into(), values: vec![Value::Uuid(ids[2])] };
        assert_eq!(rows.count(has).await.unwrap(), 1);
        // No row is lost between pages.
        let mut seen = Vec::new();
        let mut query = Query {
            filter: Expr::True,
            sort: vec![Sort { field: 0, descending: false }],
            limit: 1,
            offset: 0,
            after: None,
        };
        loop {
            let page = rows.list(query.clone()).await.unwrap();
            seen.push(page.items.to_vec());
            let Some(next) = page.next else { break };
            query.after = Some(next);
        }
        seen.sort_unstable();
        let mut all: Vec<_> = ids[..4].iter().map(|id| json(*id).into_bytes()).collect();
        all.sort_unstable();
        assert_eq!(seen, all);
        let ours = |mail| Value::Object(vec![Value::Uuid(ids[4]), Value::Uuid(mail), Value::List(vec![])]);
        assert!(rows.insert(ours(ids[3])).await.is_err(), "theirs is taken");
        rows.insert(ours(ids[4])).await.unwrap();
        assert!(
            foreign.find_one(bson::doc! { "_id": stored(ids[4]), "mail": stored(ids[4]) }).await.unwrap().is_some()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_uri_does_not_say_how_uuids_are_kept() {
    if is_off() {
        return;
    }
    let mongo = Mongo::shared();
    let uri = mongo.database();
    let and = if uri.contains('?') { '&' } else { '?' };
    MongoStore::connect(&format!("{uri}{and}uuidRepresentation=standard"), MongoOptions::default()).await.unwrap();
    let legacy = format!("{uri}{and}uuidRepresentation=pythonLegacy");
    let error = MongoStore::connect(&legacy, MongoOptions::default()).await.unwrap_err().to_string();
    assert!(error.contains("uuidRepresentation") && error.contains("pythonLegacy"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn object_ids_of_other_programs_are_read_and_written_as_such() {
    let Some(mongo) = Shared::database().await else { return };
    let fields = vec![Field::new("id", Type::ObjectId), Field::new("shop", Type::Optional(Box::new(Type::ObjectId)))];
    let schema = Schema { name: "Sale".into(), fields, id: Some(0), unknown: Unknown::Forbid };
    let rows = mongo.store.open(Arc::new(schema)).await.unwrap();
    let foreign = mongo.theirs.collection::<bson::Document>("sale");
    let (theirs, shop) = (bson::oid::ObjectId::new(), bson::oid::ObjectId::new());
    foreign.insert_one(bson::doc! { "_id": theirs, "shop": shop }).await.unwrap();
    let hex = |id: bson::oid::ObjectId| Value::Str(id.to_hex().into());
    let row = rows.get(hex(theirs), Expr::True).await.unwrap().unwrap();
    assert_eq!(row.json, format!(r#"{{"id":"{theirs}","shop":"{shop}"}}"#));
    let same_shop = Expr::equal(1.into(), hex(shop));
    assert_eq!(rows.count(same_shop.clone()).await.unwrap(), 1);
    let ours = bson::oid::ObjectId::new();
    rows.insert(Value::Object(vec![hex(ours), hex(shop)])).await.unwrap();
    let kept = foreign.find_one(bson::doc! { "_id": ours }).await.unwrap().unwrap();
    assert_eq!(kept.get_object_id("shop").unwrap(), shop);
    assert_eq!(rows.count(same_shop).await.unwrap(), 2);
    let set = vec![(1, Value::Null)];
    assert!(matches!(rows.update(hex(theirs), set, Expect::any()).await.unwrap(), Outcome::Done(_)));
    assert!(foreign.find_one(bson::doc! { "_id": theirs, "shop": null }).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_there_is_told_without_credentials() {
    let started = Instant::now();
    let uri = "mongodb://alice:hunter2@127.0.0.1:1/app?directConnection=true";
    let error = MongoStore::connect(uri, MongoOptions::default()).await.unwrap_err();
    assert!(matches!(error, OpenError::Store(StoreError::Unavailable { .. })), "{error:?}");
    let text = format!("{error} {error:?}");
    assert!(text.contains("127.0.0.1:1/app") && !text.contains("hunter2") && !text.contains("alice"), "{text}");
    assert!(started.elapsed() < Duration::from_secs(6));
    let wrong = "mongodb://alice:hunt/er2@host/app";
    let text = refused(MongoStore::connect(wrong, MongoOptions::default()).await);
    assert!(!text.contains("er2") && !text.contains("alice"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_goes_and_comes_back_loses_nothing_and_needs_no_restart_of_ours() {
    if is_off() {
        return;
    }
    let server = Server::start();
    let store = connect(&server.uri("app")).await;
    let schema = rows::schema("Ledger");
    let rows = store.open(Arc::clone(&schema)).await.unwrap();
    let mut random = Random(22);
    let mut ledger = Vec::new();
    for _ in 0..2 {
        for _ in 0..20 {
            let row = rows::row(&mut random);
            rows.insert(Value::Object(row.clone())).await.unwrap();
            ledger.push(row);
        }
        server.kill();
        let started = Instant::now();
        let id = ledger[0][ID].clone();
        let error = rows.get(id.clone(), Expr::True).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { .. } | StoreError::Timeout), "{error:?}");
        assert!(started.elapsed() < Duration::from_secs(4), "an answer within the deadline");
        let error = rows.insert(Value::Object(rows::row(&mut random))).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { .. } | StoreError::Timeout), "{error:?}");
        server.restart();
        let deadline = Instant::now() + Duration::from_secs(15);
        while let Err(error) = rows.get(id.clone(), Expr::True).await {
            assert!(Instant::now() < deadline, "{error:?}");
        }
        for row in &ledger {
            let found = rows.get(row[ID].clone(), Expr::True).await.unwrap().expect("an acknowledged write");
            assert_eq!(String::from_utf8_lossy(&found.json), text_of(&schema, row));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_is_not_waited_for() {
    if is_off() {
        return;
    }
    let server = Server::start();
    let store = connect(&server.uri("app")).await;
    let rows = store.open(model(note())).await.unwrap();
    rows.insert(Value::Object(vec![Value::Int(1), text("one")])).await.unwrap();
    server.signal("STOP");
    // A signal takes a moment to arrive, and a read may slip through before.
    let deadline = Instant::now() + Duration::from_secs(20);
    let error = loop {
        let started = Instant::now();
        if let Err(error) = rows.get(Value::Int(1), Expr::True).await {
            assert!(started.elapsed() < Duration::from_secs(4));
            break error;
        }
        assert!(Instant::now() < deadline, "the server was not stopped");
    };
    assert!(matches!(error, StoreError::Timeout | StoreError::Unavailable { .. }), "{error:?}");
    server.signal("CONT");
    let deadline = Instant::now() + Duration::from_secs(20);
    while let Err(error) = rows.get(Value::Int(1), Expr::True).await {
        assert!(Instant::now() < deadline, "{error:?}");
    }
}
