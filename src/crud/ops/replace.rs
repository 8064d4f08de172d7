//! `PUT /user/{id}`

use std::sync::Arc;

use http::StatusCode;
use http::header::IF_MATCH;
use http::request::Parts;

use super::{answer, body, prefer};
use crate::crud::schema::validate::{self, IdRule};
use crate::crud::service::{Served, changed, not_found};
use crate::crud::store::StoreError;
use crate::crud::{Collection, Outcome, Row, Value};
use crate::service::Problem;
use crate::{Request, Response};

/// How often a row is looked for again that another writer makes or removes at the same moment.
const TRIES: usize = 3;

pub(in crate::crud) async fn replace<C: Collection>(
    served: Arc<Served<C>>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let id = served.path_id(&parts)?;
    let bytes = body::read(&parts.headers, body, body::DOCUMENT, served.body_limit).await?;
    let admission = served.policy.change(served.caller(&parts));
    if admission.is_unknown() && !served.upsert {
        // No row is one that this caller may write, whatever the body says.
        return Err(served.unwritable(&parts, id).await);
    }
    let values = validate::document(&served.schema, &bytes, IdRule::Given(&id), admission.pins())?;
    let document = Value::Object(values).into_owned();
    admission.check(&served.schema, &document)?;
    let minimal = prefer::minimal(&parts.headers);
    let expect = match served.expect(&parts, &id).await {
        Err(problem) if served.upsert && problem.status() == StatusCode::NOT_FOUND => {
            // An If-None-Match has looked for the row in vain; one that has come since is not the client's to replace.
            let row = insert(&served, &parts, &id, document).await?.ok_or_else(changed)?;
            return Ok(answer::written(StatusCode::CREATED, row, minimal));
        }
        expect => expect?,
    };
    for _ in 0..TRIES {
        let replaced = served.collection.replace(document.clone(), expect.clone()).await;
        match served.done(replaced)? {
            Outcome::Done(row) => return Ok(answer::written(StatusCode::OK, row, minimal)),
            Outcome::Changed => return Err(changed()),
            Outcome::NotFound if !served.upsert => return Err(served.unwritable(&parts, id).await),
            // The row that is to be replaced is not there (RFC 9110, 13.1.1).
            Outcome::NotFound if parts.headers.contains_key(IF_MATCH) => return Err(changed()),
            Outcome::NotFound => {}
        }
        if let Some(row) = insert(&served, &parts, &id, document.clone()).await? {
            return Ok(answer::written(StatusCode::CREATED, row, minimal));
        }
    }
    match served.unwritable(&parts, id).await {
        refused if refused.status() == StatusCode::FORBIDDEN => Err(refused),
        _ => Err(Problem::of(StatusCode::CONFLICT)
            .detail("the id is taken, or other writers make and remove the row at the same time; try again")),
    }
}

/// The new row, or none when there is one with its id.
async fn insert<C: Collection>(
    served: &Served<C>,
    parts: &Parts,
    id: &Value<'static>,
    document: Value<'static>,
) -> Result<Option<Row>, Problem> {
    served.policy.creation(served.caller(parts))?.check(&served.schema, &document)?;
    if matches!(id, Value::Str(text) if text.starts_with('_')) {
        // No row may have such an id, so there will never be one.
        return Err(not_found());
    }
    match served.collection.insert(document).await {
        Err(StoreError::Duplicate { field }) if *field == *served.schema.fields[served.id].name => Ok(None),
        inserted => served.done(inserted).map(Some),
    }
}
