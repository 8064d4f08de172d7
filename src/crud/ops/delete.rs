//! `DELETE /user/{id}`

use std::sync::Arc;

use http::StatusCode;

use super::rewrite::{TRIES, contended, current};
use crate::crud::service::{Served, changed};
use crate::crud::{Collection, Op, Outcome};
use crate::service::Problem;
use crate::{Body, Request, Response};

pub(in crate::crud) async fn delete<C: Collection>(
    served: Arc<Served<C>>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    let id = served.path_id(&parts)?;
    let expect = served.expect(&parts, &id).await?;
    if served.hooks.has(Op::Delete) {
        for _ in 0..TRIES {
            let Some(row) = current(&served, &id, &expect).await? else {
                return Err(served.unwritable(&parts, id).await);
            };
            served.before_delete(&parts, &row).await?;
            match served.remove(id.clone(), served.seen(&row, &expect)?).await? {
                Outcome::Done(()) => {
                    served.after(Op::Delete, &parts, Some(&row), None);
                    return Ok(deleted());
                }
                Outcome::NotFound => return Err(served.unwritable(&parts, id).await),
                Outcome::Changed => {}
            }
        }
        return Err(contended());
    }
    match served.remove(id.clone(), expect).await? {
        Outcome::Done(()) => Ok(deleted()),
        Outcome::NotFound => Err(served.unwritable(&parts, id).await),
        Outcome::Changed => Err(changed()),
    }
}

fn deleted() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}
