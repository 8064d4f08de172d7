//! The layers: alone with a mock inside, in bare hyper, in an Axum router, and as data.
#![cfg(feature = "layers")]
#![allow(unreachable_pub)] // Modules of a test binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // Helpers outside of test functions fail the test too.

mod alone;
mod api_key;
mod basic;
mod body_limit;
mod client_ip;
mod compression;
mod cors;
mod csrf;
mod decompression;
mod etag;
mod examples;
mod foreign;
mod guard;
mod health_check;
mod jwks;
mod jwt;
mod jwt_keys;
mod jwt_memory;
mod jwt_places;
mod load_shed;
mod metrics;
mod metrics_read;
mod normalize_path;
mod provider;
mod rate_limit;
mod redirect;
mod security_headers;
mod spec;
mod support;
mod trace;
