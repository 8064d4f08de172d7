//! `POST /user`

use std::sync::Arc;

use http::header::{HeaderValue, LOCATION};
use http::request::Parts;
use http::{StatusCode, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::idempotency::{self, Begun, Written};
use super::rewrite::contended;
use super::{answer, body, create_many, prefer};
use crate::crud::json::Members;
use crate::crud::policy::Admission;
use crate::crud::schema::validate;
use crate::crud::service::Served;
use crate::crud::store::Write;
use crate::crud::{Collection, Op, Outcome, Row, Value};
use crate::service::Problem;
use crate::{Request, Response};

/// Everything but the unreserved characters of RFC 3986.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

pub(in crate::crud) async fn create<C: Collection>(
    served: Arc<Served<C>>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let bytes = body::read(&parts.headers, body, Op::Create, served.body_limit).await?;
    let admission = served.policy.creation(served.caller(&parts))?;
    if served.bulk && bytes.trim_ascii_start().first() == Some(&b'[') {
        return create_many::create_many(&served, &parts, &admission, bytes).await;
    }
    // Before the hooks, which have been asked already when the request has come before.
    let key = match idempotency::begin(&served, &parts, &bytes).await? {
        Begun::First(key) => key,
        Begun::Again(row) => return again(&served, &parts, row),
    };
    let document = read(&served, &admission, &bytes)?;
    let document = served.before(Op::Create, &parts, None, document).await?;
    let location = match &document {
        Value::Object(values) => location(&parts.uri, &values[served.id]),
        _ => None,
    };
    let row = match key {
        None => served.done(served.collection.insert(document).await)?,
        Some(key) => match key.write(&served, Write::Insert(document)).await? {
            Outcome::Done(Written::Now(row)) => row,
            Outcome::Done(Written::Before(row)) => return again(&served, &parts, row),
            Outcome::NotFound | Outcome::Changed => return Err(contended()),
        },
    };
    served.after(Op::Create, &parts, None, Some(&row));
    answered(&served, &parts, row, location)
}

/// The answer to a request that has come before.
fn again<C: Collection>(served: &Served<C>, parts: &Parts, row: Row) -> Result<Response, Problem> {
    // The rest of it may be of a model that was changed since.
    let field = &served.schema.fields[served.id];
    let members: Option<Members<'_>> = serde_json::from_slice(&row.json).ok();
    let id = members.as_ref().and_then(|members| members.0.iter().find(|(name, _)| **name == *field.name));
    let id = id.and_then(|(_, id)| validate::value(&field.kind, id.get().as_bytes()).ok());
    let location = id.and_then(|id| location(&parts.uri, &id.into_owned()));
    answered(served, parts, row.clone(), location).map(idempotency::replayed)
}

fn answered<C: Collection>(
    served: &Served<C>,
    parts: &Parts,
    row: Row,
    location: Option<HeaderValue>,
) -> Result<Response, Problem> {
    let mut response = answer::written(served, StatusCode::CREATED, row, prefer::minimal(&parts.headers))?;
    if let Some(location) = location {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// The document of a new row, if the caller may make it.
pub(super) fn read<C: Collection>(
    served: &Served<C>,
    admission: &Admission,
    json: &[u8],
) -> Result<Value<'static>, Problem> {
    let values = validate::document(&served.schema, json, served.new_id(), admission.pins(), served.coerce)?;
    let values: Vec<_> = values.into_iter().map(Value::into_owned).collect();
    admission.check(&served.schema, &values)?;
    Ok(Value::Object(values))
}

/// The path of a new row: below the path that was asked for, wherever the resource is mounted.
pub(super) fn location(uri: &Uri, id: &Value<'_>) -> Option<HeaderValue> {
    let base = uri.path().trim_end_matches('/');
    let text = match id {
        Value::Uuid(id) => format!("{base}/{}", id.hyphenated()),
        Value::Int(id) => format!("{base}/{id}"),
        Value::Str(id) => format!("{base}/{}", utf8_percent_encode(id, SEGMENT)),
        _ => return None,
    };
    HeaderValue::from_str(&text).ok()
}
