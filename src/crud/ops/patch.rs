//! `PATCH /user/{id}`: a merge patch (RFC 7396).
//!
//! A null takes the value away, so it is allowed only where the field is optional. Lists are replaced whole. A change that
//! reaches into a nested model is merged here and written only if the row is still the one that was read.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;

use super::{answer, body, prefer};
use crate::crud::policy::Admission;
use crate::crud::schema::validate::{self, Change};
use crate::crud::service::{Served, changed};
use crate::crud::store::Expect;
use crate::crud::{Collection, Outcome, Row, Value};
use crate::service::Problem;
use crate::{Request, Response};

/// How often a merge is tried again when other writers come between.
const TRIES: usize = 3;

pub(in crate::crud) async fn patch<C: Collection>(
    served: Arc<Served<C>>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let id = served.path_id(&parts)?;
    let bytes = body::read(&parts.headers, body, body::CHANGE, served.body_limit).await?;
    let minimal = prefer::minimal(&parts.headers);
    let admission = served.policy.change(served.caller(&parts));
    let plan = plan(validate::patch(&served.schema, &bytes, &id)?, &admission);
    let expect = served.expect(&parts, &id).await?;
    let row = match plan {
        Plan::Nothing => unchanged(&served, id.clone(), &expect).await?,
        Plan::Set(changes) => match served.done(served.collection.update(id.clone(), changes, expect).await)? {
            Outcome::Done(row) => Some(row),
            Outcome::NotFound => None,
            Outcome::Changed => return Err(changed()),
        },
        Plan::Merge => merge(&served, &id, bytes, &expect, &admission).await?,
    };
    match row {
        Some(row) => Ok(answer::written(StatusCode::OK, row, minimal)),
        None => Err(served.unwritable(&parts, id).await),
    }
}

enum Plan {
    /// The patch is empty.
    Nothing,
    /// Whole fields, which the store sets in one step.
    Set(Vec<(usize, Value<'static>)>),
    /// Some of it reaches into a nested model, or decides whether the caller may write the row.
    Merge,
}

fn plan(changes: Vec<(usize, Change<'_>)>, admission: &Admission) -> Plan {
    if changes.is_empty() {
        return Plan::Nothing;
    }
    if changes.iter().any(|(field, _)| admission.concerns(*field)) {
        return Plan::Merge;
    }
    let set = changes.into_iter().map(|(index, change)| match change {
        Change::Set(value) => Some((index, value.into_owned())),
        Change::Merge(_) => None,
    });
    set.collect::<Option<_>>().map_or(Plan::Merge, Plan::Set)
}

/// The row as it is, or none that the caller may write.
async fn unchanged<C: Collection>(
    served: &Served<C>,
    id: Value<'static>,
    expect: &Expect,
) -> Result<Option<Row>, Problem> {
    let row = served.done(served.collection.get(id, expect.only.clone()).await)?;
    match row {
        Some(row) if !expect.fits(row.version) => Err(changed()),
        row => Ok(row),
    }
}

async fn merge<C: Collection>(
    served: &Served<C>,
    id: &Value<'static>,
    patch: Bytes,
    expect: &Expect,
    admission: &Admission,
) -> Result<Option<Row>, Problem> {
    for _ in 0..TRIES {
        let Some(row) = unchanged(served, id.clone(), expect).await? else { return Ok(None) };
        let document = merged(served, id, &row, &patch)?;
        admission.check(&served.schema, &document)?;
        let seen = Expect { versions: Some(vec![row.version]), only: expect.only.clone() };
        match served.done(served.collection.replace(document, seen).await)? {
            Outcome::Done(row) => return Ok(Some(row)),
            Outcome::NotFound => return Ok(None),
            Outcome::Changed => {}
        }
    }
    Err(Problem::of(StatusCode::CONFLICT).detail("other writers changed the row at the same time; try again"))
}

fn merged<C: Collection>(
    served: &Served<C>,
    id: &Value<'static>,
    row: &Row,
    patch: &Bytes,
) -> Result<Value<'static>, Problem> {
    let stored = validate::stored(&served.schema, &row.json)
        .map_err(|rejection| served.internal(&format_args!("a stored row does not fit the model: {rejection}")))?;
    let mut values: Vec<Value<'static>> = stored.into_iter().map(Value::into_owned).collect();
    let changes = validate::patch(&served.schema, patch, id)?;
    validate::merge(&served.schema, &mut values, changes)?;
    Ok(Value::Object(values))
}
