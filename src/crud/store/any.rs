//! A store chosen by a URL.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};

use super::erased::{DynCollection, DynStore};
#[cfg(feature = "mongodb")]
use super::mongo::{MongoCollection, MongoOptions, MongoStore};
#[cfg(feature = "sqlite")]
use super::sqlite::{Durability, SqliteCollection, SqliteOptions, SqliteStore};
use super::{
    Changes, ChangesError, Collection, Expect, Groups, Key, Many, Once, OpenError, Outcome, Page, Row, RowError, Step,
    Store, StoreError, Write, WriteError,
};
use crate::ConfigError;
use crate::crud::query::Grouping;
use crate::crud::{Expr, Query, ReadFrom, Schema, Value};

const KNOWN: &str = "write sqlite:///app.db, sqlite:////var/lib/app.db, sqlite:///:memory: or mongodb://host/database";

/// One of the stores.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum AnyStore {
    /// SQLite.
    #[cfg(feature = "sqlite")]
    Sqlite(SqliteStore),
    /// MongoDB.
    #[cfg(feature = "mongodb")]
    Mongo(MongoStore),
    /// One of a type that this crate does not know.
    Other(DynStore),
}

/// Two are equal when they are the same, not when they are of the same place.
impl PartialEq for AnyStore {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            #[cfg(feature = "sqlite")]
            (Self::Sqlite(one), Self::Sqlite(other)) => one.is(other),
            #[cfg(feature = "mongodb")]
            (Self::Mongo(one), Self::Mongo(other)) => one.is(other),
            (Self::Other(one), Self::Other(other)) => one.is(other),
            _ => false,
        }
    }
}

/// A collection of one of the stores.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum AnyCollection {
    /// SQLite.
    #[cfg(feature = "sqlite")]
    Sqlite(SqliteCollection),
    /// MongoDB.
    #[cfg(feature = "mongodb")]
    Mongo(MongoCollection),
    /// Of a store of a type that this crate does not know.
    Other(DynCollection),
}

impl AnyStore {
    /// A store of any type, as one of yours is.
    pub fn new(store: impl Store) -> Self {
        Self::Other(DynStore::new(store))
    }

    /// Opens the store that `url` names.
    ///
    /// - `sqlite:///app.db` is a file beside the program, `sqlite:////var/lib/app.db` an absolute path;
    /// - `sqlite:///:memory:` is gone when the store is closed;
    /// - `?durability=full|normal|off` and `?shared=true` set what [`SqliteOptions`] tells of;
    /// - `mongodb://` and `mongodb+srv://` are the URIs of MongoDB.
    ///
    /// # Errors
    /// When the URL is not understood or the store cannot be opened. Credentials are never part of the text.
    pub async fn open_url(url: &str) -> Result<Self, OpenError> {
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err(ConfigError::new("the URL of the store has no scheme").cure(KNOWN).into());
        };
        match scheme {
            "sqlite" => sqlite(rest),
            "mongodb" | "mongodb+srv" => mongo(url).await,
            _ => match opener(scheme) {
                Some(open) => open(url.to_owned()).await,
                None => Err(ConfigError::new(format!("no store is called {scheme:?}")).cure(KNOWN).into()),
            },
        }
    }

    /// Has URLs of a scheme open what `open` makes of them, in this whole process: a store whose address and credentials come from
    /// elsewhere, one with settings that no URL has, or [one of your own](Self::new).
    ///
    /// # Errors
    /// When the scheme is one of ours, is none, or is registered already.
    pub fn register_scheme<F>(
        scheme: impl Into<String>,
        open: impl Fn(String) -> F + Send + Sync + 'static,
    ) -> Result<(), ConfigError>
    where
        F: Future<Output = Result<Self, OpenError>> + Send + 'static,
    {
        let scheme = scheme.into();
        let wrong =
            |what: &str| Err(ConfigError::new(format!("the store scheme {scheme:?} {what}")).cure("choose another"));
        if matches!(&*scheme, "sqlite" | "mongodb" | "mongodb+srv") {
            return wrong("is one of this crate");
        }
        // RFC 3986, 3.1.
        let is_scheme = scheme.starts_with(|first: char| first.is_ascii_lowercase())
            && scheme.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'+' | b'-' | b'.'));
        if !is_scheme {
            return wrong("is not made of small letters, digits, +, - and .");
        }
        let mut openers = OPENERS.write().unwrap_or_else(PoisonError::into_inner);
        if openers.contains_key(&scheme) {
            return wrong("is registered already");
        }
        openers.insert(scheme, Arc::new(move |url| Box::pin(open(url))));
        Ok(())
    }

    /// What opening the store that `url` names would do for each of the schemas, as [`Store::plan`] tells it. A SQLite store may be in
    /// use meanwhile, and its file is not made where it is missing.
    ///
    /// # Errors
    /// As [`open_url`](Self::open_url) and [`Store::plan`], and of a store in memory.
    pub async fn plan_url(url: &str, schemas: &[Arc<Schema>]) -> Result<Plan, OpenError> {
        if let Some(rest) = url.strip_prefix("sqlite://") {
            return sqlite_plan(rest, schemas).await;
        }
        let store = Self::open_url(url).await?;
        let steps = super::plan(&store, schemas).await;
        store.close().await;
        Ok(Plan { store: store.describe(), steps: steps? })
    }
}

type Open = Arc<dyn Fn(String) -> Pin<Box<dyn Future<Output = Result<AnyStore, OpenError>> + Send>> + Send + Sync>;

/// Of the schemes of others.
static OPENERS: RwLock<BTreeMap<String, Open>> = RwLock::new(BTreeMap::new());

fn opener(scheme: &str) -> Option<Open> {
    OPENERS.read().unwrap_or_else(PoisonError::into_inner).get(scheme).cloned()
}

#[cfg(feature = "sqlite")]
fn sqlite(rest: &str) -> Result<AnyStore, OpenError> {
    let (path, options) = sqlite_file(rest)?;
    let store = if path == MEMORY { SqliteStore::in_memory(options) } else { SqliteStore::open(path, options) };
    store.map(AnyStore::Sqlite)
}

/// Stands for a file that is gone when the store is closed.
#[cfg(feature = "sqlite")]
const MEMORY: &str = ":memory:";

/// The file that the part of a URL after `sqlite://` names, and how it is used.
#[cfg(feature = "sqlite")]
fn sqlite_file(rest: &str) -> Result<(&str, SqliteOptions), ConfigError> {
    let (path, settings) = rest.split_once('?').unwrap_or((rest, ""));
    let Some(path) = path.strip_prefix('/').filter(|path| !path.is_empty()) else {
        return Err(ConfigError::new(format!("sqlite://{path} names no file")).cure(KNOWN));
    };
    let mut options = SqliteOptions::default();
    for setting in settings.split('&').filter(|setting| !setting.is_empty()) {
        match setting {
            "durability=full" => options.durability = Durability::Full,
            "durability=normal" => options.durability = Durability::Normal,
            "durability=off" => options.durability = Durability::Off,
            "shared=true" => options.shared = true,
            "shared=false" => options.shared = false,
            _ => {
                return Err(ConfigError::new(format!("the setting {setting:?} of the store is not known"))
                    .cure("there are durability=full|normal|off and shared=true|false"));
            }
        }
    }
    Ok((path, options))
}

#[cfg(feature = "sqlite")]
async fn sqlite_plan(rest: &str, schemas: &[Arc<Schema>]) -> Result<Plan, OpenError> {
    let (path, _) = sqlite_file(rest)?;
    if path == MEMORY {
        return Err(ConfigError::new("a store in memory begins anew each time, so there is nothing to plan")
            .cure("name the store that is meant")
            .into());
    }
    let store = format!("sqlite {path}");
    let (path, schemas) = (path.to_owned(), schemas.to_vec());
    let planned = tokio::task::spawn_blocking(move || super::sqlite::plan(path, &schemas)).await;
    let steps = planned.unwrap_or_else(|error| Err(StoreError::Internal(error.into()).into()))?;
    Ok(Plan { store, steps })
}

#[cfg(not(feature = "sqlite"))]
fn sqlite(_: &str) -> Result<AnyStore, OpenError> {
    Err(ConfigError::new("this build has no SQLite").cure("build with the cargo feature `sqlite`").into())
}

#[cfg(not(feature = "sqlite"))]
async fn sqlite_plan(rest: &str, _: &[Arc<Schema>]) -> Result<Plan, OpenError> {
    sqlite(rest).map(|store| Plan { store: store.describe(), steps: Vec::new() })
}

#[cfg(feature = "mongodb")]
async fn mongo(url: &str) -> Result<AnyStore, OpenError> {
    MongoStore::connect(url, MongoOptions::default()).await.map(AnyStore::Mongo)
}

#[cfg(not(feature = "mongodb"))]
async fn mongo(_: &str) -> Result<AnyStore, OpenError> {
    Err(ConfigError::new("this build has no MongoDB").cure("build with the cargo feature `mongodb`").into())
}

/// What opening a store would do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Plan {
    /// Which store it is, without credentials: `sqlite app.db`.
    pub store: String,
    /// In what it differs; nothing when it fits.
    pub steps: Vec<Step>,
}

/// Does the same with whichever it is.
macro_rules! either {
    ($any:ident, $self:expr, $inner:ident => $body:expr) => {
        match $self {
            #[cfg(feature = "sqlite")]
            $any::Sqlite($inner) => $body,
            #[cfg(feature = "mongodb")]
            $any::Mongo($inner) => $body,
            $any::Other($inner) => $body,
        }
    };
}

impl fmt::Display for AnyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe())
    }
}

impl Store for AnyStore {
    type Collection = AnyCollection;

    async fn open(&self, schema: Arc<Schema>) -> Result<AnyCollection, OpenError> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(store) => store.open(schema).await.map(AnyCollection::Sqlite),
            #[cfg(feature = "mongodb")]
            Self::Mongo(store) => store.open(schema).await.map(AnyCollection::Mongo),
            Self::Other(store) => store.open(schema).await.map(AnyCollection::Other),
        }
    }

    async fn transact(&self, writes: Vec<(AnyCollection, Write)>) -> Result<Vec<Option<Row>>, WriteError> {
        /// Those of collections of the kind, if all are.
        macro_rules! of {
            ($store:ident, $kind:ident) => {{
                let own = |(collection, write)| match collection {
                    AnyCollection::$kind(collection) => Some((collection, write)),
                    _ => None,
                };
                match writes.into_iter().map(own).collect() {
                    Some(writes) => $store.transact(writes).await,
                    None => Err(StoreError::foreign().into()),
                }
            }};
        }
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(store) => of!(store, Sqlite),
            #[cfg(feature = "mongodb")]
            Self::Mongo(store) => of!(store, Mongo),
            Self::Other(store) => of!(store, Other),
        }
    }

    async fn plan(&self, schema: Arc<Schema>) -> Result<Vec<Step>, OpenError> {
        either!(AnyStore, self, store => store.plan(schema).await)
    }

    async fn apply(
        &self,
        schema: Arc<Schema>,
        told: impl Fn(u64) + Send + Sync + 'static,
    ) -> Result<Vec<Step>, OpenError> {
        either!(AnyStore, self, store => store.apply(schema, told).await)
    }

    fn describe(&self) -> String {
        either!(AnyStore, self, store => store.describe())
    }

    async fn close(&self) {
        either!(AnyStore, self, store => store.close().await);
    }
}

impl Collection for AnyCollection {
    fn reading_from(&self, members: ReadFrom) -> Self {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(rows) => Self::Sqlite(rows.reading_from(members)),
            #[cfg(feature = "mongodb")]
            Self::Mongo(rows) => Self::Mongo(rows.reading_from(members)),
            Self::Other(rows) => Self::Other(rows.reading_from(members)),
        }
    }

    async fn get(&self, id: Value<'static>, only: Expr) -> Result<Option<Row>, StoreError> {
        either!(AnyCollection, self, rows => rows.get(id, only).await)
    }

    async fn list(&self, query: Query) -> Result<Page, StoreError> {
        either!(AnyCollection, self, rows => rows.list(query).await)
    }

    fn writes(&self) -> Option<u64> {
        either!(AnyCollection, self, rows => rows.writes())
    }

    async fn count(&self, filter: Expr) -> Result<u64, StoreError> {
        either!(AnyCollection, self, rows => rows.count(filter).await)
    }

    async fn estimate(&self) -> Result<u64, StoreError> {
        either!(AnyCollection, self, rows => rows.estimate().await)
    }

    async fn group(&self, grouping: Grouping) -> Result<Groups, StoreError> {
        either!(AnyCollection, self, rows => rows.group(grouping).await)
    }

    async fn insert(&self, document: Value<'static>) -> Result<Row, StoreError> {
        either!(AnyCollection, self, rows => rows.insert(document).await)
    }

    async fn insert_all(&self, documents: Vec<Value<'static>>) -> Result<Vec<Row>, RowError> {
        either!(AnyCollection, self, rows => rows.insert_all(documents).await)
    }

    async fn keep_keys(&self) -> Result<(), OpenError> {
        either!(AnyCollection, self, rows => rows.keep_keys().await)
    }

    async fn recall(&self, key: Key) -> Result<Option<Once>, StoreError> {
        either!(AnyCollection, self, rows => rows.recall(key).await)
    }

    async fn once(&self, writes: Vec<Write>, key: Key) -> Result<Once, WriteError> {
        either!(AnyCollection, self, rows => rows.once(writes, key).await)
    }

    async fn import(&self, from: Vec<(Value<'static>, i64)>) -> Result<(), RowError> {
        either!(AnyCollection, self, rows => rows.import(from).await)
    }

    fn has_transactions(&self) -> bool {
        either!(AnyCollection, self, rows => rows.has_transactions())
    }

    async fn replace(&self, document: Value<'static>, expect: Expect) -> Result<Outcome<Row>, StoreError> {
        either!(AnyCollection, self, rows => rows.replace(document, expect).await)
    }

    async fn update(
        &self,
        id: Value<'static>,
        changes: Vec<(usize, Value<'static>)>,
        expect: Expect,
    ) -> Result<Outcome<Row>, StoreError> {
        either!(AnyCollection, self, rows => rows.update(id, changes, expect).await)
    }

    async fn delete(&self, id: Value<'static>, expect: Expect) -> Result<Outcome<()>, StoreError> {
        either!(AnyCollection, self, rows => rows.delete(id, expect).await)
    }

    async fn update_all(
        &self,
        filter: Expr,
        changes: Vec<(usize, Value<'static>)>,
        most: u64,
    ) -> Result<Many, StoreError> {
        either!(AnyCollection, self, rows => rows.update_all(filter, changes, most).await)
    }

    async fn delete_all(&self, filter: Expr, most: u64) -> Result<Many, StoreError> {
        either!(AnyCollection, self, rows => rows.delete_all(filter, most).await)
    }

    async fn keep_changes(&self) -> Result<(), OpenError> {
        either!(AnyCollection, self, rows => rows.keep_changes().await)
    }

    async fn changes(&self, after: Option<String>) -> Result<Changes, ChangesError> {
        either!(AnyCollection, self, rows => rows.changes(after).await)
    }
}
