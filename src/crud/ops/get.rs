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
    let (shown, expand) = query::shown(&served.schema, parts.uri.query())?;
    let expansion = served.expansion(&parts, expand)?;
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
    let (version, mut view) = (row.version, etag::view(shown.text(&served.schema).as_bytes()));
    let mut body = None;
    if !expansion.is_empty() {
        let whole = served.expanded(&expansion, served.show(&shown, row.json.clone())?, &parts).await?;
        // What was expanded has versions of its own, so this view is told by all that it shows.
        view = etag::view(&whole);
        body = Some(whole);
    }
    let tag = etag::of_view(version, &view);
    let mut response = if none_match.is_some_and(|condition| condition.has(version, &view)) {
        answer::not_modified(tag)
    } else {
        let body = body.map_or_else(|| served.show(&shown, row.json), Ok)?;
        answer::document(StatusCode::OK, body, tag)
    };
    if !expansion.is_empty() {
        response.extensions_mut().insert(answer::Expanded);
    }
    Ok(response)
}
