//! The HTTP contract of native CRUD: the real service over a real store, called as a service.
#![cfg(feature = "sqlite")]
#![allow(unreachable_pub)] // Modules of a test binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // Helpers outside of test functions fail the test too.

mod access;
mod bodies;
mod changes;
#[cfg(all(feature = "layers", feature = "server"))]
mod compose;
mod conditions;
mod deletion;
mod export;
mod failures;
#[cfg(all(feature = "server", target_os = "linux"))]
mod full;
mod groups;
mod hooks;
mod idempotency;
mod imports;
#[cfg(all(feature = "mongodb", feature = "server"))]
mod injection;
mod items;
mod lists;
mod many;
#[cfg(all(feature = "mongodb", feature = "server"))]
#[path = "../support/mongo.rs"]
mod mongo;
mod mounting;
mod narrowed;
mod options;
#[cfg(all(feature = "mongodb", feature = "server"))]
mod outage;
mod policies;
mod queries;
mod recursive;
#[cfg(all(feature = "mongodb", feature = "server"))]
mod shards;
#[cfg(feature = "server")]
mod socket;
mod support;
mod unions;
#[cfg(all(feature = "mongodb", feature = "server"))]
#[path = "../support/wire.rs"]
mod wire;
