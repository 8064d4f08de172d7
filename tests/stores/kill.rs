//! What was acknowledged outlives a `kill -9`.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use futures_util::StreamExt;
use ziggurat::crud::store::sqlite::{SqliteOptions, SqliteStore};
use ziggurat::crud::store::{Collection, Store};
use ziggurat::crud::{Expr, Query, Value};

use crate::rows::{self, Random, text_of};

/// Names the file to the process that is to be killed; without it that test has nothing to do.
const FILE: &str = "ZIGGURAT_TEST_KILL_FILE";
const SEED: &str = "ZIGGURAT_TEST_KILL_SEED";

/// The body of the killed process: writes from many tasks and tells each row that was acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_until_it_is_killed() {
    let Ok(path) = std::env::var(FILE) else { return };
    let seed: u64 = std::env::var(SEED).unwrap().parse().unwrap();
    let store = SqliteStore::open(path, SqliteOptions::default()).unwrap();
    let schema = rows::schema("Kill");
    let collection = store.open(schema.clone()).await.unwrap();
    collection.keep_changes().await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for task in 1..=16 {
        let (collection, schema) = (collection.clone(), schema.clone());
        tasks.spawn(async move {
            let mut random = Random(seed * 100 + task);
            loop {
                let row = rows::row(&mut random);
                collection.insert(Value::Object(row.clone())).await.unwrap();
                // One write call for each line, so that lines are whole when the end comes.
                println!("acknowledged {}", text_of(&schema, &row));
            }
        });
    }
    // Ends only when one of them fails.
    tasks.join_next().await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_rows_outlive_a_kill() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("kill.db");
    let schema = rows::schema("Kill");
    let mut ledger = HashSet::new();
    for round in 1..=20_u64 {
        let wanted = 50 + 20 * round;
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kill::writes_until_it_is_killed", "--nocapture"])
            .env(FILE, &path)
            .env(SEED, round.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        let mut acknowledged = 0;
        while acknowledged < wanted && lines.read_line(&mut line).unwrap() > 0 {
            if let Some((_, row)) = line.split_once("acknowledged ") {
                ledger.insert(row.trim_end().to_owned());
                acknowledged += 1;
            }
            line.clear();
        }
        // SIGKILL, in the midst of its writes.
        child.kill().unwrap();
        // What it had said before it died counts as well.
        while lines.read_line(&mut line).unwrap() > 0 {
            if line.ends_with('\n')
                && let Some((_, row)) = line.split_once("acknowledged ")
            {
                ledger.insert(row.trim_end().to_owned());
            }
            line.clear();
        }
        child.wait().unwrap();
        assert!(acknowledged >= wanted, "the process ended by itself");

        let store = SqliteStore::open(&path, SqliteOptions::default()).unwrap();
        let collection = store.open(schema.clone()).await.unwrap();
        let mut found = HashSet::new();
        let mut query = Query { filter: Expr::True, sort: vec![], limit: 500, offset: 0, after: None };
        loop {
            let page = collection.list(query.clone()).await.unwrap();
            let items = format!("[{}]", std::str::from_utf8(&page.items).unwrap());
            let items: Vec<Box<serde_json::value::RawValue>> = serde_json::from_str(&items).unwrap();
            found.extend(items.iter().map(|item| item.get().to_owned()));
            query.after = page.next;
            if query.after.is_none() {
                break;
            }
        }
        let lost: Vec<_> = ledger.difference(&found).collect();
        assert!(lost.is_empty(), "{} acknowledged rows of {} are lost in round {round}", lost.len(), ledger.len());
        assert!(found.len() >= ledger.len());
        assert_eq!(collection.count(Expr::True).await.unwrap(), found.len() as u64);

        // The feed tells of each row that is there, and of no other: both were written in one transaction.
        let mut changes = collection.changes(Some("0".to_owned())).await.unwrap();
        let mut told = HashSet::new();
        while told.len() < found.len() {
            let next = tokio::time::timeout(Duration::from_secs(20), changes.stream.next()).await;
            let row = next.expect("each row is told").unwrap().unwrap().after.unwrap();
            told.insert(String::from_utf8(row.json.to_vec()).unwrap());
        }
        assert_eq!(told, found, "round {round}");
        store.close().await;
    }
    assert_ne!(ledger.len(), 0);
}
