//! `GET /user/_count`

use std::sync::Arc;

use http::StatusCode;

use super::answer;
use crate::crud::etag::{self, Condition};
use crate::crud::service::Served;
use crate::crud::{Collection, Expr, query};
use crate::service::Problem;
use crate::{Request, Response};

pub(in crate::crud) async fn count<C: Collection>(
    served: Arc<Served<C>>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    let asked = query::filter(&served.schema, parts.uri.query(), &served.list)?;
    let is_whole = asked == Expr::True;
    let filter = asked.and(served.readable(&parts));
    served.check_indexed(|| is_whole || filter.is_indexed(&served.schema))?;
    let none_match = Condition::if_none_match(&parts.headers)?;
    let count = served.done(served.collection.count(filter).await)?;
    let body = format!("{{\"count\":{count}}}").into_bytes();
    let tag = etag::of_bytes(&body);
    if none_match.is_some_and(|condition| etag::is_listed(&condition, &tag)) {
        return Ok(answer::not_modified(tag));
    }
    Ok(answer::document(StatusCode::OK, body.into(), tag))
}
