//! `PUT /user/{id}`

use std::sync::Arc;

use http::StatusCode;
use http::header::IF_MATCH;
use http::request::Parts;

use super::rewrite::rewrite;
use super::{answer, body, prefer};
use crate::crud::policy::Admission;
use crate::crud::schema::check;
use crate::crud::schema::validate::{self, IdRule, Rejection, Replacement};
use crate::crud::service::{Served, changed, not_found};
use crate::crud::store::StoreError;
use crate::crud::{Collection, Op, Outcome, Row, Schema, Value};
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
    let bytes = body::read(&parts.headers, body, Op::Replace, served.body_limit).await?;
    let admission = served.policy.change(served.caller(&parts));
    if admission.is_unknown() && !served.upsert {
        // No row is one that this caller may write, whatever the body says.
        return Err(served.unwritable(&parts, id).await);
    }
    let sent = Sent::read(&served, &bytes, &id, &admission)?;
    let minimal = prefer::minimal(&parts.headers);
    let expect = match served.expect(&parts, &id).await {
        Err(problem) if served.upsert && problem.status() == StatusCode::NOT_FOUND => {
            // An If-None-Match has looked for the row in vain; one that has come since is not the client's to replace.
            let row = insert(&served, &parts, &id, sent.new_row(&served, &admission)?).await?.ok_or_else(changed)?;
            return answer::written(&served, StatusCode::CREATED, row, minimal);
        }
        expect => expect?,
    };
    for _ in 0..TRIES {
        let replaced = match &sent {
            Sent::Whole(values) if !served.hooks.has(Op::Replace) => {
                let document = Value::Object(values.clone());
                served.done(served.collection.replace(document, expect.clone()).await)?
            }
            sent => {
                let over = |stored| sent.over(&served.schema, stored);
                let rewritten = rewrite(&served, Op::Replace, &parts, (&id, &expect), &admission, None, over).await?;
                rewritten.map_or(Outcome::NotFound, |written| Outcome::Done(written.into_row()))
            }
        };
        match replaced {
            Outcome::Done(row) => return answer::written(&served, StatusCode::OK, row, minimal),
            Outcome::Changed => return Err(changed()),
            Outcome::NotFound if !served.upsert => return Err(served.unwritable(&parts, id).await),
            // The row that is to be replaced is not there (RFC 9110, 13.1.1).
            Outcome::NotFound if parts.headers.contains_key(IF_MATCH) => return Err(changed()),
            Outcome::NotFound => {}
        }
        if let Some(row) = insert(&served, &parts, &id, sent.new_row(&served, &admission)?).await? {
            return answer::written(&served, StatusCode::CREATED, row, minimal);
        }
    }
    match served.unwritable(&parts, id).await {
        refused if refused.status() == StatusCode::FORBIDDEN => Err(refused),
        _ => Err(Problem::of(StatusCode::CONFLICT)
            .detail("the id is taken, or other writers make and remove the row at the same time; try again")),
    }
}

/// What a client sent.
enum Sent {
    /// All that the row is to hold.
    Whole(Vec<Value<'static>>),
    /// What it is to hold beside what clients do not see or set.
    Kept(Replacement),
}

impl Sent {
    fn read<C: Collection>(
        served: &Served<C>,
        json: &[u8],
        id: &Value<'static>,
        admission: &Admission,
    ) -> Result<Self, Problem> {
        if served.schema.has_kept() {
            return Ok(Self::Kept(Replacement::read(&served.schema, json, id, admission.pins(), served.coerce)?));
        }
        let values = validate::document(&served.schema, json, IdRule::Given(id), admission.pins(), served.coerce)?;
        let values: Vec<_> = values.into_iter().map(Value::into_owned).collect();
        admission.check(&served.schema, &values)?;
        Ok(Self::Whole(values))
    }

    /// What the row is to hold in the place of what is stored.
    fn over(&self, schema: &Schema, stored: Vec<Value<'static>>) -> Result<Vec<Value<'static>>, Rejection> {
        match self {
            Self::Whole(values) => Ok(values.clone()),
            Self::Kept(sent) => sent.over(schema, stored),
        }
    }

    /// The document where there is no such row yet.
    fn new_row<C: Collection>(
        &self,
        served: &Served<C>,
        admission: &Admission,
    ) -> Result<Vec<Value<'static>>, Problem> {
        Ok(match self {
            Self::Whole(values) => values.clone(),
            Self::Kept(sent) => {
                let values = sent.clone().new_row(&served.schema, admission.pins())?;
                admission.check(&served.schema, &values)?;
                values
            }
        })
    }
}

/// The new row, or none when there is one with its id.
async fn insert<C: Collection>(
    served: &Served<C>,
    parts: &Parts,
    id: &Value<'static>,
    values: Vec<Value<'static>>,
) -> Result<Option<Row>, Problem> {
    served.policy.creation(served.caller(parts))?.check(&served.schema, &values)?;
    if matches!(id, Value::Str(text) if check::is_reserved(text)) {
        // No row may have such an id, so there will never be one.
        return Err(not_found());
    }
    let document = served.before(Op::Create, parts, None, Value::Object(values)).await?;
    match served.collection.insert(document).await {
        Err(StoreError::Duplicate { fields }) if fields == [&*served.schema.fields[served.id].name] => Ok(None),
        inserted => {
            let row = served.done(inserted)?;
            served.after(Op::Create, parts, None, Some(&row));
            Ok(Some(row))
        }
    }
}
