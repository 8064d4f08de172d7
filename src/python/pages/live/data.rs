//! What the page asks for each second.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use serde_json::{Value as Json, json};
use tokio::sync::oneshot;

use super::Live;
use crate::Body;
use crate::layers::metrics::{Figures, MetricsHandle};
use crate::python::attach;
use crate::python::pages::failures;
use crate::python::pyloop::LoopHandle;
use crate::service::stopwatch::Part;
use crate::service::{LeafKind, Response};

/// For how long the loop is waited for; one that takes longer is busy.
const PATIENCE: Duration = Duration::from_millis(400);

pub(super) fn json(text: impl Into<Body>) -> Response {
    let mut response = Response::new(text.into());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // It is of now.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

impl Live {
    pub(super) async fn data(&self) -> Json {
        let shared = self.shared.get();
        let event_loop = match shared.and_then(|shared| shared.event_loop()) {
            Some(handle) => of_loop(&handle).await,
            None => Json::Null,
        };
        let threads = shared.map(|shared| {
            let (threads, idle, waiting) = shared.sync.load();
            json!({"made": threads, "idle": idle, "waiting": waiting})
        });
        let (last, passed_over) = failures::counts();
        let figures = self.figures.get();
        let entries = LeafKind::ALL.into_iter().zip(attach::counts());
        json!({
            "pid": std::process::id(),
            "begun": milliseconds(self.begun),
            "now": milliseconds(SystemTime::now()),
            "loop": event_loop,
            "threads": threads,
            // Without this one.
            "active": figures.map(|figures| figures.active().saturating_sub(1).max(0)),
            "entries": entries.map(|(kind, count)| (kind.as_str().to_owned(), count.into())).collect::<serde_json::Map<_, _>>(),
            "bounds": figures.map(|figures| figures.bounds()),
            "parts": Part::ALL.map(Part::as_str),
            "series": figures.map(|figures| self.series(figures)),
            "errors": {"last": last, "passed_over": passed_over},
        })
    }

    /// Of all routes but the page's own.
    fn series(&self, figures: &MetricsHandle) -> Json {
        figures.figures().iter().filter(|one| !self.is_own(&one.route)).map(of_series).collect()
    }
}

fn of_series(figures: &Figures) -> Json {
    json!({
        "route": &*figures.route,
        "method": figures.method,
        "status": figures.status,
        "count": figures.count,
        "seconds": figures.seconds,
        "buckets": figures.buckets,
        "parts": figures.parts,
    })
}

/// How long something that is handed to the loop waits there, and how much waits already.
async fn of_loop(handle: &LoopHandle) -> Json {
    let (queued, suspended) = handle.load();
    let (tell, told) = oneshot::channel();
    let begun = Instant::now();
    let handed = handle.deliver(Box::new(move |_| {
        let _ = tell.send(Instant::now());
    }));
    let lag = match handed {
        Ok(()) => tokio::time::timeout(PATIENCE, told).await.ok().and_then(Result::ok),
        // It is closed: the app stops.
        Err(_) => None,
    };
    let lag = lag.map(|at| at.duration_since(begun).as_secs_f64());
    json!({"lag": lag, "patience": PATIENCE.as_secs_f64(), "queued": queued, "suspended": suspended})
}

fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
