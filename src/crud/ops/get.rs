//! `GET /user/{id}`

use std::sync::Arc;

use http::StatusCode;

use super::answer;
use crate::crud::Collection;
use crate::crud::etag::{self, Condition};
use crate::crud::query;
use crate::crud::service::{Served, changed};
use crate::service::Problem;
use crate::{Request, Response};

pub(in crate::crud) async fn get<C: Collection>(served: Arc<Served<C>>, request: Request) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    let id = served.path_id(&parts)?;
    let if_match = Condition::if_match(&parts.headers)?;
    let none_match = Condition::if_none_match(&parts.headers)?;
    let shown = query::shown(&served.schema, parts.uri.query())?;
    let asked = served.gone.then(|| id.clone());
    let row = match (served.row(id, served.readable(&parts)).await, asked) {
        (Err(problem), Some(id)) if problem.status() == StatusCode::NOT_FOUND => {
            return Err(match served.row(id, served.deleted(&parts)).await {
                Ok(_) => Problem::of(StatusCode::GONE).detail("the row with this id was deleted"),
                Err(problem) => problem,
            });
        }
        (row, _) => row?,
    };
    if if_match.is_some_and(|condition| !condition.matches_strongly(row.version)) {
        return Err(changed());
    }
    let view = etag::view(&shown.text(&served.schema));
    let tag = etag::of_view(row.version, &view);
    if none_match.is_some_and(|condition| condition.has(row.version, &view)) {
        return Ok(answer::not_modified(tag));
    }
    Ok(answer::document(StatusCode::OK, served.show(&shown, row.json)?, tag))
}
