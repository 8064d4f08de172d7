//! The rows of the CRUD workloads, and the answers about them that both stores share.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Address {
    pub street: String,
    pub city: String,
}

/// What a client sends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    pub name: String,
    pub email: String,
    pub age: i64,
    #[serde(default = "yes")]
    pub active: bool,
    #[serde(default)]
    pub score: f64,
    #[serde(default)]
    pub tags: Vec<String>,
    pub address: Address,
}

fn yes() -> bool {
    true
}

impl NewUser {
    fn is_valid(&self) -> bool {
        (1..=100).contains(&self.name.chars().count())
            && self.email.chars().count() <= 200
            && (0..=150).contains(&self.age)
    }

    /// A row with an id and a version of its own.
    pub fn into_row(self) -> Option<(User, i64)> {
        if !self.is_valid() {
            return None;
        }
        let version = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_micros() as i64);
        let Self { name, email, age, active, score, tags, address } = self;
        Some((User { id: Uuid::now_v7(), name, email, age, active, score, tags, address }, version))
    }
}

/// What a client gets.
#[derive(Serialize)]
pub struct User {
    pub id: Uuid,
    pub name: String,
    pub email: String,
    pub age: i64,
    pub active: bool,
    pub score: f64,
    pub tags: Vec<String>,
    pub address: Address,
}

#[derive(Serialize)]
pub struct Page {
    items: Vec<User>,
    next: Option<String>,
}

impl Page {
    /// A page of `limit` rows out of up to one more, which only tells that there is a next page.
    pub fn new(items: Vec<User>, limit: i64) -> Self {
        Self::with_cursor(items, limit, |last| last.id.simple().to_string())
    }

    /// The same in another order, with what leads from its last row to the next page.
    pub fn with_cursor(mut items: Vec<User>, limit: i64, cursor: impl FnOnce(&User) -> String) -> Self {
        let more = items.len() as i64 > limit;
        items.truncate(limit as usize);
        let next = items.last().filter(|_| more).map(cursor);
        Self { items, next }
    }
}

#[derive(Deserialize)]
pub struct PageQuery {
    #[serde(default = "fifty")]
    limit: i64,
    cursor: Option<Uuid>,
}

pub fn fifty() -> i64 {
    50
}

impl PageQuery {
    /// The limit and the id after which the page begins.
    pub fn bounds(&self) -> (i64, Uuid) {
        (self.limit.clamp(1, 1000), self.cursor.unwrap_or(Uuid::nil()))
    }
}

fn etag(version: i64) -> String {
    format!("\"{version}\"")
}

pub fn found(row: Option<(User, i64)>) -> Response {
    match row {
        Some((user, version)) => ([(header::ETAG, etag(version))], Json(user)).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

pub fn created(user: User, version: i64) -> Response {
    let headers = [(header::LOCATION, format!("/user/{}", user.id)), (header::ETAG, etag(version))];
    (StatusCode::CREATED, headers, Json(user)).into_response()
}

/// The store did not answer.
pub fn unavailable(error: impl std::fmt::Display) -> Response {
    eprintln!("store: {error}");
    StatusCode::SERVICE_UNAVAILABLE.into_response()
}
