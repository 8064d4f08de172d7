use std::sync::atomic::AtomicI64;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue, Method, Response};

use super::histogram::Bounds;
use super::render::{self, Format};
use super::series::{METHODS, Table};

/// Reads what a [`MetricsLayer`](super::MetricsLayer) counts, to show it elsewhere. A clone reads the same.
#[derive(Debug, Clone)]
pub struct MetricsHandle(pub(super) Arc<Counted>);

/// How often Python was entered for leaves of each kind.
pub(super) type Entries = fn() -> [u64; crate::service::LeafKind::ALL.len()];

#[derive(Debug)]
pub(super) struct Counted {
    pub(super) table: Table,
    /// Requests whose answer has not ended, by the number of their method.
    pub(super) active: [AtomicI64; METHODS.len()],
    pub(super) entries: OnceLock<Entries>,
}

impl MetricsHandle {
    pub(super) fn new(seconds: Bounds) -> Self {
        let counted = Counted { table: Table::new(seconds), active: Default::default(), entries: OnceLock::new() };
        Self(Arc::new(counted))
    }

    /// All metrics in the text format of Prometheus, version 0.0.4: `text/plain; version=0.0.4; charset=utf-8`.
    pub fn render(&self) -> String {
        render::text(&self.0, Format::Prometheus)
    }

    /// The answer to a request with this method and these headers: as OpenMetrics for who takes that, and without a body for HEAD.
    pub fn answer<B: From<Bytes>>(&self, method: &Method, headers: &HeaderMap) -> Response<B> {
        let format = match headers.get_all(ACCEPT).iter().any(names_open_metrics) {
            true => Format::OpenMetrics,
            false => Format::Prometheus,
        };
        let text = Bytes::from(render::text(&self.0, format));
        let length = text.len();
        let mut response = Response::new(B::from(if *method == Method::HEAD { Bytes::new() } else { text }));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
        headers.insert(CONTENT_LENGTH, length.into());
        // They are of now.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        response
    }
}

/// Prometheus and its kin name what they like best and send `q` for order alone.
fn names_open_metrics(accept: &HeaderValue) -> bool {
    accept.to_str().is_ok_and(|accept| accept.contains("application/openmetrics-text"))
}
