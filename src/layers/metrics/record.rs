use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::{Method, Request, Response, StatusCode, Uri};
use http_body::Body as HttpBody;

use super::RequestBody;
use super::body::Size;
use super::handle::Counted;
use super::series::{self, Key, Series, UNMATCHED, nanos};
use crate::layers::watched::{Watch, has_no_content};
use crate::service::stopwatch::Stopwatch;
use crate::service::{Dispatcher, LeafInfo};

/// A client that left before there was an answer, as nginx writes it to its log.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// What is known of a request so far. Counted when its head is there, and as ended when it is dropped.
#[derive(Debug)]
pub struct Record {
    counted: Arc<Counted>,
    method: usize,
    watch: Stopwatch,
    /// What another router has told.
    matched: Option<String>,
    /// Who can tell which leaf would have answered.
    asked: Option<(Dispatcher, Method, Uri)>,
    request: Size,
    polling: bool,
    series: Option<Arc<Series>>,
    has_no_content: bool,
    sent: u64,
}

impl Record {
    pub(super) fn start<B: HttpBody>(
        counted: &Arc<Counted>,
        request: Request<B>,
        routes: Option<&Dispatcher>,
        matched: Option<String>,
    ) -> (Request<RequestBody<B>>, Self) {
        let method = series::number(request.method());
        counted.active[method].fetch_add(1, Ordering::Relaxed);
        let asked = routes.map(|routes| (routes.clone(), request.method().clone(), request.uri().clone()));
        let watch = Stopwatch::start();
        let (mut parts, body) = request.into_parts();
        parts.extensions.insert(watch.clone());
        let (body, size) = RequestBody::measured(body);
        let record = Self {
            counted: counted.clone(),
            method,
            watch,
            matched,
            asked,
            request: size,
            polling: false,
            series: None,
            has_no_content: false,
            sent: 0,
        };
        (Request::from_parts(parts, body), record)
    }

    fn count(&mut self, status: u16, leaf: Option<&Arc<LeafInfo>>) {
        let asked = self.asked.take();
        let leaf =
            leaf.or_else(|| asked.as_ref().and_then(|(routes, method, uri)| routes.table().leaf(uri.path(), method)));
        // A path that has a route, and none of this method.
        let template = || asked.as_ref().and_then(|(routes, _, uri)| routes.table().template(uri.path()));
        let route = leaf.map(|leaf| &*leaf.path).or_else(template).or(self.matched.as_deref()).unwrap_or(UNMATCHED);
        let key = Key::new(self.method, leaf.map(|leaf| leaf.kind), status);
        let table = &self.counted.table;
        let series = table.series(route, key);
        let spent = self.watch.spent();
        series.duration.observe(&table.limits.seconds, nanos(spent.iter().sum::<Duration>()));
        series.spend(spent);
        self.series = Some(series);
    }
}

impl Watch for Record {
    const IN_MEMORY_IS_SENT: bool = true;

    fn polling(&mut self, now: bool) {
        self.polling = now;
    }

    fn answered<B>(&mut self, response: &mut Response<B>) {
        let status = response.status();
        self.has_no_content = has_no_content(self.method == series::number(&Method::HEAD), status);
        self.count(status.as_u16(), response.extensions().get::<Arc<LeafInfo>>());
    }

    fn failed_to_answer(&mut self) {
        self.count(StatusCode::INTERNAL_SERVER_ERROR.as_u16(), None);
    }

    fn has_no_content(&self) -> bool {
        self.has_no_content
    }

    fn sent(&mut self, bytes: u64) {
        self.sent += bytes;
    }

    // Its end is all that counts.
    fn complete(self) {}

    fn failed(self) {}
}

impl Drop for Record {
    fn drop(&mut self) {
        if self.series.is_none() {
            let panicked = StatusCode::INTERNAL_SERVER_ERROR.as_u16();
            self.count(if self.polling { panicked } else { CLIENT_CLOSED_REQUEST }, None);
        }
        if let Some(series) = &self.series {
            let bounds = &self.counted.table.limits.bytes;
            series.request_bytes.observe(bounds, self.request.bytes());
            series.response_bytes.observe(bounds, self.sent);
        }
        self.counted.active[self.method].fetch_sub(1, Ordering::Relaxed);
    }
}
