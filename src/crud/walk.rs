//! All rows that hold, page by page.

use super::store::StoreError;
use super::{Collection, Page, Query};

/// A walk over the rows of a query.
///
/// Each page is read when it is asked for, so memory stays flat and no transaction stays open. Pages follow one another by key: rows
/// that are written meanwhile are seen as they were or as they became, and one comes twice only if a write moves it on in the order.
#[derive(Debug)]
pub struct Walk<C> {
    collection: C,
    query: Query,
    page: usize,
    /// Rows that are still wanted; 0 at the end.
    left: usize,
}

impl<C: Collection> Walk<C> {
    /// Over the rows of `query`, whose limit is that of the whole, with at most `page` of them at once.
    pub const fn new(collection: C, query: Query, page: usize) -> Self {
        let left = query.limit;
        Self { collection, query, page, left }
    }

    /// The next rows, and none at the end.
    ///
    /// # Errors
    /// When the store fails. Asking again asks for the same rows.
    pub async fn next(&mut self) -> Result<Option<Page>, StoreError> {
        if self.is_over() {
            return Ok(None);
        }
        self.query.limit = self.left.min(self.page);
        let mut page = self.collection.list(self.query.clone()).await?;
        self.query.offset = 0;
        self.query.after = page.next.take();
        self.left = if self.query.after.is_some() { self.left - page.versions.len() } else { 0 };
        Ok(Some(page))
    }

    /// Whether no rows are left.
    pub const fn is_over(&self) -> bool {
        self.left == 0
    }
}
