//! SQLite: the common promises, and those of a file.

use std::sync::Arc;

use futures_util::StreamExt;
use tempfile::TempDir;
use ziggurat::crud::schema::{Bounds, DefaultValue, Field, Index, Naive, Text, Type, Unknown};
use ziggurat::crud::store::sqlite::{SqliteOptions, SqliteStore};
use ziggurat::crud::store::{ChangesError, Collection, OpenError, Store};
use ziggurat::crud::{Expr, Schema, Value};

use crate::promises;
use crate::rows::text;

fn options() -> SqliteOptions {
    SqliteOptions::default()
}

macro_rules! keeps {
    ($($promise:ident ( $($argument:expr),* );)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $promise() {
            let folder = TempDir::new().unwrap();
            let store = SqliteStore::open(folder.path().join("rows.db"), options()).unwrap();
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
    filters(1500);
    only(400);
    many(60);
    changes();
    copied();
    extras();
    once();
    once_refused();
    once_together();
    walks(400);
    together();
    dropped();
    sizes();
    reopened();
    closed();
    transacts();
    sharded();
}

#[tokio::test]
async fn a_store_in_memory_works_alike() {
    let store = SqliteStore::in_memory(options()).unwrap();
    assert_eq!(store.describe(), "sqlite :memory:");
    promises::crud(store.clone()).await;
    promises::walks(store, 20).await;
}

fn model(fields: Vec<Field>) -> Arc<Schema> {
    Arc::new(Schema { name: "Note".into(), fields, id: Some(0), unknown: Unknown::Forbid })
}

fn int() -> Type {
    Type::Int(Bounds::default())
}

fn note() -> Vec<Field> {
    vec![Field::new("id", int()), Field::new("body", Type::Str(Text::default()))]
}

async fn json(rows: &impl Collection, id: i64) -> String {
    let row = rows.get(Value::Int(id), Expr::True).await.unwrap().unwrap();
    String::from_utf8(row.json.to_vec()).unwrap()
}

#[tokio::test]
async fn rows_expire_and_nothing_is_written_while_none_does() {
    let folder = TempDir::new().unwrap();
    let mut fields = note();
    let last = Field::new("last", Type::Optional(Box::new(Type::DateTime(Naive::default()))));
    fields.push(last.index(Index { ttl: Some(60), ..Index::default() }));
    let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
    let store = SqliteStore::open(folder.path().join("rows.db"), options()).unwrap();
    let rows = store.open(model(fields.clone())).await.unwrap();
    for (id, last) in [(1, Value::Null), (2, Value::DateTime(now())), (3, Value::DateTime(now() - 59_000))] {
        rows.insert(Value::Object(vec![Value::Int(id), text("note"), last])).await.unwrap();
    }
    store.close().await;
    let store = SqliteStore::open(folder.path().join("rows.db"), options()).unwrap();
    let rows = store.open(model(fields)).await.unwrap();
    let before = rows.writes().unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert_eq!((rows.count(Expr::True).await.unwrap(), rows.writes().unwrap()), (3, before));
    for _ in 0..100 {
        if rows.count(Expr::True).await.unwrap() == 2 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(rows.get(Value::Int(3), Expr::True).await.unwrap().is_none());
    let after = rows.writes().unwrap();
    assert!(after > before);
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    assert_eq!((rows.count(Expr::True).await.unwrap(), rows.writes().unwrap()), (2, after));
    store.close().await;
}

#[tokio::test]
async fn rows_outlive_the_process_and_a_grown_schema() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("notes.db");
    let store = SqliteStore::open(&path, options()).unwrap();
    let rows = store.open(model(note())).await.unwrap();
    rows.insert(Value::Object(vec![Value::Int(1), text("one")])).await.unwrap();
    store.close().await;

    let store = SqliteStore::open(&path, options()).unwrap();
    let mut wider = note();
    let default = DefaultValue::Constant(Value::Int(3));
    wider.insert(1, Field::new("stars", int()).default(default).index(Index::default()));
    let rows = store.open(model(wider.clone())).await.unwrap();
    assert_eq!(json(&rows, 1).await, r#"{"id":1,"stars":3,"body":"one"}"#);
    let three = Expr::Compare { field: 1.into(), op: ziggurat::crud::Comparison::Eq, value: Value::Int(3) };
    assert_eq!(rows.count(three).await.unwrap(), 1);

    // A field that leaves the schema is no longer answered, but comes back with it.
    let rows = store.open(model(vec![Field::new("id", int()), wider[1].clone()])).await.unwrap();
    assert_eq!(json(&rows, 1).await, r#"{"id":1,"stars":3}"#);
    let rows = store.open(model(wider)).await.unwrap();
    assert_eq!(json(&rows, 1).await, r#"{"id":1,"stars":3,"body":"one"}"#);
    store.close().await;
}

#[tokio::test]
async fn changes_of_another_shape_are_forgotten() {
    let folder = TempDir::new().unwrap();
    let store = SqliteStore::open(folder.path().join("notes.db"), options()).unwrap();
    let rows = store.open(model(note())).await.unwrap();
    rows.keep_changes().await.unwrap();
    let begun = rows.changes(None).await.unwrap().from.unwrap();
    rows.insert(Value::Object(vec![Value::Int(1), text("one")])).await.unwrap();
    assert!(rows.changes(Some(begun.clone())).await.is_ok());

    let mut wider = note();
    wider.push(Field::new("stars", int()).default(DefaultValue::Constant(Value::Int(3))));
    let rows = store.open(model(wider)).await.unwrap();
    // That they are kept is not forgotten, and the new shape is no change.
    rows.insert(Value::Object(vec![Value::Int(2), text("two"), Value::Int(4)])).await.unwrap();
    assert!(matches!(rows.changes(Some(begun)).await, Err(ChangesError::Lost)));
    let mut changes = rows.changes(None).await.unwrap();
    rows.insert(Value::Object(vec![Value::Int(3), text("three"), Value::Int(5)])).await.unwrap();
    let told = changes.stream.next().await.unwrap().unwrap().after.unwrap();
    assert_eq!(told.json, r#"{"id":3,"body":"three","stars":5}"#);
    store.close().await;
}

#[tokio::test]
async fn old_changes_are_forgotten() {
    let store = SqliteStore::in_memory(options()).unwrap();
    let rows = store.open(model(note())).await.unwrap();
    rows.keep_changes().await.unwrap();
    let insert = async |from: i64| {
        let documents = (from..from + 1000).map(|id| Value::Object(vec![Value::Int(id), text("")]));
        rows.insert_all(documents.collect()).await.unwrap();
    };
    let begun = rows.changes(None).await.unwrap().from.unwrap();
    let mut slow = rows.changes(None).await.unwrap();
    insert(0).await;
    let later = rows.changes(None).await.unwrap().from.unwrap();
    for thousand in 1..=10 {
        insert(thousand * 1000).await;
    }
    assert!(matches!(rows.changes(Some(begun)).await, Err(ChangesError::Lost)));
    assert!(matches!(slow.stream.next().await, Some(Err(ChangesError::Lost))));
    let mut changes = rows.changes(Some(later)).await.unwrap();
    for id in 1000..11_000 {
        let told = changes.stream.next().await.unwrap().unwrap().after.unwrap();
        assert_eq!(told.json, format!(r#"{{"id":{id},"body":""}}"#));
    }
    store.close().await;
}

#[tokio::test]
async fn a_quiet_feed_is_not_left_behind_by_other_models() {
    let store = SqliteStore::in_memory(options()).unwrap();
    let rows = store.open(model(note())).await.unwrap();
    rows.keep_changes().await.unwrap();
    let schema = Schema { name: "Busy".into(), fields: note(), id: Some(0), unknown: Unknown::Forbid };
    let busy = store.open(Arc::new(schema)).await.unwrap();
    busy.keep_changes().await.unwrap();
    let mut changes = rows.changes(None).await.unwrap();
    let mut token = changes.from.clone().unwrap();
    for thousand in 0..25 {
        let documents = (0..1000).map(|id| Value::Object(vec![Value::Int(thousand * 1000 + id), text("")]));
        busy.insert_all(documents.collect()).await.unwrap();
        let mark = changes.stream.next().await.unwrap().unwrap();
        assert_eq!((mark.before, mark.after), (None, None), "it says where it is");
        token = mark.token;
    }
    let made = rows.insert(Value::Object(vec![Value::Int(1), text("one")])).await.unwrap();
    assert_eq!(changes.stream.next().await.unwrap().unwrap().after.as_ref(), Some(&made));
    let mut again = rows.changes(Some(token)).await.unwrap();
    assert_eq!(again.stream.next().await.unwrap().unwrap().after, Some(made));
    store.close().await;
}

#[tokio::test]
async fn changes_by_other_processes_are_told() {
    let folder = TempDir::new().unwrap();
    let open = || SqliteStore::open(folder.path().join("notes.db"), options().shared(true)).unwrap();
    let (one, other) = (open(), open());
    let rows = one.open(model(note())).await.unwrap();
    rows.keep_changes().await.unwrap();
    let mut changes = rows.changes(None).await.unwrap();
    let others = other.open(model(note())).await.unwrap();
    let made = others.insert(Value::Object(vec![Value::Int(1), text("one")])).await.unwrap();
    let told = tokio::time::timeout(std::time::Duration::from_secs(20), changes.stream.next()).await;
    assert_eq!(told.unwrap().unwrap().unwrap().after, Some(made));
    one.close().await;
    other.close().await;
}

fn refused<T>(result: Result<T, OpenError>) -> String {
    match result {
        Err(OpenError::Config(error)) => error.to_string(),
        Err(error) => panic!("{error:?}"),
        Ok(_) => panic!("it was opened"),
    }
}

#[tokio::test]
async fn a_schema_that_does_not_fit_is_refused_and_changes_nothing() {
    let store = SqliteStore::in_memory(options()).unwrap();
    let rows = store.open(model(note())).await.unwrap();
    rows.insert(Value::Object(vec![Value::Int(1), text("same")])).await.unwrap();
    rows.insert(Value::Object(vec![Value::Int(2), text("same")])).await.unwrap();

    let other = vec![Field::new("id", int()), Field::new("body", int())];
    let why = refused(store.open(model(other)).await);
    assert!(why.contains("Note.body") && why.contains("\"str\"") && why.contains("\"int\""), "{why}");
    let mut required = note();
    required.push(Field::new("stars", int()));
    let why = refused(store.open(model(required)).await);
    assert!(why.contains("Note.stars") && why.contains("default"), "{why}");
    let mut unique = note();
    unique[1] = unique[1].clone().index(Index::UNIQUE);
    let why = refused(store.open(model(unique)).await);
    assert!(why.contains("Note.body") && why.contains("unique"), "{why}");

    let rows = store.open(model(note())).await.unwrap();
    assert_eq!(json(&rows, 1).await, r#"{"id":1,"body":"same"}"#);
    // Without rows anything may change.
    for id in [1, 2] {
        rows.delete(Value::Int(id), ziggurat::crud::store::Expect::any()).await.unwrap();
    }
    store.open(model(vec![Field::new("id", int()), Field::new("body", int())])).await.unwrap();
}

#[tokio::test]
async fn a_field_need_not_stay_unique() {
    let store = SqliteStore::in_memory(options()).unwrap();
    let mut unique = note();
    unique[1] = unique[1].clone().index(Index::UNIQUE);
    let rows = store.open(model(unique)).await.unwrap();
    rows.insert(Value::Object(vec![Value::Int(1), text("same")])).await.unwrap();
    rows.insert(Value::Object(vec![Value::Int(2), text("same")])).await.unwrap_err();
    let rows = store.open(model(note())).await.unwrap();
    rows.insert(Value::Object(vec![Value::Int(2), text("same")])).await.unwrap();
}

#[tokio::test]
async fn unfit_names_and_ids_are_refused() {
    let store = SqliteStore::in_memory(options()).unwrap();
    for name in ["a.b", "$a", "", "_id", "a\"b", "a'b"] {
        let why = refused(store.open(model(vec![Field::new("id", int()), Field::new(name, int())])).await);
        assert!(why.contains(&format!("{name:?}")), "{why}");
    }
    assert!(refused(store.open(model(vec![Field::new("id", Type::Bool)])).await).contains("id"));
}

#[tokio::test]
async fn places_that_hold_no_store_are_told_apart() {
    let folder = TempDir::new().unwrap();
    let why = refused(SqliteStore::open(folder.path().join("no/such/app.db"), options()));
    assert!(why.contains("no/such") && why.contains("does not exist"), "{why}");
    assert!(refused(SqliteStore::open(folder.path(), options())).contains("is a folder"));
    let text = folder.path().join("letter.txt");
    std::fs::write(&text, "Dear Sir or Madam, this is no database at all.".repeat(50)).unwrap();
    assert!(refused(SqliteStore::open(&text, options())).contains("not a SQLite database"));
}

#[tokio::test]
async fn a_file_has_one_owner_unless_it_is_shared() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("app.db");
    let first = SqliteStore::open(&path, options()).unwrap();
    let why = refused(SqliteStore::open(&path, options()));
    assert!(why.contains("app.db") && why.contains(&std::process::id().to_string()), "{why}");
    first.close().await;
    let shared = options().shared(true);
    let one = SqliteStore::open(&path, shared.clone()).unwrap();
    let two = SqliteStore::open(&path, shared).unwrap();
    let rows = one.open(model(note())).await.unwrap();
    rows.insert(Value::Object(vec![Value::Int(1), text("seen by both")])).await.unwrap();
    let rows = two.open(model(note())).await.unwrap();
    assert_eq!(json(&rows, 1).await, r#"{"id":1,"body":"seen by both"}"#);
}
