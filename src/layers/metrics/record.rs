use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use http::uri::PathAndQuery;
use http::{Method, Request, Response, StatusCode};
use http_body::Body as HttpBody;

use super::RequestBody;
use super::body::Read;
use super::handle::Counted;
use super::series::{self, Key, Series, UNMATCHED, nanos};
use crate::layers::watched::{Watch, has_no_content};
use crate::service::stopwatch::{Part, Stopwatch};
use crate::service::{Dispatcher, LeafInfo};

/// A client that left before there was an answer, as nginx writes it to its log.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// What is known of a request so far. Counted when its head is there, and as ended when it is dropped.
#[derive(Debug)]
pub struct Record {
    counted: Arc<Counted>,
    method: usize,
    begun: Instant,
    /// None in a build without leaves that tell where they spend the time.
    watch: Option<Stopwatch>,
    /// What another router has told.
    matched: Option<String>,
    /// Who can tell which leaf would have answered.
    asked: Option<(Dispatcher, Method, PathAndQuery)>,
    request: Read,
    polling: bool,
    series: Option<Arc<Series>>,
    has_no_content: bool,
    sent: u64,
}

impl Record {
    pub(super) fn start<B: HttpBody>(
        counted: &Arc<Counted>,
        mut request: Request<B>,
        routes: Option<&Dispatcher>,
        matched: Option<String>,
    ) -> (Request<RequestBody<B>>, Self) {
        let method = series::number(request.method());
        counted.active[method].fetch_add(1, Ordering::Relaxed);
        let target = routes.zip(request.uri().path_and_query());
        let asked = target.map(|(routes, path)| (routes.clone(), request.method().clone(), path.clone()));
        let begun = Instant::now();
        let watch = cfg!(any(feature = "crud", feature = "python")).then(|| Stopwatch::start(begun));
        if let Some(watch) = &watch {
            request.extensions_mut().insert(watch.clone());
        }
        let request = request.map(RequestBody::new);
        let record = Self {
            counted: counted.clone(),
            method,
            begun,
            watch,
            matched,
            asked,
            request: request.body().read(),
            polling: false,
            series: None,
            has_no_content: false,
            sent: 0,
        };
        (request, record)
    }

    /// How long each part took, in the order of [`Part::ALL`].
    fn spent(&self) -> [Duration; Part::ALL.len()] {
        match &self.watch {
            Some(watch) => watch.spent(),
            None => [self.begun.elapsed(), Duration::ZERO, Duration::ZERO, Duration::ZERO],
        }
    }

    fn count(&mut self, status: u16, leaf: Option<&Arc<LeafInfo>>) {
        let asked = self.asked.take();
        let leaf =
            leaf.or_else(|| asked.as_ref().and_then(|(routes, method, path)| routes.table().leaf(path.path(), method)));
        // A path that has a route, and none of this method.
        let template = || asked.as_ref().and_then(|(routes, _, path)| routes.table().template(path.path()));
        let route = leaf.map(|leaf| &*leaf.path).or_else(template).or(self.matched.as_deref()).unwrap_or(UNMATCHED);
        let key = Key::new(self.method, leaf.map(|leaf| leaf.kind), status);
        let table = &self.counted.table;
        let series = table.series(route, key);
        let spent = self.spent();
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
            let read = self.request.as_ref().map_or(0, |read| read.load(Ordering::Relaxed));
            series.request_bytes.observe(bounds, read);
            series.response_bytes.observe(bounds, self.sent);
        }
        self.counted.active[self.method].fetch_sub(1, Ordering::Relaxed);
    }
}
