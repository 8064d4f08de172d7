//! `PUT /user/{id}`

use std::sync::Arc;

use http::StatusCode;

use super::{answer, body};
use crate::crud::schema::validate::{self, IdRule};
use crate::crud::service::{Served, changed, not_found};
use crate::crud::{Collection, Outcome, Value};
use crate::service::Problem;
use crate::{Request, Response};

pub(in crate::crud) async fn replace<C: Collection>(
    served: Arc<Served<C>>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let id = served.path_id(&parts)?;
    let bytes = body::read(&parts.headers, body, body::DOCUMENT, served.body_limit).await?;
    let document = Value::Object(validate::document(&served.schema, &bytes, IdRule::Given(&id))?).into_owned();
    let expect = served.expect(&parts, &id).await?;
    match served.done(served.collection.replace(document, expect).await)? {
        Outcome::Done(row) => Ok(answer::written(StatusCode::OK, row, answer::prefers_minimal(&parts.headers))),
        Outcome::NotFound => Err(not_found()),
        Outcome::Changed => Err(changed()),
    }
}
