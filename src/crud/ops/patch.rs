//! `PATCH /user/{id}`: a merge patch (RFC 7396).
//!
//! A null takes the value away, so it is allowed only where the field is optional. Lists are replaced whole. A change that
//! reaches into a nested model is merged here and written only if the row is still the one that was read.

use std::sync::Arc;

use http::StatusCode;

use super::rewrite::{current, rewrite};
use super::{answer, body, prefer};
use crate::crud::policy::Admission;
use crate::crud::schema::validate::{self, Change};
use crate::crud::service::{Served, changed};
use crate::crud::{Collection, Op, Outcome, Schema, Value};
use crate::service::Problem;
use crate::{Request, Response};

pub(in crate::crud) async fn patch<C: Collection>(
    served: Arc<Served<C>>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let id = served.path_id(&parts)?;
    let bytes = body::read(&parts.headers, body, Op::Patch, served.body_limit).await?;
    let minimal = prefer::minimal(&parts.headers);
    let admission = served.policy.change(served.caller(&parts));
    let changes = validate::patch(&served.schema, &bytes, &id, served.coerce)?;
    let plan = plan(&served.schema, changes, &admission, served.hooks.has(Op::Patch));
    let expect = served.expect(&parts, &id).await?;
    let row = match plan {
        Plan::Nothing => current(&served, &id, &expect).await?,
        Plan::Set(changes) => match served.done(served.collection.update(id.clone(), changes, expect).await)? {
            Outcome::Done(row) => Some(row),
            Outcome::NotFound => None,
            Outcome::Changed => return Err(changed()),
        },
        Plan::Merge => {
            let merge = |mut values: Vec<Value<'static>>| {
                let changes = validate::patch(&served.schema, &bytes, &id, served.coerce)?;
                validate::merge(&served.schema, &mut values, changes, served.coerce)?;
                Ok(values)
            };
            rewrite(&served, Op::Patch, &parts, (&id, &expect), &admission, merge).await?
        }
    };
    match row {
        Some(row) => answer::written(&served, StatusCode::OK, row, minimal),
        None => Err(served.unwritable(&parts, id).await),
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
    let is_checked = |field: usize| admission.concerns(field) || schema.fields[field].access.is_fixed();
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
