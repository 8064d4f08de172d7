//! The layers: alone with a mock inside, in bare hyper, in an Axum router, and as data.
#![cfg(feature = "layers")]
#![allow(unreachable_pub)] // Modules of a test binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // Helpers outside of test functions fail the test too.

mod alone;
mod api_key;
mod basic;
mod body_limit;
mod cache;
mod cache_asked;
mod cache_flights;
mod cache_races;
mod cache_told;
mod client_ip;
mod compression;
mod cors;
mod csrf;
mod decompression;
mod etag;
mod examples;
mod extract;
mod foreign;
mod guard;
mod health_check;
mod jwks;
mod jwt;
mod jwt_keys;
mod jwt_memory;
mod jwt_places;
mod jwt_signer;
mod load_shed;
mod metrics;
mod metrics_read;
mod normalize_path;
mod otel;
mod otel_export;
mod passwords;
mod provider;
mod rate_limit;
#[cfg(all(feature = "redis", feature = "sqlite"))]
mod rate_limit_redis;
#[cfg(feature = "sqlite")]
mod rate_limit_shared;
mod redirect;
#[cfg(all(feature = "redis", feature = "sqlite"))]
#[path = "../support/redis.rs"]
mod redis;
mod security_headers;
mod spec;
mod static_files;
mod static_links;
mod static_sent;
mod support;
mod timeout;
mod timeout_socket;
mod trace;
