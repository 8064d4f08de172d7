//! Stores of types that this crate does not know.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::{
    Changes, ChangesError, Collection, Expect, Groups, Key, Many, Once, OpenError, Outcome, Page, Row, RowError, Step,
    Store, StoreError, Write, WriteError,
};
use crate::crud::query::Grouping;
use crate::crud::{Expr, Query, ReadFrom, Schema, Value};
use crate::service::stopwatch::in_store;

/// Any store, whose type is not told. Each operation costs one box for its future.
#[derive(Clone)]
pub struct DynStore(Arc<dyn StoreObject>);

/// A collection of a [`DynStore`].
#[derive(Clone)]
pub struct DynCollection(Arc<dyn CollectionObject>);

type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl DynStore {
    pub(super) fn new(store: impl Store) -> Self {
        Self(Arc::new(store))
    }

    /// Whether they are the same.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for DynStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DynStore").field(&self.0.describe()).finish()
    }
}

impl fmt::Debug for DynCollection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DynCollection")
    }
}

/// [`Store`] without what no object can have.
trait StoreObject: Send + Sync {
    fn open(&self, schema: Arc<Schema>) -> Later<'_, Result<DynCollection, OpenError>>;
    fn transact(&self, writes: Vec<(DynCollection, Write)>) -> Later<'_, Result<Vec<Option<Row>>, WriteError>>;
    fn plan(&self, schema: Arc<Schema>) -> Later<'_, Result<Vec<Step>, OpenError>>;
    fn apply(&self, schema: Arc<Schema>, told: Told) -> Later<'_, Result<Vec<Step>, OpenError>>;
    fn describe(&self) -> String;
    fn close(&self) -> Later<'_, ()>;
}

type Told = Box<dyn Fn(u64) + Send + Sync>;

impl<S: Store> StoreObject for S {
    fn open(&self, schema: Arc<Schema>) -> Later<'_, Result<DynCollection, OpenError>> {
        Box::pin(async { Ok(DynCollection(Arc::new(Store::open(self, schema).await?))) })
    }

    fn transact(&self, writes: Vec<(DynCollection, Write)>) -> Later<'_, Result<Vec<Option<Row>>, WriteError>> {
        let own = |(collection, write): (DynCollection, Write)| {
            let own = collection.0.as_any().downcast_ref::<S::Collection>()?;
            Some((own.clone(), write))
        };
        let writes: Option<Vec<_>> = writes.into_iter().map(own).collect();
        Box::pin(async {
            match writes {
                Some(writes) => Store::transact(self, writes).await,
                None => Err(StoreError::foreign().into()),
            }
        })
    }

    fn plan(&self, schema: Arc<Schema>) -> Later<'_, Result<Vec<Step>, OpenError>> {
        Box::pin(Store::plan(self, schema))
    }

    fn apply(&self, schema: Arc<Schema>, told: Told) -> Later<'_, Result<Vec<Step>, OpenError>> {
        Box::pin(Store::apply(self, schema, told))
    }

    fn describe(&self) -> String {
        Store::describe(self)
    }

    fn close(&self) -> Later<'_, ()> {
        Box::pin(Store::close(self))
    }
}

impl Store for DynStore {
    type Collection = DynCollection;

    async fn open(&self, schema: Arc<Schema>) -> Result<DynCollection, OpenError> {
        self.0.open(schema).await
    }

    async fn transact(&self, writes: Vec<(DynCollection, Write)>) -> Result<Vec<Option<Row>>, WriteError> {
        self.0.transact(writes).await
    }

    async fn plan(&self, schema: Arc<Schema>) -> Result<Vec<Step>, OpenError> {
        self.0.plan(schema).await
    }

    async fn apply(
        &self,
        schema: Arc<Schema>,
        told: impl Fn(u64) + Send + Sync + 'static,
    ) -> Result<Vec<Step>, OpenError> {
        self.0.apply(schema, Box::new(told)).await
    }

    fn describe(&self) -> String {
        self.0.describe()
    }

    async fn close(&self) {
        self.0.close().await;
    }
}

/// [`Collection`] as an object, and back: each method is named once.
macro_rules! collections {
    ($(fn $name:ident($($argument:ident: $kind:ty),*) -> $out:ty;)*) => {
        trait CollectionObject: Send + Sync {
            fn reading_from(&self, members: ReadFrom) -> DynCollection;
            fn writes(&self) -> Option<u64>;
            fn has_transactions(&self) -> bool;
            fn as_any(&self) -> &dyn Any;
            $(fn $name(&self, $($argument: $kind),*) -> Later<'_, $out>;)*
        }

        impl<C: Collection> CollectionObject for C {
            fn reading_from(&self, members: ReadFrom) -> DynCollection {
                DynCollection(Arc::new(Collection::reading_from(self, members)))
            }

            fn writes(&self) -> Option<u64> {
                Collection::writes(self)
            }

            fn has_transactions(&self) -> bool {
                Collection::has_transactions(self)
            }

            fn as_any(&self) -> &dyn Any {
                self
            }

            $(fn $name(&self, $($argument: $kind),*) -> Later<'_, $out> {
                Box::pin(Collection::$name(self, $($argument),*))
            })*
        }

        impl Collection for DynCollection {
            fn reading_from(&self, members: ReadFrom) -> Self {
                self.0.reading_from(members)
            }

            fn writes(&self) -> Option<u64> {
                self.0.writes()
            }

            fn has_transactions(&self) -> bool {
                self.0.has_transactions()
            }

            $(async fn $name(&self, $($argument: $kind),*) -> $out {
                in_store(self.0.$name($($argument),*)).await
            })*
        }
    };
}

collections! {
    fn get(id: Value<'static>, only: Expr) -> Result<Option<Row>, StoreError>;
    fn list(query: Query) -> Result<Page, StoreError>;
    fn count(filter: Expr) -> Result<u64, StoreError>;
    fn estimate() -> Result<u64, StoreError>;
    fn group(grouping: Grouping) -> Result<Groups, StoreError>;
    fn insert(document: Value<'static>) -> Result<Row, StoreError>;
    fn insert_all(documents: Vec<Value<'static>>) -> Result<Vec<Row>, RowError>;
    fn import(rows: Vec<(Value<'static>, i64)>) -> Result<(), RowError>;
    fn keep_keys() -> Result<(), OpenError>;
    fn recall(key: Key) -> Result<Option<Once>, StoreError>;
    fn once(writes: Vec<Write>, key: Key) -> Result<Once, WriteError>;
    fn replace(document: Value<'static>, expect: Expect) -> Result<Outcome<Row>, StoreError>;
    fn update(id: Value<'static>, changes: Vec<(usize, Value<'static>)>, expect: Expect) -> Result<Outcome<Row>, StoreError>;
    fn delete(id: Value<'static>, expect: Expect) -> Result<Outcome<()>, StoreError>;
    fn update_all(filter: Expr, changes: Vec<(usize, Value<'static>)>, most: u64) -> Result<Many, StoreError>;
    fn delete_all(filter: Expr, most: u64) -> Result<Many, StoreError>;
    fn keep_changes() -> Result<(), OpenError>;
    fn changes(after: Option<String>) -> Result<Changes, ChangesError>;
}
