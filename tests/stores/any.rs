//! Stores chosen by a URL.

use ziggurat::crud::store::{AnyStore, OpenError, Store};

use crate::promises;
use crate::support::{Mongo, is_off};

async fn refused(url: &str) -> String {
    match AnyStore::open_url(url).await {
        Err(OpenError::Config(error)) => error.to_string(),
        Err(error) => panic!("{error:?}"),
        Ok(store) => panic!("{store} was opened"),
    }
}

#[tokio::test]
async fn unknown_urls_are_refused_with_those_that_are_known() {
    for url in ["app.db", "postgres://alice:hunter2@host/db", "sqlite://app.db", "sqlite:///"] {
        let why = refused(url).await;
        assert!(why.contains("sqlite:///app.db") && why.contains("mongodb://"), "{why}");
        assert!(!why.contains("hunter2"), "{why}");
    }
    assert!(refused("sqlite:///a.db?speed=high").await.contains("speed=high"));
}

#[tokio::test]
async fn sqlite_urls_name_files() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("app.db");
    let store = AnyStore::open_url(&format!("sqlite:///{}?durability=normal", path.display())).await.unwrap();
    assert_eq!(store.describe(), format!("sqlite {}", path.display()));
    promises::crud(store.clone()).await;
    store.close().await;
    assert!(path.exists());
    let store = AnyStore::open_url("sqlite:///:memory:").await.unwrap();
    promises::crud(store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mongodb_urls_name_databases() {
    if is_off() {
        return;
    }
    let mongo = Mongo::shared();
    let store = AnyStore::open_url(&mongo.database()).await.unwrap();
    assert!(store.describe().starts_with("mongodb "), "{store}");
    promises::crud(store).await;
}
