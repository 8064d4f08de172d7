//! CRUD on MongoDB: the driver's typed collections, as its documentation shows them.

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use bson::doc;
use futures_util::TryStreamExt;
use mongodb::options::ClientOptions;
use mongodb::{Client, Collection, IndexModel};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Error;
use crate::model::{Address, NewUser, Page, PageQuery, User, created, found, unavailable};
use crate::people::{List, PeopleQuery};

/// A row as the collection keeps it.
#[derive(Serialize, Deserialize)]
struct Stored {
    _id: bson::Uuid,
    _v: i64,
    name: String,
    email: String,
    age: i64,
    active: bool,
    score: f64,
    tags: Vec<String>,
    address: Address,
}

impl Stored {
    fn new(user: &User, version: i64) -> Self {
        Self {
            _id: stored_id(user.id),
            _v: version,
            name: user.name.clone(),
            email: user.email.clone(),
            age: user.age,
            active: user.active,
            score: user.score,
            tags: user.tags.clone(),
            address: user.address.clone(),
        }
    }

    fn into_row(self) -> (User, i64) {
        let Self { _id, _v, name, email, age, active, score, tags, address } = self;
        (User { id: Uuid::from_bytes(_id.bytes()), name, email, age, active, score, tags, address }, _v)
    }
}

fn stored_id(id: Uuid) -> bson::Uuid {
    bson::Uuid::from_bytes(id.into_bytes())
}

#[derive(Clone)]
struct Store {
    users: Collection<Stored>,
    people: Collection<Stored>,
}

type Stores = State<Store>;

pub async fn router(uri: &str) -> Result<Router, Error> {
    let mut options = ClientOptions::parse(uri).await?;
    // The default of 10 would queue requests that Ziggurat's pool of 100 does not.
    options.max_pool_size = Some(100);
    let client = Client::with_options(options)?;
    let database = client.default_database().ok_or("the URI names no database")?;
    let store = Store { users: database.collection("user"), people: database.collection("person") };
    store.people.create_index(IndexModel::builder().keys(doc! {"age": 1, "_id": 1}).build()).await?;
    Ok(Router::new()
        .route("/user", get(list).post(create))
        .route("/user/{id}", get(one))
        .route("/person", get(people))
        .with_state(store))
}

async fn one(State(store): Stores, Path(id): Path<Uuid>) -> Response {
    match store.users.find_one(doc! {"_id": stored_id(id)}).await {
        Ok(row) => found(row.map(Stored::into_row)),
        Err(error) => unavailable(error),
    }
}

async fn list(State(store): Stores, Query(query): Query<PageQuery>) -> Response {
    let (limit, after) = query.bounds();
    let filter = if after.is_nil() {
        doc! {}
    } else {
        doc! {"_id": {"$gt": stored_id(after)}}
    };
    let rows =
        async { store.users.find(filter).sort(doc! {"_id": 1}).limit(limit + 1).await?.try_collect::<Vec<_>>().await };
    match rows.await {
        Ok(rows) => Json(Page::new(rows.into_iter().map(|row| row.into_row().0).collect(), limit)).into_response(),
        Err(error) => unavailable(error),
    }
}

async fn people(State(store): Stores, Query(query): Query<PeopleQuery>) -> Response {
    let Some(list) = query.list() else { return StatusCode::BAD_REQUEST.into_response() };
    let (filter, sort, limit) = match &list {
        List::Active { active, after, limit } => {
            let mut filter = doc! {"active": active};
            if !after.is_nil() {
                filter.insert("_id", doc! {"$gt": stored_id(*after)});
            }
            (filter, doc! {"_id": 1}, *limit)
        }
        List::FromAge { age, after, limit } => {
            let filter = if after.is_nil() {
                doc! {"age": {"$gte": age}}
            } else {
                doc! {"$or": [{"age": {"$gt": age}}, {"age": age, "_id": {"$gt": stored_id(*after)}}]}
            };
            (filter, doc! {"age": 1, "_id": 1}, *limit)
        }
    };
    let rows = async { store.people.find(filter).sort(sort).limit(limit + 1).await?.try_collect::<Vec<_>>().await };
    match rows.await {
        Ok(rows) => Json(list.page(rows.into_iter().map(|row| row.into_row().0).collect())).into_response(),
        Err(error) => unavailable(error),
    }
}

async fn create(State(store): Stores, Json(new): Json<NewUser>) -> Response {
    let Some((user, version)) = new.into_row() else {
        return StatusCode::UNPROCESSABLE_ENTITY.into_response();
    };
    match store.users.insert_one(Stored::new(&user, version)).await {
        Ok(_) => created(user, version),
        Err(error) => unavailable(error),
    }
}
