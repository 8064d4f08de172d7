use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use http::header::HeaderValue;
use http::{Method, Request, Response, StatusCode, Uri};
use tracing::Level;

use crate::layers::watched::{Watch, has_no_content};
use crate::service::LeafInfo;

/// Calls a `tracing` macro with a level that is known only now.
macro_rules! at_level {
    ($level:expr, $macro:ident, $($arg:tt)*) => {
        match $level {
            Level::ERROR => tracing::$macro!(target: "ziggurat::access", Level::ERROR, $($arg)*),
            Level::WARN => tracing::$macro!(target: "ziggurat::access", Level::WARN, $($arg)*),
            Level::INFO => tracing::$macro!(target: "ziggurat::access", Level::INFO, $($arg)*),
            Level::DEBUG => tracing::$macro!(target: "ziggurat::access", Level::DEBUG, $($arg)*),
            Level::TRACE => tracing::$macro!(target: "ziggurat::access", Level::TRACE, $($arg)*),
        }
    };
}

/// What is known of a request so far. Written to the log when it is dropped, however that comes about.
pub struct Record {
    level: Level,
    start: Instant,
    method: Method,
    uri: Uri,
    matched: Option<String>,
    leaf: Option<Arc<LeafInfo>>,
    request_id: Option<HeaderValue>,
    client: Option<IpAddr>,
    trace: Option<TraceId>,
    status: Option<StatusCode>,
    bytes: u64,
    end: End,
}

enum End {
    Aborted,
    Polling,
    Failed,
    Complete,
}

impl Record {
    /// Starts the clock; none when nothing of this request could be logged.
    pub(super) fn start<B>(level: Level, request: &Request<B>) -> Option<Self> {
        if !enabled(Level::ERROR) && !enabled(level) {
            return None;
        }
        Some(Self {
            level,
            start: Instant::now(),
            method: request.method().clone(),
            uri: request.uri().clone(),
            matched: None,
            leaf: None,
            request_id: id_of(request.extensions()),
            client: client_of(request.extensions()),
            trace: trace_of(request.extensions()),
            status: None,
            bytes: 0,
            end: End::Aborted,
        })
    }

    pub(super) fn matched(&mut self, path: Option<String>) {
        self.matched = path;
    }
}

impl Watch for Record {
    /// Its lines tell of clients that leave before the last byte.
    const IN_MEMORY_IS_SENT: bool = false;

    fn polling(&mut self, now: bool) {
        self.end = if now { End::Polling } else { End::Aborted };
    }

    fn answered<B>(&mut self, response: &mut Response<B>) {
        self.status = Some(response.status());
        self.leaf = response.extensions().get().cloned();
        // Either may be set by a layer inside of this one.
        if self.trace.is_none() {
            self.trace = trace_of(response.extensions());
        }
        if self.request_id.is_none() {
            self.request_id = id_of(response.extensions()).or_else(|| response.headers().get("x-request-id").cloned());
        }
    }

    fn failed_to_answer(&mut self) {
        self.end = End::Failed;
    }

    fn has_no_content(&self) -> bool {
        self.status.is_some_and(|status| has_no_content(self.method == Method::HEAD, status))
    }

    fn sent(&mut self, bytes: u64) {
        self.bytes += bytes;
    }

    fn complete(mut self) {
        self.end = End::Complete;
    }

    fn failed(mut self) {
        self.end = End::Failed;
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let level = match (self.status, &self.end) {
            (_, End::Polling) => Level::ERROR,
            (Some(status), _) if status.is_server_error() => Level::ERROR,
            _ => self.level,
        };
        if !enabled(level) {
            return;
        }
        let path = match (&self.leaf, &self.matched) {
            (Some(leaf), _) => &*leaf.path,
            (None, Some(path)) => path,
            (None, None) => self.uri.path(),
        };
        // Whole microseconds, so that the number stays short in text.
        let latency_ms = self.start.elapsed().as_micros() as f64 / 1000.0;
        let aborted = match self.end {
            End::Aborted => Some("client gone"),
            End::Polling => Some("panicked"),
            End::Failed => Some("failed"),
            End::Complete => None,
        };
        at_level!(
            level,
            event,
            method = self.method.as_str(),
            path,
            status = self.status.map(|status| status.as_u16()),
            latency_ms,
            bytes = self.bytes,
            request_id = self.request_id.as_ref().and_then(|id| id.to_str().ok()),
            client = self.client.map(tracing::field::display),
            trace_id = self.trace.as_ref().map(id_of_trace),
            leaf = self.leaf.as_ref().map(|leaf| leaf.kind.as_str()),
            aborted,
        );
    }
}

fn enabled(level: Level) -> bool {
    match level {
        Level::ERROR => tracing::enabled!(target: "ziggurat::access", Level::ERROR),
        Level::WARN => tracing::enabled!(target: "ziggurat::access", Level::WARN),
        Level::INFO => tracing::enabled!(target: "ziggurat::access", Level::INFO),
        Level::DEBUG => tracing::enabled!(target: "ziggurat::access", Level::DEBUG),
        Level::TRACE => tracing::enabled!(target: "ziggurat::access", Level::TRACE),
    }
}

#[cfg(feature = "request-id")]
fn id_of(extensions: &http::Extensions) -> Option<HeaderValue> {
    extensions.get::<crate::layers::RequestId>().map(|id| id.as_header().clone())
}

#[cfg(not(feature = "request-id"))]
fn id_of(_: &http::Extensions) -> Option<HeaderValue> {
    None
}

#[cfg(feature = "client-ip")]
fn client_of(extensions: &http::Extensions) -> Option<IpAddr> {
    extensions.get::<crate::layers::ClientIp>().map(|client| client.0)
}

#[cfg(not(feature = "client-ip"))]
fn client_of(_: &http::Extensions) -> Option<IpAddr> {
    None
}

#[cfg(feature = "otel")]
type TraceId = crate::layers::TraceContext;

/// There is none.
#[cfg(not(feature = "otel"))]
type TraceId = std::convert::Infallible;

#[cfg(feature = "otel")]
fn trace_of(extensions: &http::Extensions) -> Option<TraceId> {
    extensions.get().cloned()
}

#[cfg(not(feature = "otel"))]
fn trace_of(_: &http::Extensions) -> Option<TraceId> {
    None
}

#[cfg(feature = "otel")]
fn id_of_trace(trace: &TraceId) -> String {
    trace.trace_id()
}

#[cfg(not(feature = "otel"))]
fn id_of_trace(never: &TraceId) -> &str {
    match *never {}
}
