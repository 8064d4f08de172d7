//! A collection that keeps nothing: what a write costs before the store.

use bytes::Bytes;
use ziggurat::crud::query::Grouping;
use ziggurat::crud::store::{ChangesError, Key, Once, Write, WriteError};
use ziggurat::crud::{
    Changes, Collection, Expect, Expr, Groups, Many, OpenError, Outcome, Page, Query, Row, RowError, StoreError, Value,
};

#[derive(Clone)]
pub(crate) struct Nowhere;

fn nothing() -> StoreError {
    StoreError::Internal("nothing is kept here".into())
}

impl Collection for Nowhere {
    async fn insert(&self, document: Value<'static>) -> Result<Row, StoreError> {
        drop(std::hint::black_box(document));
        Ok(Row { version: 1, json: Bytes::new() })
    }

    async fn get(&self, _: Value<'static>, _: Expr) -> Result<Option<Row>, StoreError> {
        Err(nothing())
    }

    async fn list(&self, _: Query) -> Result<Page, StoreError> {
        Err(nothing())
    }

    async fn count(&self, _: Expr) -> Result<u64, StoreError> {
        Err(nothing())
    }

    async fn estimate(&self) -> Result<u64, StoreError> {
        Err(nothing())
    }

    async fn group(&self, _: Grouping) -> Result<Groups, StoreError> {
        Err(nothing())
    }

    async fn insert_all(&self, _: Vec<Value<'static>>) -> Result<Vec<Row>, RowError> {
        Err(nothing().into())
    }

    async fn import(&self, _: Vec<(Value<'static>, i64)>) -> Result<(), RowError> {
        Err(nothing().into())
    }

    async fn keep_keys(&self) -> Result<(), OpenError> {
        Err(nothing().into())
    }

    async fn recall(&self, _: Key) -> Result<Option<Once>, StoreError> {
        Err(nothing())
    }

    async fn once(&self, _: Vec<Write>, _: Key) -> Result<Once, WriteError> {
        Err(nothing().into())
    }

    fn has_transactions(&self) -> bool {
        false
    }

    async fn replace(&self, _: Value<'static>, _: Expect) -> Result<Outcome<Row>, StoreError> {
        Err(nothing())
    }

    async fn update(
        &self,
        _: Value<'static>,
        _: Vec<(usize, Value<'static>)>,
        _: Expect,
    ) -> Result<Outcome<Row>, StoreError> {
        Err(nothing())
    }

    async fn delete(&self, _: Value<'static>, _: Expect) -> Result<Outcome<()>, StoreError> {
        Err(nothing())
    }

    async fn update_all(&self, _: Expr, _: Vec<(usize, Value<'static>)>, _: u64) -> Result<Many, StoreError> {
        Err(nothing())
    }

    async fn delete_all(&self, _: Expr, _: u64) -> Result<Many, StoreError> {
        Err(nothing())
    }

    async fn keep_changes(&self) -> Result<(), OpenError> {
        Err(nothing().into())
    }

    async fn changes(&self, _: Option<String>) -> Result<Changes, ChangesError> {
        Err(nothing().into())
    }
}
