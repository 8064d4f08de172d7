//! The conformance suite of the stores: each promise is told once, of any store, and held against all of them.
#![cfg(all(feature = "sqlite", feature = "mongodb"))]
// Modules of a test binary; what fails in them is a failed test.
#![allow(unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod any;
mod kill;
mod memory;
mod mongo;
mod plan;
mod promises;
mod rows;
mod shards;
mod sqlite;
#[path = "../support/mongo.rs"]
mod support;
#[path = "../support/wire.rs"]
mod wire;
