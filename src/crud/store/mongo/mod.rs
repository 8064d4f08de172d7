//! MongoDB: replica sets and sharded clusters, when one machine is not enough.
//!
//! Writes are acknowledged by a majority with its journal, reads see only such writes. Documents are kept as others would
//! expect them: `_id`, native types, fields by name; `_v` is the version. Reads go from the bytes of the reply to JSON
//! without a tree of values in between.
//!
//! Every call of the driver runs in a task of its own: dropping the driver's futures half-way can leave a connection in a
//! bad state, and a client that disconnects drops them.

mod changes;
mod collection;
mod compile;
mod decode;
mod encode;
mod ensure;
mod error;
mod gather;
mod group;
mod keys;
mod legacy;
mod plan;
mod search;
mod shard;
mod straight;
mod transact;
mod transaction;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bson::doc;
use mongodb::options::{Acknowledgment, ClientOptions, ConnectionString, ReadConcern, WriteConcern};
use mongodb::{Client, Database};
use tokio::sync::{OwnedRwLockReadGuard, RwLock};

pub use collection::MongoCollection;

use super::steps::Look;
use super::{OpenError, Row, Safety, Step, StepKind, Store, StoreError, Write, WriteError, log, names};
use crate::ConfigError;
use crate::crud::Schema;
use crate::service::stopwatch::in_store;

/// How a MongoDB store works. What the URI says goes before it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct MongoOptions {
    /// The database, unless the URI names one.
    pub database: String,
    /// How long an operation may take.
    pub timeout: Duration,
    /// How long to look for a primary.
    pub server_selection_timeout: Duration,
    /// The most connections to each server.
    pub max_pool_size: u32,
}

impl Default for MongoOptions {
    fn default() -> Self {
        Self {
            database: "ziggurat".into(),
            timeout: Duration::from_secs(3),
            server_selection_timeout: Duration::from_secs(2),
            max_pool_size: 100,
        }
    }
}

impl MongoOptions {
    /// The database, unless the URI names one.
    #[must_use]
    pub fn database(mut self, database: impl Into<String>) -> Self {
        self.database = database.into();
        self
    }

    /// How long an operation may take.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long to look for a primary.
    #[must_use]
    pub fn server_selection_timeout(mut self, timeout: Duration) -> Self {
        self.server_selection_timeout = timeout;
        self
    }

    /// The most connections to each server.
    #[must_use]
    pub fn max_pool_size(mut self, connections: u32) -> Self {
        self.max_pool_size = connections;
        self
    }
}

/// A database of a MongoDB deployment.
#[derive(Debug, Clone)]
pub struct MongoStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    client: Client,
    database: Database,
    /// Hosts and database, without credentials.
    name: String,
    timeout: Duration,
    /// Whether it is a replica set or a sharded cluster, which have transactions.
    transactions: bool,
    /// Whether it is a sharded cluster.
    sharded: bool,
    closed: AtomicBool,
    /// Told once it is closed.
    closing: tokio::sync::Notify,
    /// Held for reading by each operation, for writing by `close`.
    under_way: Arc<RwLock<()>>,
}

impl MongoStore {
    /// Connects, and fails when no server answers.
    ///
    /// # Errors
    /// When the URI is wrong, or nothing answers there. No error shows credentials.
    pub async fn connect(uri: &str, options: MongoOptions) -> Result<Self, OpenError> {
        let uri = uri.to_owned();
        tokio::spawn(async move { Self::connected(&uri, options).await })
            .await
            .unwrap_or_else(|error| Err(StoreError::Internal(error.into()).into()))
    }

    async fn connected(uri: &str, options: MongoOptions) -> Result<Self, OpenError> {
        let given = ConnectionString::parse(with_known_options(uri)).map_err(|error| misread(uri, &error))?;
        if given.uuid_representation.is_some() {
            return Err(ConfigError::new("the MongoDB URI asks for another uuidRepresentation than standard")
                .cure("remove it, and say at each field what it is: Annotated[UUID, Stored(\"pythonLegacy\")]")
                .into());
        }
        let mut client = ClientOptions::parse(given).await.map_err(|error| misread(uri, &error))?;
        client.app_name.get_or_insert_with(|| "ziggurat".into());
        client.server_selection_timeout.get_or_insert(options.server_selection_timeout);
        client.connect_timeout.get_or_insert(options.server_selection_timeout);
        client.max_pool_size.get_or_insert(options.max_pool_size);
        client.max_connecting.get_or_insert(8);
        client.read_concern.get_or_insert_with(ReadConcern::majority);
        client
            .write_concern
            .get_or_insert_with(|| WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build());
        let hosts: Vec<_> = client.hosts.iter().map(ToString::to_string).collect();
        let database = client.default_database.clone().unwrap_or(options.database);
        let name = format!("{}/{database}", hosts.join(","));
        let client = Client::with_options(client).map_err(|error| misread(uri, &error))?;
        let database = client.database(&database);
        let hello = database.run_command(doc! { "hello": 1 });
        let hello = match tokio::time::timeout(options.server_selection_timeout + options.timeout, hello).await {
            Ok(Ok(hello)) => hello,
            Ok(Err(error)) => {
                let why = format!("MongoDB at {name} does not answer: {}", masked(uri, &error));
                return Err(error::unavailable(why).into());
            }
            Err(_) => return Err(error::unavailable(format!("MongoDB at {name} does not answer in time")).into()),
        };
        let sharded = hello.get_str("msg").is_ok_and(|said| said == "isdbgrid");
        let inner = Inner {
            client,
            database,
            name,
            timeout: options.timeout,
            transactions: sharded || hello.contains_key("setName"),
            sharded,
            closed: AtomicBool::new(false),
            closing: tokio::sync::Notify::new(),
            under_way: Arc::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Whether they are the same.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// Runs an operation to its end in a task of its own; the answer is waited for as long as an operation may take.
    async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let answer = tokio::time::timeout(self.inner.timeout, self.run_on(work));
        in_store(answer).await.unwrap_or(Err(StoreError::Timeout))
    }

    /// As `run`, without a deadline.
    async fn run_on<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let under_way = self.enter()?;
        let task = tokio::spawn(async move {
            let _under_way = under_way;
            work.await
        });
        task.await.unwrap_or_else(|error| Err(StoreError::Internal(error.into())))
    }

    /// What an operation holds until its end, so that `close` can wait for it.
    fn enter(&self) -> Result<OwnedRwLockReadGuard<()>, StoreError> {
        // The lock is free unless the store is being closed, so this never waits.
        let Ok(under_way) = Arc::clone(&self.inner.under_way).try_read_owned() else { return Err(closed()) };
        if self.inner.closed.load(Ordering::Acquire) {
            return Err(closed());
        }
        Ok(under_way)
    }
}

/// A URI without what other drivers know and this one does not, where it says what is so anyway.
fn with_known_options(uri: &str) -> String {
    let Some((before, options)) = uri.split_once('?') else { return uri.to_owned() };
    let is_known = |option: &&str| !option.eq_ignore_ascii_case("uuidRepresentation=standard");
    format!("{before}?{}", options.split('&').filter(is_known).collect::<Vec<_>>().join("&"))
}

fn closed() -> StoreError {
    error::unavailable("the store is closed")
}

/// What stands before the `@` of a URI.
fn secrets(uri: &str) -> impl Iterator<Item = &str> {
    let userinfo = uri.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@')).map(|(userinfo, _)| userinfo);
    userinfo.into_iter().flat_map(|userinfo| userinfo.split([':', '/'])).filter(|part| !part.is_empty())
}

/// The driver's text about a server. It names hosts and no credentials today; this keeps it so.
fn masked(uri: &str, error: &mongodb::error::Error) -> String {
    // The user is no secret, and often as short a word as "app".
    secrets(uri).skip(1).fold(error.to_string(), |text, secret| text.replace(secret, "***"))
}

/// What is wrong with a URI. The driver's text may quote the part that it did not understand.
fn misread(uri: &str, error: &mongodb::error::Error) -> ConfigError {
    let text = error.to_string();
    if secrets(uri).any(|secret| text.contains(secret)) {
        ConfigError::new("the MongoDB URI is wrong somewhere around its user and password")
            .cure("write characters such as @ : / in them as %40 %3A %2F")
    } else {
        ConfigError::new(format!("the MongoDB URI is wrong: {text}"))
    }
}

/// Does what opening does; the steps that were seen before, with the numbers of rows that they have taken.
async fn in_line(
    database: &Database,
    schema: &Schema,
    mut steps: Vec<Step>,
    told: impl Fn(u64) + Sync,
) -> Result<Vec<Step>, OpenError> {
    for (field, rows) in ensure::ensure(database, schema, &told).await? {
        let field = &*schema.fields[field].name;
        let of_it = |step: &&mut Step| step.kind == StepKind::NewField && step.field.as_deref() == Some(field);
        if let Some(step) = steps.iter_mut().find(of_it) {
            step.rows = rows;
        }
    }
    log(&steps);
    Ok(steps)
}

impl Store for MongoStore {
    type Collection = MongoCollection;

    async fn open(&self, schema: Arc<Schema>) -> Result<MongoCollection, OpenError> {
        let id = names::check(&schema)?;
        let rows: collection::Rows = self.inner.database.collection(&names::collection(&schema.name));
        let (database, wanted) = (self.inner.database.clone(), Arc::clone(&schema));
        let (client, namespace) = (self.inner.client.clone(), rows.namespace().to_string());
        let sharded = self.inner.sharded;
        // Building an index may take its time, so there is no deadline.
        let work = async move {
            if sharded {
                shard::check(&client, &namespace, &wanted).await?;
            }
            let steps = plan::of(&database, &wanted, Look::Shape).await?;
            in_line(&database, &wanted, steps, |_| {}).await
        };
        self.run_on(async move { Ok(work.await) }).await??;
        Ok(MongoCollection::new(self.clone(), rows, schema, id))
    }

    async fn transact(&self, writes: Vec<(MongoCollection, Write)>) -> Result<Vec<Option<Row>>, WriteError> {
        transact::run(self, writes).await
    }

    async fn plan(&self, schema: Arc<Schema>) -> Result<Vec<Step>, OpenError> {
        names::check(&schema)?;
        let database = self.inner.database.clone();
        self.run_on(async move { Ok(plan::of(&database, &schema, Look::Rows).await) }).await?
    }

    async fn apply(
        &self,
        schema: Arc<Schema>,
        told: impl Fn(u64) + Send + Sync + 'static,
    ) -> Result<Vec<Step>, OpenError> {
        names::check(&schema)?;
        let database = self.inner.database.clone();
        let work = async move {
            // What was done is not undone, so it is looked first whether all of it can be.
            let steps = plan::of(&database, &schema, Look::Rows).await?;
            if let Some(step) = steps.iter().find(|step| step.safety == Safety::Conflict) {
                return Err(step.refusal().into());
            }
            plan::drop_stale(&database, &schema).await?;
            in_line(&database, &schema, steps, told).await
        };
        self.run_on(async move { Ok(work.await) }).await?
    }

    fn describe(&self) -> String {
        format!("mongodb {}", self.inner.name)
    }

    async fn close(&self) {
        if self.inner.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        self.inner.closing.notify_waiters();
        // A server that hangs shall not hang the shutdown.
        let _ = tokio::time::timeout(self.inner.timeout, self.inner.under_way.write()).await;
        let client = self.inner.client.clone();
        let shutdown = tokio::spawn(async move { client.shutdown().immediate(true).await });
        let _ = tokio::time::timeout(self.inner.timeout, shutdown).await;
    }
}
