//! `GET /user/_export`: every row that holds, one to a line (NDJSON), in constant memory.
//!
//! Each page is read when the client has taken the one before, so a slow client holds up nobody.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};

use crate::crud::query::{self, Shown};
use crate::crud::service::Served;
use crate::crud::store::StoreError;
use crate::crud::{Collection, Expr, Walk};
use crate::service::Problem;
use crate::{Body, BoxError, Request, Response};

/// Rows that are read at once.
const PAGE: usize = 256;

pub(in crate::crud) async fn export<C: Collection>(
    served: Arc<Served<C>>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    let export = query::export(&served.schema, parts.uri.query(), &served.list)?;
    let mut query = export.query;
    let asked = std::mem::replace(&mut query.filter, Expr::True);
    query.filter = asked.clone().and(served.readable(&parts));
    // All rows are read through no index because all of them are wanted.
    served.check_indexed(|| asked == Expr::True || query.is_indexed(&served.schema))?;
    let walk = Walk::new(served.collection.clone(), query, PAGE);
    let mut export = Export { served, walk, shown: export.shown, count: 0, end: export.end };
    // A store that cannot be reached is told by a status; later all that is left is to break off.
    let first = match export.next().await {
        Ok(first) => first,
        Err(error) => return Err(export.served.problem(error)),
    };
    let lines = stream::try_unfold((first, export), |(first, mut export)| async move {
        let chunk = match first {
            Some(chunk) => Some(chunk),
            None => export.next().await.map_err(|error| export.broken(error))?,
        };
        Ok::<_, BoxError>(chunk.map(|chunk| (chunk, (None, export))))
    });
    let mut response = Response::new(Body::from_stream(lines));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    Ok(response)
}

/// An export under way.
struct Export<C> {
    served: Arc<Served<C>>,
    walk: Walk<C>,
    shown: Shown,
    count: usize,
    /// Whether a last line tells how many there were.
    end: bool,
}

impl<C: Collection> Export<C> {
    /// The lines of the next page, and none at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        let Some(page) = self.walk.next().await? else { return Ok(None) };
        let array = [b"[", &page.items[..], b"]"].concat();
        let mut lines = self.shown.lines(&self.served.schema, &array).map_err(|e| StoreError::Internal(e.into()))?;
        self.count += page.versions.len();
        if self.walk.is_over() && self.end {
            lines.extend_from_slice(format!("{{\"$end\":{{\"count\":{}}}}}\n", self.count).as_bytes());
        }
        // An empty chunk would end a chunked body.
        Ok((!lines.is_empty()).then(|| lines.into()))
    }

    /// The answer is torn, so that no client takes a part for the whole.
    fn broken(&self, error: StoreError) -> BoxError {
        // Tells the log; it is too late for a status.
        drop(self.served.problem(error));
        format!("the export of {} broke off after {} rows", self.served.schema.name, self.count).into()
    }
}
