//! What needs a look behind the curtain: plans of queries, full disks, deadlines.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::*;
use crate::crud::schema::{Bounds, Field, Index, Text, Type, Unknown};
use crate::crud::store::{Collection, Expect};
use crate::crud::{Comparison, Expr, Query, Sort, Value};

fn schema() -> Arc<Schema> {
    let int = || Type::Int(Bounds::default());
    let fields = vec![
        Field::new("id", int()),
        Field::new("age", int()).index(Index::default()),
        Field::new("rate", Type::Optional(Box::new(int()))).index(Index::default()),
        Field::new("mail", Type::Optional(Box::new(Type::Str(Text::default())))).index(Index::UNIQUE),
        Field::new("body", Type::Str(Text::default())),
    ];
    Arc::new(Schema { name: "Thing".into(), fields, id: Some(0), unknown: Unknown::Forbid })
}

fn thing(id: i64, body: String) -> Value<'static> {
    Value::Object(vec![Value::Int(id), Value::Int(id % 7), Value::Null, Value::Null, Value::Str(body.into())])
}

async fn opened(options: SqliteOptions) -> (SqliteStore, SqliteCollection) {
    let store = SqliteStore::in_memory(options).unwrap();
    let rows = store.open(schema()).await.unwrap();
    (store, rows)
}

/// The plan of a page as SQLite tells it.
async fn plan(store: &SqliteStore, filter: Expr, sort: &[(usize, bool)], after: Option<Vec<Value<'static>>>) -> String {
    let table = Table::new(schema()).unwrap();
    let sort = sort.iter().map(|(field, descending)| Sort { field: *field, descending: *descending }).collect();
    let (sql, _) = compile::page(&table, &Query { filter, sort, limit: 20, offset: 0, after }).unwrap();
    let answer = store.read(move |db| {
        let mut statement = db.prepare(&format!("EXPLAIN QUERY PLAN {}", sql.text)).unwrap();
        let lines =
            statement.query_map(rusqlite::params_from_iter(sql.args.iter()), |row| row.get::<_, String>(3)).unwrap();
        Ok(lines.map(Result::unwrap).collect::<Vec<_>>().join("; "))
    });
    store.answered(answer.unwrap()).await.unwrap()
}

#[tokio::test]
async fn pages_start_in_an_index_and_need_no_sorting() {
    let (store, _) = opened(SqliteOptions::default()).await;
    let int = Value::Int;
    let cases = [
        (Expr::True, vec![(0, false)], vec![int(5)]),
        (Expr::True, vec![(0, true)], vec![int(5)]),
        (Expr::True, vec![(1, false), (0, false)], vec![int(1), int(5)]),
        (Expr::True, vec![(1, true), (0, true)], vec![int(1), int(5)]),
        (Expr::True, vec![(2, false), (0, false)], vec![int(1), int(5)]),
    ];
    for (filter, sort, after) in cases {
        let plan = plan(&store, filter, &sort, Some(after)).await;
        assert!(plan.contains("SEARCH c_thing USING INDEX"), "{sort:?}: {plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{sort:?}: {plan}");
    }
    // Directions that differ: found in the index, sorted only among equals.
    let mixed = plan(&store, Expr::True, &[(1, false), (0, true)], Some(vec![int(1), int(5)])).await;
    assert!(mixed.contains("SEARCH c_thing USING INDEX") && !mixed.contains("FOR ORDER BY"), "{mixed}");
    let mail = Expr::Compare { field: 3.into(), op: Comparison::Eq, value: Value::Str("a".into()) };
    let unique = plan(&store, mail, &[(0, false)], None).await;
    assert!(unique.contains("SEARCH c_thing USING INDEX zg_u_thing_f_mail"), "{unique}");
}

#[tokio::test]
async fn a_full_disk_is_told_and_survived() {
    let (store, rows) = opened(SqliteOptions::default()).await;
    let limit = |pages: u32| {
        let answer = store.write(move |db| {
            db.query_row(&format!("PRAGMA max_page_count={pages}"), [], |_| Ok(())).map_err(error::plain)
        });
        store.answered(answer.unwrap())
    };
    limit(64).await.unwrap();
    let mut kept = 0;
    let failure = loop {
        match rows.insert(thing(kept, "x".repeat(20_000))).await {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
        assert!(kept < 100, "the limit has no effect");
    };
    assert!(matches!(failure, StoreError::Full), "{failure:?}");
    assert_eq!(rows.count(Expr::True).await.unwrap(), kept as u64);
    limit(10_000).await.unwrap();
    rows.insert(thing(kept, "x".repeat(20_000))).await.unwrap();
}

#[tokio::test]
async fn a_query_beyond_its_deadline_is_stopped() {
    let options = SqliteOptions { timeout: Duration::from_millis(150), readers: 1, ..SqliteOptions::default() };
    let (store, rows) = opened(options).await;
    let started = Instant::now();
    let answer = store.read(|db| {
        let endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n";
        db.query_row(endless, [], |row| row.get::<_, i64>(0)).map_err(error::plain)
    });
    assert!(matches!(store.answered(answer.unwrap()).await, Err(StoreError::Timeout)));
    // The only reader is free again.
    while let Err(error) = rows.get(Value::Int(1), Expr::True).await {
        assert!(matches!(error, StoreError::Timeout), "{error:?}");
        assert!(started.elapsed() < Duration::from_secs(20), "the query was never stopped");
    }
}

#[tokio::test]
async fn a_store_with_too_much_to_do_says_so_at_once() {
    let options = SqliteOptions { queue: 3, ..SqliteOptions::default() };
    let (store, rows) = opened(options).await;
    let (begun, has_begun) = mpsc::channel();
    let (go_on, wait) = mpsc::channel::<()>();
    let blocked = store
        .write(move |_| {
            begun.send(()).unwrap();
            wait.recv().unwrap();
            Ok(())
        })
        .unwrap();
    has_begun.recv().unwrap();
    let waiting: Vec<_> = (0..3)
        .map(|id| {
            let rows = rows.clone();
            tokio::spawn(async move { rows.insert(thing(id, String::new())).await })
        })
        .collect();
    while store.inner.writes.len() < 3 {
        tokio::task::yield_now().await;
    }
    let refused = rows.insert(thing(9, String::new())).await;
    assert!(matches!(refused, Err(StoreError::Unavailable { retry_after: 1, .. })), "{refused:?}");
    // Reads go on meanwhile, and those that waited are done.
    assert_eq!(rows.count(Expr::True).await.unwrap(), 0);
    go_on.send(()).unwrap();
    store.answered(blocked).await.unwrap();
    for write in waiting {
        write.await.unwrap().unwrap();
    }
    assert_eq!(rows.count(Expr::True).await.unwrap(), 3);
}

#[tokio::test]
async fn a_panic_in_a_write_or_a_read_hangs_nobody() {
    let (store, rows) = opened(SqliteOptions { readers: 1, ..SqliteOptions::default() }).await;
    let write = store.write::<()>(|_| panic!("on purpose")).unwrap();
    let read = store.read::<()>(|_| panic!("on purpose")).unwrap();
    assert!(matches!(store.answered(write).await, Err(StoreError::Internal(_))));
    assert!(matches!(store.answered(read).await, Err(StoreError::Internal(_))));
    rows.insert(thing(1, String::new())).await.unwrap();
    assert!(rows.get(Value::Int(1), Expr::True).await.unwrap().is_some());
}

#[tokio::test]
async fn closing_finishes_what_waits() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("a.db");
    let store = SqliteStore::open(&path, SqliteOptions::default()).unwrap();
    let rows = store.open(schema()).await.unwrap();
    let waiting: Vec<_> = (0..50)
        .map(|id| {
            let rows = rows.clone();
            tokio::spawn(async move { rows.insert(thing(id, String::new())).await })
        })
        .collect();
    tokio::task::yield_now().await;
    store.close().await;
    let mut done = 0;
    for write in waiting {
        match write.await.unwrap() {
            Ok(_) => done += 1,
            Err(error) => assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}"),
        }
    }
    assert!(done > 0);
    assert_eq!(std::fs::metadata(folder.path().join("a.db-wal")).map_or(0, |wal| wal.len()), 0, "the log is merged");
    let rows = SqliteStore::open(&path, SqliteOptions::default()).unwrap().open(schema()).await.unwrap();
    assert_eq!(rows.count(Expr::True).await.unwrap(), done);
    assert!(matches!(rows.delete(Value::Int(0), Expect::any()).await, Ok(crate::crud::store::Outcome::Done(()))));
}

#[tokio::test]
async fn words_are_found_while_another_connection_changes_the_schema() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut searched = (*schema()).clone();
    searched.fields[4] = Field::new("body", Type::Str(Text::default())).searched();
    let store = SqliteStore::open(&path, SqliteOptions::default().shared(true)).unwrap();
    let rows = store.open(Arc::new(searched)).await.unwrap();
    rows.insert(thing(1, "rain on the roof".into())).await.unwrap();
    let (go_on, is_over) = mpsc::channel::<()>();
    // As ANALYZE does, which a store that is closed may run.
    let other = thread::spawn(move || {
        let db = open::writer(&path, Durability::Off).unwrap();
        while matches!(is_over.try_recv(), Err(mpsc::TryRecvError::Empty)) {
            db.execute_batch("CREATE TABLE more(x); DROP TABLE more").unwrap();
        }
    });
    for round in 0..500 {
        let found = rows.count(Expr::Search { words: vec!["rain".into()] }).await;
        assert_eq!(found.unwrap(), 1, "round {round}");
    }
    drop(go_on);
    other.join().unwrap();
}

#[test]
fn floats_keep_every_bit_on_their_way_through_text() {
    let db = rusqlite::Connection::open_in_memory().unwrap();
    let mut same = db.prepare("SELECT jsonb(?1)->>'$' = ?2, json(jsonb(?1)) = ?1").unwrap();
    let mut bits = 0x9E37_79B9_7F4A_7C15_u64;
    for _ in 0..20_000 {
        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        let float = f64::from_bits(bits);
        if !float.is_finite() {
            continue;
        }
        let mut text = Vec::new();
        crate::crud::json::write_float(&mut text, float);
        let text = String::from_utf8(text).unwrap();
        let equal = same.query_row((&text, float), |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        assert_eq!(equal, (true, true), "{text}");
    }
}
