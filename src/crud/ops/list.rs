//! `GET /user`

use std::fmt::Write;
use std::sync::Arc;

use http::header::{HeaderValue, LINK};
use http::{StatusCode, Uri};

use super::answer;
use crate::crud::Collection;
use crate::crud::etag::{self, Condition};
use crate::crud::query;
use crate::crud::service::Served;
use crate::service::Problem;
use crate::{Request, Response};

/// A longer `Link` is left out: intermediaries refuse long headers, and the cursor is in the body too.
const LONGEST_LINK: usize = 4096;

pub(in crate::crud) async fn list<C: Collection>(
    served: Arc<Served<C>>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    let listing = query::listing(&served.schema, parts.uri.query(), served.default_limit, served.max_limit)?;
    let none_match = Condition::if_none_match(&parts.headers)?;
    let (query, cursors) = (listing.query, listing.cursors);
    let page = served.done(served.collection.list(query).await)?;
    let cursor = page.next.as_ref().map(|boundary| cursors.encode(boundary));

    let mut body = Vec::with_capacity(page.items.len() + cursor.as_ref().map_or(0, String::len) + 32);
    body.extend_from_slice(b"{\"items\":[");
    body.extend_from_slice(&page.items);
    match &cursor {
        Some(cursor) => {
            body.extend_from_slice(b"],\"next\":\"");
            body.extend_from_slice(cursor.as_bytes());
            body.extend_from_slice(b"\"}");
        }
        None => body.extend_from_slice(b"],\"next\":null}"),
    }
    let tag = etag::of_bytes(&body);
    let mut response = if none_match.is_some_and(|condition| etag::is_listed(&condition, &tag)) {
        answer::not_modified(tag)
    } else {
        answer::document(StatusCode::OK, body.into(), tag)
    };
    if let Some(link) = cursor.and_then(|cursor| next_link(&parts.uri, &cursor)) {
        response.headers_mut().insert(LINK, link);
    }
    Ok(response)
}

/// `<path?query&cursor=...>; rel="next"` (RFC 8288).
fn next_link(uri: &Uri, cursor: &str) -> Option<HeaderValue> {
    let mut link = format!("<{}?", uri.path());
    let pairs = uri.query().unwrap_or("").split('&');
    for pair in pairs.filter(|pair| !pair.is_empty() && !pair.starts_with("cursor=")) {
        let _ = write!(link, "{pair}&");
    }
    let _ = write!(link, "cursor={cursor}>; rel=\"next\"");
    // A URI holds no > and no control characters, so the link cannot be broken out of.
    if link.len() > LONGEST_LINK { None } else { HeaderValue::from_str(&link).ok() }
}
