//! `DELETE /user/{id}`

use std::sync::Arc;

use http::StatusCode;

use crate::crud::service::{Served, changed};
use crate::crud::{Collection, Outcome};
use crate::service::Problem;
use crate::{Body, Request, Response};

pub(in crate::crud) async fn delete<C: Collection>(
    served: Arc<Served<C>>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    let id = served.path_id(&parts)?;
    let expect = served.expect(&parts, &id).await?;
    match served.done(served.collection.delete(id.clone(), expect).await)? {
        Outcome::Done(()) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            Ok(response)
        }
        Outcome::NotFound => Err(served.unwritable(&parts, id).await),
        Outcome::Changed => Err(changed()),
    }
}
