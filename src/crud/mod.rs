//! Is answered natively: create, read, update and delete over a typed model.
//!
//! A [`Schema`] is compiled once at start-up. Per request the body becomes a typed [`Value`], the query string a
//! [`Query`], and a [`Collection`] of a [`Store`] answers with JSON bytes.

mod copy;
mod decimal;
mod deletion;
mod etag;
mod expand;
mod feed;
mod hooks;
pub mod json;
mod memo;
mod op;
mod openapi;
mod ops;
mod options;
mod policy;
pub mod query;
mod resource;
mod rows;
pub mod schema;
mod service;
mod shard;
pub mod store;
mod told;
mod value;
mod walk;

pub use copy::{CopyError, copy_rows};
pub use decimal::{Decimal, NotDecimal};
pub use expand::References;
pub use hooks::Event;
pub use op::Op;
pub use openapi::{openapi, openapi_of};
pub use options::{Coerce, Concurrency, ReadFrom, ResourceOptions, Unindexed};
pub use policy::{Operand, Policy, Rule};
pub use query::{Comparison, Expr, Path, Pattern, Query, Sort};
pub use resource::Resource;
pub use rows::{Rows, RowsError};
pub use schema::Schema;
pub use store::{
    Change, Changes, ChangesError, Collection, Expect, Groups, Many, OpenError, Outcome, Page, Row, RowError, Store,
    StoreError,
};
pub use value::Value;
pub use walk::Walk;
