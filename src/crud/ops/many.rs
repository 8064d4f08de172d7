//! `PATCH /user?filter` and `DELETE /user?filter`: all rows that hold, or none when there are more than the client or the
//! app had in mind (`Prefer: max-affected`, as PostgREST has it).

use std::sync::Arc;

use http::StatusCode;
use http::header::{HeaderMap, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use http::request::Parts;

use super::{answer, body, prefer};
use crate::crud::schema::validate;
use crate::crud::service::Served;
use crate::crud::store::Many;
use crate::crud::{Collection, Expr, Op, query};
use crate::service::{Limit, Location, Problem, Violation};
use crate::{Request, Response};

pub(in crate::crud) async fn patch<C: Collection>(
    served: Arc<Served<C>>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let rows = Wanted::read(&served, &parts)?;
    let bytes = body::read(&parts.headers, body, Op::PatchMany, served.body_limit).await?;
    let mut changes = validate::patch_many(&served.schema, &bytes, served.coerce)?;
    let admission = served.policy.change(served.caller(&parts));
    if let Some((field, _)) = changes.iter().find(|(field, _)| admission.concerns(*field)) {
        let name = &served.schema.fields[*field].name;
        return Err(Problem::forbidden(format!("{name} decides who may write a row, so it is changed row by row")));
    }
    if changes.is_empty() {
        let matched = served.done(served.collection.count(rows.filter.clone()).await)?;
        return if matched > rows.most { Err(rows.too_many()) } else { Ok(rows.answer(matched, 0)) };
    }
    changes.extend(validate::renewed(&served.schema));
    match served.done(served.collection.update_all(rows.filter.clone(), changes, rows.most).await)? {
        Many::Done(written) => Ok(rows.answer(written, written)),
        Many::TooMany => Err(rows.too_many()),
    }
}

pub(in crate::crud) async fn delete<C: Collection>(
    served: Arc<Served<C>>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    let rows = Wanted::read(&served, &parts)?;
    let deleted = match served.schema.deleting() {
        Some(changes) => served.collection.update_all(rows.filter.clone(), changes, rows.most).await,
        None => served.collection.delete_all(rows.filter.clone(), rows.most).await,
    };
    match served.done(deleted)? {
        Many::Done(written) => Ok(rows.answer(written, written)),
        Many::TooMany => Err(rows.too_many()),
    }
}

/// The rows that are to be written.
struct Wanted {
    filter: Expr,
    most: u64,
    /// Whether it was the client that said how many at most.
    asked: bool,
}

impl Wanted {
    fn read<C: Collection>(served: &Served<C>, parts: &Parts) -> Result<Self, Problem> {
        unconditional(&parts.headers)?;
        let filter = query::filter(&served.schema, parts.uri.query(), &served.list)?;
        if filter == Expr::True {
            let example = &served.schema.fields[served.id].name;
            return Err(Problem::bad_request(format!(
                "a write to many rows must say which, with a filter in the query string: ?{example}=in.(...)"
            )));
        }
        let filter = filter.and(served.writable(parts));
        served.check_indexed(|| filter.is_indexed(&served.schema))?;
        Ok(match prefer::max_affected(&parts.headers)? {
            Some(most) if most <= served.max_affected => Self { filter, most, asked: true },
            _ => Self { filter, most: served.max_affected, asked: false },
        })
    }

    fn answer(&self, matched: u64, modified: u64) -> Response {
        let mut response = answer::json(format!("{{\"matched\":{matched},\"modified\":{modified}}}").into());
        if self.asked
            && let Ok(applied) = HeaderValue::from_str(&format!("max-affected={}", self.most))
        {
            response.headers_mut().insert(prefer::APPLIED, applied);
        }
        response
    }

    /// 409: nothing was written.
    fn too_many(&self) -> Problem {
        let most = self.most;
        let detail = format!("the filter holds for more than {most} rows, so none was written; narrow it");
        let fault = Violation::new(Location::Header("prefer".to_owned()), "max_affected", detail.clone())
            .limit(Limit::Int(i64::try_from(most).unwrap_or(i64::MAX)));
        Problem::of(StatusCode::CONFLICT).detail(detail).errors(vec![fault])
    }
}

/// Entity tags are those of single rows, and must not be passed over in silence.
fn unconditional(headers: &HeaderMap) -> Result<(), Problem> {
    match [IF_MATCH, IF_NONE_MATCH].into_iter().find(|name| headers.contains_key(name)) {
        Some(name) => {
            let detail = "is for a single row; leave it out, or write the rows one by one";
            let fault = Violation::new(Location::Header(name.to_string()), "not_allowed", detail);
            Err(Problem::bad_request(format!("{name} {detail}")).errors(vec![fault]))
        }
        None => Ok(()),
    }
}
