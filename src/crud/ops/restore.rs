//! `POST /user/{id}/_restore`: a row that was marked as deleted is there again.

use std::sync::Arc;

use http::StatusCode;

use super::{answer, prefer};
use crate::crud::service::{Served, changed, not_found};
use crate::crud::{Collection, Outcome};
use crate::service::Problem;
use crate::{Request, Response};

pub(in crate::crud) async fn restore<C: Collection>(
    served: Arc<Served<C>>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    let id = served.path_id(&parts)?;
    let minimal = prefer::minimal(&parts.headers);
    let expect = served.expect_deleted(&parts)?;
    let changes = served.schema.restoring().unwrap_or_default();
    match served.done(served.collection.update(id, changes, expect).await)? {
        Outcome::Done(row) => answer::written(&served, StatusCode::OK, row, minimal),
        Outcome::NotFound => Err(not_found()),
        Outcome::Changed => Err(changed()),
    }
}
