//! `GET /user`

use std::fmt::Write;
use std::sync::Arc;

use http::header::{HeaderName, HeaderValue, LINK};
use http::request::Parts;
use http::{StatusCode, Uri};

use super::prefer::{self, Count};
use super::{answer, body};
use crate::crud::etag::{self, Condition};
use crate::crud::memo::Asked;
use crate::crud::query::{self, Listing, Query, Shown};
use crate::crud::service::Served;
use crate::crud::{Collection, Expr, Op};
use crate::service::Problem;
use crate::{Request, Response};

const TOTAL_COUNT: HeaderName = HeaderName::from_static("total-count");
/// A longer `Link` is left out: intermediaries refuse long headers, and the cursor is in the body too.
const LONGEST_LINK: usize = 4096;

pub(in crate::crud) async fn list<C: Collection>(
    served: Arc<Served<C>>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    let listing = query::listing(&served.schema, parts.uri.query(), &served.list)?;
    page(&served, &parts, listing, served.readable(&parts), true).await
}

/// `GET /user/_deleted`: the rows that are marked as deleted.
pub(in crate::crud) async fn deleted<C: Collection>(
    served: Arc<Served<C>>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    let listing = query::listing(&served.schema, parts.uri.query(), &served.list)?;
    page(&served, &parts, listing, served.deleted(&parts), true).await
}

/// `QUERY /user`: a list whose filters are in the body (draft-ietf-httpbis-safe-method-w-body).
pub(in crate::crud) async fn query<C: Collection>(
    served: Arc<Served<C>>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    if parts.uri.query().is_some_and(|query| !query.is_empty()) {
        return Err(Problem::bad_request("what a QUERY asks for is in its body; leave the query string out"));
    }
    let body = body::read(&parts.headers, body, Op::Query, served.body_limit).await?;
    let listing = query::listing_of_body(&served.schema, &body, &served.list)?;
    // A link would lead to a GET.
    page(&served, &parts, listing, served.readable(&parts), false).await
}

/// The page that is asked for, of the rows for which `there` holds; `linked` says whether it names the next one in a header as well.
async fn page<C: Collection>(
    served: &Served<C>,
    parts: &Parts,
    listing: Listing,
    there: Expr,
    linked: bool,
) -> Result<Response, Problem> {
    let none_match = Condition::if_none_match(&parts.headers)?;
    let Listing { mut query, cursors, shown, expand } = listing;
    let expansion = served.expansion(parts, expand)?;
    query.filter = query.filter.and(there);
    served.check_indexed(|| query.is_indexed(&served.schema))?;
    let count = prefer::count(&parts.headers).filter(|count| *count == Count::Exact || query.filter == Expr::True);
    let asked = asked(served, &query, &shown, count, expansion.is_empty() && none_match.is_some());
    if let (Some(asked), Some(condition)) = (asked, &none_match)
        && let Some(headers) = served.memo.unchanged(asked, condition)
    {
        return Ok(answer::still(headers));
    }
    let filter = query.filter.clone();
    let total = async {
        match count {
            Some(Count::Exact) => served.collection.count(filter).await.map(Some),
            Some(Count::Estimated) => served.collection.estimate().await.map(Some),
            None => Ok(None),
        }
    };
    let (page, total) = futures_util::future::join(served.collection.list(query), total).await;
    let (page, total) = (served.done(page)?, served.done(total)?);
    let cursor = page.next.as_ref().map(|boundary| cursors.encode(boundary));
    let items = served.expanded(&expansion, served.show_all(&shown, page.items)?, parts).await?;

    let body = if served.envelope { envelope(&items, cursor.as_deref()) } else { array(&items) };
    let tag = etag::of_bytes(&body);
    let mut response = if none_match.is_some_and(|condition| etag::is_listed(&condition, &tag)) {
        answer::not_modified(tag.clone())
    } else {
        answer::document(StatusCode::OK, body.into(), tag.clone())
    };
    if !expansion.is_empty() {
        response.extensions_mut().insert(answer::Expanded);
    }
    let headers = response.headers_mut();
    if let Some(link) = cursor.filter(|_| linked).and_then(|cursor| next_link(&parts.uri, &cursor, served.envelope)) {
        headers.insert(LINK, link);
    }
    if let (Some(total), Some(count)) = (total, count) {
        headers.insert(TOTAL_COUNT, total.into());
        headers.insert(prefer::APPLIED, HeaderValue::from_static(count.applied()));
    }
    if let Some(asked) = asked.filter(|_| response.status() == StatusCode::NOT_MODIFIED) {
        served.memo.remember(asked, tag, response.headers().clone());
    }
    Ok(response)
}

/// What is asked, all that an answer depends on beside the rows of the store; nothing where it is not to be remembered, or where
/// the store does not know what is written.
fn asked<C: Collection>(
    served: &Served<C>,
    query: &Query,
    shown: &Shown,
    count: Option<Count>,
    wanted: bool,
) -> Option<Asked> {
    let writes = served.collection.writes().filter(|_| wanted)?;
    let question = format!("{query:?} {shown:?} {count:?}");
    Some(Asked { question: etag::digest(question.as_bytes()), writes })
}

/// `{"items":[...],"next":"<cursor>"}`: unlike an array it can gain members.
fn envelope(items: &[u8], cursor: Option<&str>) -> Vec<u8> {
    let mut body = Vec::with_capacity(items.len() + cursor.map_or(0, str::len) + 32);
    body.extend_from_slice(b"{\"items\":[");
    body.extend_from_slice(items);
    match cursor {
        Some(cursor) => {
            body.extend_from_slice(b"],\"next\":\"");
            body.extend_from_slice(cursor.as_bytes());
            body.extend_from_slice(b"\"}");
        }
        None => body.extend_from_slice(b"],\"next\":null}"),
    }
    body
}

fn array(items: &[u8]) -> Vec<u8> {
    [b"[", items, b"]"].concat()
}

/// `<path?query&cursor=...>; rel="next"` (RFC 8288).
///
/// `elsewhere` says that the cursor is in the body too, so a long link can be left out.
fn next_link(uri: &Uri, cursor: &str, elsewhere: bool) -> Option<HeaderValue> {
    let mut link = format!("<{}?", uri.path());
    let pairs = uri.query().unwrap_or("").split('&');
    for pair in pairs.filter(|pair| !pair.is_empty() && !pair.starts_with("cursor=") && !pair.starts_with("offset=")) {
        let _ = write!(link, "{pair}&");
    }
    let _ = write!(link, "cursor={cursor}>; rel=\"next\"");
    // A URI holds no > and no control characters, so the link cannot be broken out of.
    if elsewhere && link.len() > LONGEST_LINK { None } else { HeaderValue::from_str(&link).ok() }
}
