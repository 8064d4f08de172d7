//! The operations, one to a file, and how they read requests and word answers.

pub(super) mod changes;
pub(super) mod count;
pub(super) mod create;
mod create_many;
pub(super) mod delete;
pub(super) mod export;
pub(super) mod get;
pub(super) mod group;
pub(super) mod idempotency;
pub(super) mod import;
pub(super) mod list;
pub(super) mod many;
pub(super) mod patch;
pub(super) mod replace;
pub(super) mod restore;

pub(super) mod answer;
mod body;
mod lines;
mod prefer;
mod rewrite;
