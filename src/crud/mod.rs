//! Is answered natively: create, read, update and delete over a typed model.
//!
//! A [`Schema`] is compiled once at start-up. Per request the body becomes a typed [`Value`], the query string a
//! [`Query`], and a [`Collection`] of a [`Store`] answers with JSON bytes.

pub mod json;
pub mod query;
pub mod schema;
pub mod store;
mod value;

pub use query::{Comparison, Expr, Query, Sort};
pub use schema::Schema;
pub use store::{Collection, Page, Row, Store, StoreError};
pub use value::Value;
