//! All rows of a model from one store to another, as they are.

use std::fmt;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::schema::validate;
use super::store::{RowError, StoreError};
use super::{Collection, Expr, Page, Query, Schema, Sort, Value, Walk};

/// Rows that are copied at once.
const PAGE: usize = 500;

/// Copies the rows of `schema`, those that are marked as deleted too, with their ids, versions and times, and compares both sides
/// afterwards. `copied` is told how many there are so far. Neither store may be written to by others meanwhile.
///
/// # Errors
/// When `to` holds rows already, a store fails, or both sides differ in the end. What was copied until then stays.
pub async fn copy_rows(
    schema: &Arc<Schema>,
    from: &impl Collection,
    to: &impl Collection,
    mut copied: impl FnMut(u64),
) -> Result<u64, CopyError> {
    let there = to.count(Expr::True).await?;
    if there > 0 {
        return Err(CopyError::NotEmpty(there));
    }
    let mut count = 0;
    let mut walk = all(schema, from)?;
    while let Some(page) = walk.next().await? {
        let rows = rows(schema, &page)?;
        count += rows.len() as u64;
        to.import(rows).await?;
        copied(count);
    }
    let (mut left, mut right) = (all(schema, from)?, all(schema, to)?);
    loop {
        let (page, copy) = (left.next().await?, right.next().await?);
        let rows = |page: &Option<Page>| page.as_ref().map(|page| (page.items.clone(), page.versions.clone()));
        if rows(&page) != rows(&copy) {
            return Err(CopyError::Differs);
        }
        if page.is_none() {
            return Ok(count);
        }
    }
}

/// All rows in the order of their ids, which is the same in every store.
fn all<C: Collection>(schema: &Schema, rows: &C) -> Result<Walk<C>, CopyError> {
    let sort = Sort::total(schema, &[]).map_err(|error| CopyError::Store(StoreError::Internal(error.into())))?;
    let query = Query { filter: Expr::True, sort, limit: i64::MAX as usize, offset: 0, after: None };
    Ok(Walk::new(rows.clone(), query, PAGE))
}

/// The rows of a page and their versions.
fn rows(schema: &Schema, page: &Page) -> Result<Vec<(Value<'static>, i64)>, CopyError> {
    let array = [b"[", &page.items[..], b"]"].concat();
    let items: Vec<&RawValue> =
        serde_json::from_slice(&array).map_err(|error| CopyError::Store(StoreError::Internal(error.into())))?;
    let row = |(item, version): (&RawValue, &i64)| {
        let values = validate::stored(schema, item.get().as_bytes()).map_err(|rejection| {
            CopyError::Store(StoreError::Internal(format!("a stored row does not fit the model: {rejection}").into()))
        })?;
        Ok((Value::Object(values.into_iter().map(Value::into_owned).collect()), *version))
    };
    items.into_iter().zip(&page.versions).map(row).collect()
}

/// Why rows were not copied.
#[derive(Debug)]
#[non_exhaustive]
pub enum CopyError {
    /// The target holds so many rows already.
    NotEmpty(u64),
    /// Both sides hold different rows.
    Differs,
    /// A store failed.
    Store(StoreError),
}

impl fmt::Display for CopyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotEmpty(count) => write!(f, "the target holds {count} rows already; copy into an empty store"),
            Self::Differs => f.write_str("both sides hold different rows; nobody may write to them meanwhile"),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CopyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(error) => Some(error),
            _ => None,
        }
    }
}

impl From<StoreError> for CopyError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<RowError> for CopyError {
    fn from(refused: RowError) -> Self {
        Self::Store(refused.error)
    }
}
