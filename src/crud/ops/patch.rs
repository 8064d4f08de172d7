//! `PATCH /user/{id}`: a merge patch (RFC 7396).
//!
//! A null takes the value away, so it is allowed only where the field is optional. Lists are replaced whole. A change that
//! reaches into a nested model is merged here and written only if the row is still the one that was read.

use std::sync::Arc;

use http::StatusCode;
use http::request::Parts;

use super::idempotency::{self, Begun, Written};
use super::rewrite::{current, rewrite};
use super::{answer, body, prefer};
use crate::crud::policy::Admission;
use crate::crud::schema::validate::{self, Change};
use crate::crud::service::{Served, changed};
use crate::crud::store::Write;
use crate::crud::{Collection, Op, Outcome, Row, Schema, Value};
use crate::service::Problem;
use crate::{Request, Response};

pub(in crate::crud) async fn patch<C: Collection>(
    served: Arc<Served<C>>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let id = served.path_id(&parts)?;
    let bytes = body::read(&parts.headers, body, Op::Patch, served.body_limit).await?;
    let admission = served.policy.change(served.caller(&parts));
    let key = match idempotency::begin(&served, &parts, &bytes).await? {
        Begun::First(key) => key,
        // Whatever has become of the row, and of what the request demands of it.
        Begun::Again(row) => return answered(&served, &parts, Written::Before(row)),
    };
    let changes = validate::patch(&served.schema, &bytes, &id, served.coerce)?;
    let plan = plan(&served.schema, changes, &admission, served.hooks.has(Op::Patch));
    let expect = served.expect(&parts, &id).await?;
    let written = match (plan, &key) {
        (Plan::Nothing, None) => {
            current(&served, &id, &expect).await?.map_or(Outcome::NotFound, |row| Outcome::Done(Written::Now(row)))
        }
        (Plan::Nothing, Some(key)) => key.write(&served, Write::Leave(id.clone(), expect)).await?,
        (Plan::Set(changes), None) => {
            served.done(served.collection.update(id.clone(), changes, expect).await)?.map(Written::Now)
        }
        (Plan::Set(changes), Some(key)) => key.write(&served, Write::Update(id.clone(), changes, expect)).await?,
        (Plan::Merge, key) => {
            let merge = |mut values: Vec<Value<'static>>| {
                let changes = validate::patch(&served.schema, &bytes, &id, served.coerce)?;
                validate::merge(&served.schema, &mut values, changes, served.coerce)?;
                Ok(values)
            };
            rewrite(&served, Op::Patch, &parts, (&id, &expect), &admission, key.as_ref(), merge)
                .await?
                .map_or(Outcome::NotFound, Outcome::Done)
        }
    };
    match written {
        Outcome::Done(written) => answered(&served, &parts, written),
        Outcome::NotFound => Err(served.unwritable(&parts, id).await),
        Outcome::Changed => Err(changed()),
    }
}

fn answered<C: Collection>(served: &Served<C>, parts: &Parts, written: Written<Row>) -> Result<Response, Problem> {
    let minimal = prefer::minimal(&parts.headers);
    let answer = |row| answer::written(served, StatusCode::OK, row, minimal);
    match written {
        Written::Now(row) => answer(row),
        Written::Before(row) => answer(row).map(idempotency::replayed),
    }
}

enum Plan {
    /// The patch is empty.
    Nothing,
    /// Whole fields, which the store sets in one step.
    Set(Vec<(usize, Value<'static>)>),
    /// Some of it reaches into a nested model or a dict, is not for clients to change, or decides whether the caller may write
    /// the row; or hooks are to see the whole row.
    Merge,
}

fn plan(schema: &Schema, changes: Vec<(usize, Change<'_>)>, admission: &Admission, has_hooks: bool) -> Plan {
    if changes.is_empty() {
        return Plan::Nothing;
    }
    let is_fixed = |field: usize| schema.fields.get(field).is_some_and(|field| field.access.is_fixed());
    let is_checked = |field: usize| admission.concerns(field) || is_fixed(field);
    if has_hooks || changes.iter().any(|(field, _)| is_checked(*field)) {
        return Plan::Merge;
    }
    let set = changes.into_iter().map(|(index, change)| match change {
        Change::Set(value) => Some((index, value.into_owned())),
        Change::Merge(_) | Change::Entries(_) | Change::Tagged(_) => None,
    });
    let Some(mut set) = set.collect::<Option<Vec<_>>>() else { return Plan::Merge };
    set.extend(validate::renewed(schema));
    Plan::Set(set)
}
