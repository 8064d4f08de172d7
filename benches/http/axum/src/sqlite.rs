//! CRUD on SQLite: one writer and a few readers, each call on a blocking thread, statements prepared once.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use crate::Error;
use crate::model::{Address, NewUser, Page, PageQuery, User, created, found, unavailable};
use crate::people::{List, PeopleQuery};

const TABLES: &str = "CREATE TABLE IF NOT EXISTS user(
    id BLOB PRIMARY KEY, v INTEGER NOT NULL, name TEXT NOT NULL, email TEXT NOT NULL, age INTEGER NOT NULL,
    active INTEGER NOT NULL, score REAL NOT NULL, tags TEXT NOT NULL, street TEXT NOT NULL, city TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS person(
    id BLOB PRIMARY KEY, v INTEGER NOT NULL, name TEXT NOT NULL, email TEXT NOT NULL, age INTEGER NOT NULL,
    active INTEGER NOT NULL, score REAL NOT NULL, tags TEXT NOT NULL, street TEXT NOT NULL, city TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS person_age ON person(age, id);";
const INSERT: &str = "INSERT INTO user(id, v, name, email, age, active, score, tags, street, city)
    VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
const ONE: &str = "SELECT id, v, name, email, age, active, score, tags, street, city FROM user WHERE id = ?1";
const LIST: &str = "SELECT id, v, name, email, age, active, score, tags, street, city FROM user WHERE id > ?1
    ORDER BY id LIMIT ?2";

const INSERT_PERSON: &str = "INSERT INTO person(id, v, name, email, age, active, score, tags, street, city)
    VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
const ACTIVE: &str = "SELECT id, v, name, email, age, active, score, tags, street, city FROM person
    WHERE active = ?1 AND id > ?2 ORDER BY id LIMIT ?3";
// No id is nil, so after `(age, nil)` comes everybody of that age.
const FROM_AGE: &str = "SELECT id, v, name, email, age, active, score, tags, street, city FROM person
    WHERE (age, id) > (?1, ?2) ORDER BY age, id LIMIT ?3";

struct Database {
    file: String,
    writer: Mutex<Connection>,
    readers: Mutex<Vec<Connection>>,
}

fn open(file: &str) -> rusqlite::Result<Connection> {
    let connection = Connection::open(file)?;
    // The durability that Ziggurat promises by default: an acknowledged write is on disk.
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000;
         PRAGMA cache_size = -16384; PRAGMA mmap_size = 268435456; PRAGMA temp_store = MEMORY;",
    )?;
    Ok(connection)
}

impl Database {
    fn read<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        let idle = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = idle.map_or_else(|| open(&self.file), Ok)?;
        let result = read(&connection);
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < 8 {
            readers.push(connection);
        }
        result
    }
}

fn row(row: &Row<'_>) -> rusqlite::Result<(User, i64)> {
    let tags = serde_json::from_str(row.get_ref(7)?.as_str()?).unwrap_or_default();
    let user = User {
        id: Uuid::from_bytes(row.get(0)?),
        name: row.get(2)?,
        email: row.get(3)?,
        age: row.get(4)?,
        active: row.get(5)?,
        score: row.get(6)?,
        tags,
        address: Address { street: row.get(8)?, city: row.get(9)? },
    };
    Ok((user, row.get(1)?))
}

type Users = State<Arc<Database>>;

pub fn router(file: &str) -> Result<Router, Error> {
    let writer = open(file)?;
    writer.execute_batch(TABLES)?;
    let database = Database { file: file.to_owned(), writer: Mutex::new(writer), readers: Mutex::default() };
    Ok(Router::new()
        .route("/user", get(list).post(create))
        .route("/user/{id}", get(one))
        .route("/person", get(people).post(create_people))
        .with_state(Arc::new(database)))
}

/// Runs `work` where it may block, and answers for it when it fails.
async fn blocking(work: impl FnOnce() -> rusqlite::Result<Response> + Send + 'static) -> Response {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => unavailable(error),
        Err(error) => unavailable(error),
    }
}

async fn one(State(users): Users, Path(id): Path<Uuid>) -> Response {
    blocking(move || users.read(|db| Ok(found(db.prepare_cached(ONE)?.query_row([id.as_bytes()], row).optional()?))))
        .await
}

async fn list(State(users): Users, Query(query): Query<PageQuery>) -> Response {
    let (limit, after) = query.bounds();
    blocking(move || {
        users.read(|db| {
            let mut statement = db.prepare_cached(LIST)?;
            let rows = statement.query_map(params![after.as_bytes(), limit + 1], |r| Ok(row(r)?.0))?;
            Ok(Json(Page::new(rows.collect::<rusqlite::Result<_>>()?, limit)).into_response())
        })
    })
    .await
}

async fn create(State(users): Users, Json(new): Json<NewUser>) -> Response {
    let Some((user, version)) = new.into_row() else {
        return StatusCode::UNPROCESSABLE_ENTITY.into_response();
    };
    blocking(move || {
        let writer = users.writer.lock().unwrap_or_else(PoisonError::into_inner);
        insert(&writer, INSERT, &user, version)?;
        drop(writer);
        Ok(created(user, version))
    })
    .await
}

fn insert(writer: &Connection, statement: &str, user: &User, version: i64) -> rusqlite::Result<()> {
    let tags = serde_json::to_string(&user.tags).unwrap_or_default();
    writer.prepare_cached(statement)?.execute(params![
        user.id.as_bytes(),
        version,
        user.name,
        user.email,
        user.age,
        user.active,
        user.score,
        tags,
        user.address.street,
        user.address.city,
    ])?;
    Ok(())
}

async fn people(State(users): Users, Query(query): Query<PeopleQuery>) -> Response {
    let Some(list) = query.list() else { return StatusCode::BAD_REQUEST.into_response() };
    blocking(move || {
        users.read(|db| {
            let found = |r: &Row<'_>| Ok(row(r)?.0);
            let rows = match &list {
                List::Active { active, after, limit } => db
                    .prepare_cached(ACTIVE)?
                    .query_map(params![active, after.as_bytes(), limit + 1], found)?
                    .collect::<rusqlite::Result<_>>()?,
                List::FromAge { age, after, limit } => db
                    .prepare_cached(FROM_AGE)?
                    .query_map(params![age, after.as_bytes(), limit + 1], found)?
                    .collect::<rusqlite::Result<_>>()?,
            };
            Ok(Json(list.page(rows)).into_response())
        })
    })
    .await
}

/// Adds all of them or none.
async fn create_people(State(users): Users, Json(new): Json<Vec<NewUser>>) -> Response {
    let Some(rows) = new.into_iter().map(NewUser::into_row).collect::<Option<Vec<_>>>() else {
        return StatusCode::UNPROCESSABLE_ENTITY.into_response();
    };
    blocking(move || {
        let mut writer = users.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = writer.transaction()?;
        for (user, version) in &rows {
            insert(&transaction, INSERT_PERSON, user, *version)?;
        }
        transaction.commit()?;
        Ok(StatusCode::CREATED.into_response())
    })
    .await
}
