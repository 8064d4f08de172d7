//! `GET /user/{id}`

use std::sync::Arc;

use http::StatusCode;

use super::answer;
use crate::crud::Collection;
use crate::crud::etag::{self, Condition};
use crate::crud::service::{Served, changed};
use crate::service::Problem;
use crate::{Request, Response};

pub(in crate::crud) async fn get<C: Collection>(served: Arc<Served<C>>, request: Request) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    let id = served.path_id(&parts)?;
    let if_match = Condition::if_match(&parts.headers)?;
    let none_match = Condition::if_none_match(&parts.headers)?;
    let row = served.row(id).await?;
    if if_match.is_some_and(|condition| !condition.matches_strongly(row.version)) {
        return Err(changed());
    }
    let tag = etag::of_version(row.version);
    if none_match.is_some_and(|condition| condition.matches_weakly(row.version)) {
        return Ok(answer::not_modified(tag));
    }
    Ok(answer::document(StatusCode::OK, row.json, tag))
}
