//! `GET /user/_changes`: what changes, as it happens (server-sent events, WHATWG HTML 9.2).
//!
//! A row that comes to be among those that the filter holds for and the caller may see is a `create`, one that ceases to be is a
//! `delete`, whatever happened to it in the store: nobody learns of a row that was never there for them.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use http::request::Parts;

use crate::crud::feed::{End, Image, Seen, Watch};
use crate::crud::query::{self, Shown};
use crate::crud::service::Served;
use crate::crud::store::ChangesError;
use crate::crud::{Collection, Expr, Schema, json};
use crate::service::{Claims, Problem};
use crate::{Body, BoxError, Request, Response};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Proxies that would collect the answer are told not to.
const NO_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
/// How long nothing may be said, so that both sides and what stands between them know that the connection lives.
const SILENCE: Duration = Duration::from_secs(5);
/// Bytes that are sent at once while there are more changes.
const CHUNK: usize = 64 * 1024;

pub(in crate::crud) async fn changes<C: Collection>(
    served: Arc<Served<C>>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    let (filter, shown) = query::watched(&served.schema, parts.uri.query(), &served.list)?;
    let filter = filter.and(served.readable(&parts));
    let last = parts.headers.get(LAST_EVENT_ID).and_then(|value| value.to_str().ok()).filter(|last| !last.is_empty());
    let (watch, missed) = match served.feed.watch(last).await {
        Err(ChangesError::Lost) if last.is_some() => (served.feed.watch(None).await, true),
        watch => (watch, false),
    };
    let watch = watch.map_err(|error| match error {
        ChangesError::Lost => Problem::unavailable("the feed of changes cannot begin at the moment", 1),
        ChangesError::Store(error) => served.problem(error),
    })?;
    let events = Events {
        schema: Arc::clone(&served.schema),
        watch,
        filter,
        shown,
        told: last.filter(|_| !missed).map(str::to_owned),
        stop: stop(&parts),
        is_over: false,
    };
    let first = if missed { Some(events.reset()) } else { None };
    let chunks = stream::unfold((true, first, events), |(begins, first, mut events)| async move {
        let chunk = if begins { events.begin(first) } else { events.next().await? };
        Some((Ok::<_, BoxError>(Bytes::from(chunk)), (false, None, events)))
    });
    let mut response = Response::new(Body::from_stream(chunks));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    headers.insert(NO_BUFFERING, HeaderValue::from_static("no"));
    Ok(response)
}

/// Ready when the answer has to end: the server stops, or the caller's token is no longer valid.
fn stop(parts: &Parts) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    let expires =
        parts.extensions.get::<Claims>().and_then(|claims| claims.get("exp")).and_then(serde_json::Value::as_f64);
    let expired = async move {
        match expires.map(|at| Duration::try_from_secs_f64(at).unwrap_or_default()) {
            Some(at) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                tokio::time::sleep(at.saturating_sub(now)).await;
            }
            None => std::future::pending().await,
        }
    };
    #[cfg(feature = "server")]
    if let Some(info) = parts.extensions.get::<crate::service::server::ConnectInfo>() {
        let stopping = info.stopping();
        return Box::pin(async move {
            tokio::select! {
                () = expired => {}
                () = stopping => {}
            }
        });
    }
    Box::pin(expired)
}

/// The events of one answer.
struct Events {
    schema: Arc<Schema>,
    watch: Watch,
    filter: Expr,
    shown: Shown,
    /// The last token that the client was told.
    told: Option<String>,
    stop: Pin<Box<dyn Future<Output = ()> + Send>>,
    is_over: bool,
}

impl Events {
    /// What is sent first, at once, so that the client knows that it is connected.
    fn begin(&mut self, reset: Option<String>) -> String {
        let mut out = String::from("retry: 1000\n");
        match reset {
            Some(reset) => out.push_str(&reset),
            None => self.keep_alive(&mut out),
        }
        out
    }

    /// The next chunk, and none at the end.
    async fn next(&mut self) -> Option<String> {
        if self.is_over {
            return None;
        }
        let mut out = String::new();
        let silence = tokio::time::sleep(SILENCE);
        tokio::pin!(silence);
        while out.is_empty() {
            let seen = tokio::select! {
                seen = self.watch.next() => seen,
                () = &mut self.stop => return None,
                () = &mut silence => {
                    self.keep_alive(&mut out);
                    return Some(out);
                }
            };
            if !self.tell(seen, &mut out) {
                break;
            }
        }
        // What has come meanwhile goes along.
        while !self.is_over && out.len() < CHUNK {
            match self.watch.ready() {
                Ok(None) => break,
                Ok(Some(seen)) => drop(self.tell(Ok(seen), &mut out)),
                Err(end) => drop(self.tell(Err(end), &mut out)),
            }
        }
        (!out.is_empty()).then_some(out)
    }

    /// Appends what a change is to this client; whether there can be more.
    fn tell(&mut self, seen: Result<Arc<Seen>, End>, out: &mut String) -> bool {
        match seen {
            Ok(seen) => self.event(&seen, out),
            Err(end) => {
                self.is_over = true;
                if end == End::Missed {
                    out.push_str(&self.reset());
                }
            }
        }
        !self.is_over
    }

    fn event(&mut self, seen: &Seen, out: &mut String) {
        let image = |image: &'_ Option<Image>| image.as_ref().is_some_and(|image| image.holds(&self.filter));
        let (name, data) = match (image(&seen.before), image(&seen.after)) {
            (false, false) => return,
            (false, true) => ("create", seen.after.as_ref().map(|image| self.shown(image))),
            (true, true) => ("update", seen.after.as_ref().map(|image| self.shown(image))),
            (true, false) => ("delete", seen.before.as_ref().map(|image| self.id(image))),
        };
        let Some(data) = data else { return };
        out.push_str("event: ");
        out.push_str(name);
        out.push_str("\nid: ");
        out.push_str(&seen.token);
        out.push_str("\ndata: ");
        // JSON of one line: a line break in a text is escaped.
        out.push_str(&String::from_utf8_lossy(&data));
        out.push_str("\n\n");
        self.told = Some(seen.token.clone());
    }

    fn shown(&self, image: &Image) -> Vec<u8> {
        if self.shown.is_whole(&self.schema) {
            return image.json.to_vec();
        }
        self.shown.row(&self.schema, &image.json).unwrap_or_else(|error| {
            tracing::error!(model = self.schema.name, %error, "a stored row is no JSON");
            b"{}".to_vec()
        })
    }

    /// `{"id":...}`
    fn id(&self, image: &Image) -> Vec<u8> {
        let mut out = vec![b'{'];
        if let Some((field, value)) =
            self.schema.id.and_then(|id| Some((self.schema.fields.get(id)?, image.value(id)?)))
        {
            out.extend_from_slice(field.key());
            json::write_value(&mut out, &field.kind, value);
        }
        out.push(b'}');
        out
    }

    /// A comment, and the token of what was passed over since the last event.
    fn keep_alive(&mut self, out: &mut String) {
        if let Some(token) = self.watch.token().filter(|token| self.told.as_deref() != Some(*token)) {
            out.push_str("id: ");
            out.push_str(token);
            out.push('\n');
            self.told = Some(token.to_owned());
        }
        out.push_str(":\n\n");
    }

    /// Tells that changes were missed, and where the feed is by now.
    fn reset(&self) -> String {
        let id = self.watch.latest().map_or(String::new(), |token| format!("id: {token}\n"));
        format!("event: reset\n{id}data: {{\"detail\":\"changes were missed; read the rows again\"}}\n\n")
    }
}
