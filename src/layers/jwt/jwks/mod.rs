//! Keys that are fetched from where an issuer publishes them.

mod cache;
mod fetch;
mod source;

pub(super) use cache::Cache;
pub use source::Jwks;
