//! `POST /user` with an array: all rows or none, or each by itself with `Prefer: handling=lenient` (RFC 7240, 4.4).

use std::io::Write as _;

use bytes::Bytes;
use futures_util::future::join_all;
use http::StatusCode;
use http::header::HeaderValue;
use http::request::Parts;
use serde_json::value::RawValue;

use super::idempotency::{self, Begun, Taken, Written};
use super::{answer, create, prefer};
use crate::crud::policy::Admission;
use crate::crud::query::Shown;
use crate::crud::service::Served;
use crate::crud::{Collection, Op, Row, Value, etag, json};
use crate::service::{Limit, Location, Problem, Violation, position};
use crate::{Body, Response};

/// Rows in one array.
const MOST_ROWS: usize = 1000;
/// Violations that are told.
const MOST_VIOLATIONS: usize = 100;
/// Rows that are added at once when each stands for itself.
const AT_ONCE: usize = 32;

pub(super) async fn create_many<C: Collection>(
    served: &Served<C>,
    parts: &Parts,
    admission: &Admission,
    bytes: Bytes,
) -> Result<Response, Problem> {
    if prefer::lenient(&parts.headers) {
        idempotency::check_each(served, &parts.headers)?;
        return each(served, parts, read(served, admission, &bytes)?).await;
    }
    match idempotency::begin(served, parts, &bytes).await? {
        Begun::First(key) => all(served, parts, read(served, admission, &bytes)?, key).await,
        Begun::Again(rows) => again(served, parts, rows),
    }
}

/// A checked row, or what is wrong with it.
type Read = Result<Value<'static>, Problem>;

fn read<C: Collection>(served: &Served<C>, admission: &Admission, bytes: &[u8]) -> Result<Vec<Read>, Problem> {
    let items: Vec<&RawValue> = serde_json::from_slice(bytes).map_err(|error| {
        Problem::bad_request(format!("the body is not JSON: {error}")).not_json(position(bytes, &error))
    })?;
    if items.len() > MOST_ROWS {
        let fault = Violation::new(Location::Pointer(String::new()), "too_long", "has too many items")
            .limit(Limit::Int(MOST_ROWS as i64));
        return Err(Problem::validation(vec![fault]));
    }
    Ok(items.into_iter().map(|item| create::read(served, admission, item.get().as_bytes())).collect())
}

/// All rows or none.
async fn all<C: Collection>(
    served: &Served<C>,
    parts: &Parts,
    read: Vec<Read>,
    key: Option<Taken<'_>>,
) -> Result<Response, Problem> {
    let mut documents = Vec::new();
    let mut wrong = Vec::new();
    for (index, read) in read.into_iter().enumerate() {
        match read {
            Ok(document) => documents.push(document),
            Err(problem) if problem.status() == StatusCode::UNPROCESSABLE_ENTITY => {
                wrong.extend(problem.of_item(index).into_errors());
                if wrong.len() >= MOST_VIOLATIONS {
                    wrong.truncate(MOST_VIOLATIONS);
                    break;
                }
            }
            Err(problem) => return Err(problem),
        }
    }
    if !wrong.is_empty() {
        return Err(Problem::validation(wrong));
    }
    let documents = before(served, parts, documents).await?;
    let rows = match key {
        None => match served.collection.insert_all(documents).await {
            Ok(rows) => rows,
            Err(refused) => return Err(served.problem(refused.error).of_item(refused.index)),
        },
        Some(key) => match key.insert_all(served, documents).await? {
            Written::Now(rows) => rows,
            Written::Before(rows) => return again(served, parts, rows),
        },
    };
    for row in &rows {
        served.after(Op::Create, parts, None, Some(row));
    }
    let rows: Vec<&[u8]> = rows.iter().map(|row| &row.json[..]).collect();
    made(served, parts, rows.join(&b',').into())
}

/// The answer to a request that has come before, and made rows which commas join.
fn again<C: Collection>(served: &Served<C>, parts: &Parts, rows: Row) -> Result<Response, Problem> {
    made(served, parts, rows.json).map(idempotency::replayed)
}

/// The answer that tells of rows, which commas join.
fn made<C: Collection>(served: &Served<C>, parts: &Parts, rows: Bytes) -> Result<Response, Problem> {
    let mut response = if prefer::minimal(&parts.headers) {
        let mut response = Response::new(Body::empty());
        response.headers_mut().insert(prefer::APPLIED, HeaderValue::from_static("return=minimal"));
        response
    } else {
        answer::json(listed(served, &served.show_all(&Shown::All, rows)?))
    };
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}

/// The documents as the hooks want them written, or the refusal of the first that they refuse.
async fn before<C: Collection>(
    served: &Served<C>,
    parts: &Parts,
    documents: Vec<Value<'static>>,
) -> Result<Vec<Value<'static>>, Problem> {
    if !served.hooks.has(Op::Create) {
        return Ok(documents);
    }
    let mut documents = documents.into_iter().peekable();
    let mut passed = Vec::new();
    while documents.peek().is_some() {
        let chunk: Vec<_> = documents.by_ref().take(AT_ONCE).collect();
        let looked_at = join_all(chunk.into_iter().map(|document| served.before(Op::Create, parts, None, document)));
        for document in looked_at.await {
            passed.push(document.map_err(|problem| problem.of_item(passed.len()))?);
        }
    }
    Ok(passed)
}

/// Each row by itself: what became of it stands in its place.
async fn each<C: Collection>(served: &Served<C>, parts: &Parts, read: Vec<Read>) -> Result<Response, Problem> {
    let minimal = prefer::minimal(&parts.headers);
    let mut read = read.into_iter().peekable();
    let mut made = Vec::new();
    while read.peek().is_some() {
        // The future of each chunk is made before it is waited for, so that none holds on to the iterator.
        let chunk: Vec<_> = read.by_ref().take(AT_ONCE).map(|read| add(served, parts, read)).collect();
        made.extend(join_all(chunk).await);
    }
    let mut items = Vec::new();
    for made in made {
        if !items.is_empty() {
            items.push(b',');
        }
        match made {
            Ok((row, location)) => write_made(&mut items, &row, location, minimal),
            Err(problem) => {
                let (status, document) = served.told(&problem);
                // Writing to memory cannot fail.
                let _ = write!(items, "{{\"status\":{},\"problem\":", status.as_u16());
                items.extend_from_slice(&document);
                items.push(b'}');
            }
        }
    }
    let mut response = answer::json(listed(served, &items));
    *response.status_mut() = StatusCode::MULTI_STATUS;
    response.headers_mut().insert(prefer::APPLIED, HeaderValue::from_static("handling=lenient"));
    Ok(response)
}

async fn add<C: Collection>(
    served: &Served<C>,
    parts: &Parts,
    read: Read,
) -> Result<(Row, Option<HeaderValue>), Problem> {
    let document = served.before(Op::Create, parts, None, read?).await?;
    let location = match &document {
        Value::Object(values) => create::location(&parts.uri, &values[served.id]),
        _ => None,
    };
    let row = served.done(served.collection.insert(document).await)?;
    served.after(Op::Create, parts, None, Some(&row));
    Ok((Row { json: served.show(&Shown::All, row.json)?, ..row }, location))
}

fn write_made(items: &mut Vec<u8>, row: &Row, location: Option<HeaderValue>, minimal: bool) {
    items.extend_from_slice(b"{\"status\":201");
    let tag = etag::of_version(row.version);
    for (name, value) in [("location", location), ("etag", Some(tag))] {
        if let Some(text) = value.as_ref().and_then(|value| value.to_str().ok()) {
            // Writing to memory cannot fail.
            let _ = write!(items, ",\"{name}\":");
            json::write_str(items, text);
        }
    }
    if !minimal {
        items.extend_from_slice(b",\"item\":");
        items.extend_from_slice(&row.json);
    }
    items.push(b'}');
}

/// `{"items":[...]}`, or the bare array where lists are bare.
fn listed<C: Collection>(served: &Served<C>, items: &[u8]) -> Bytes {
    if served.envelope { [b"{\"items\":[", items, b"]}"].concat().into() } else { [b"[", items, b"]"].concat().into() }
}
