//! The conformance suite of the stores: each promise is told once, of any store, and held against all of them.
#![cfg(all(feature = "sqlite", feature = "mongodb"))]
#![allow(unreachable_pub)] // Modules of a test binary.

mod any;
mod kill;
mod mongo;
mod promises;
mod rows;
mod sqlite;
#[path = "../support/mongo.rs"]
mod support;
