use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use http::Method;

use super::histogram::{Bounds, Histogram};
use crate::service::LeafKind;
use crate::service::stopwatch::Part;

/// How many routes are told apart.
pub const MAX_ROUTES: usize = 2000;

/// The route of requests that none matched. Routes begin with a slash.
pub(super) const UNMATCHED: &str = "unmatched";

/// Methods by their numbers: those that are registered with IANA and in use, and all others.
pub(super) const METHODS: [&str; 11] =
    ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "QUERY", "CONNECT", "TRACE", "_OTHER"];

pub(super) fn number(method: &Method) -> usize {
    let known = METHODS.len() - 1;
    METHODS[..known].iter().position(|name| *name == method.as_str()).unwrap_or(known)
}

/// What is told apart at one route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) method: usize,
    pub(super) leaf: Option<&'static str>,
    pub(super) status: u16,
}

impl Key {
    pub(super) fn new(method: usize, leaf: Option<LeafKind>, status: u16) -> Self {
        Self { method, leaf: leaf.map(LeafKind::as_str), status }
    }
}

/// What is counted of requests that are alike.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) duration: Histogram,
    pub(super) request_bytes: Histogram,
    pub(super) response_bytes: Histogram,
    parts: [AtomicU64; Part::ALL.len()],
}

impl Series {
    fn new(bounds: &Limits) -> Self {
        Self {
            duration: Histogram::new(&bounds.seconds),
            request_bytes: Histogram::new(&bounds.bytes),
            response_bytes: Histogram::new(&bounds.bytes),
            parts: Default::default(),
        }
    }

    /// Takes up the parts of one request.
    pub(super) fn spend(&self, spent: [Duration; Part::ALL.len()]) {
        for (total, part) in self.parts.iter().zip(spent).filter(|(_, part)| !part.is_zero()) {
            total.fetch_add(nanos(part), Ordering::Relaxed);
        }
    }

    /// Nanoseconds of all requests in this part.
    pub(super) fn spent(&self, part: Part) -> u64 {
        self.parts[part as usize].load(Ordering::Relaxed)
    }
}

pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The ends of buckets.
#[derive(Debug)]
pub(super) struct Limits {
    pub(super) seconds: Bounds,
    pub(super) bytes: Bounds,
}

type AtRoute = Vec<(Key, Arc<Series>)>;

/// All series, by their routes.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) limits: Limits,
    routes: RwLock<HashMap<Arc<str>, AtRoute>>,
}

impl Table {
    pub(super) fn new(seconds: Bounds) -> Self {
        Self { limits: Limits { seconds, bytes: Bounds::bytes() }, routes: RwLock::default() }
    }

    /// That of requests of this kind to this route.
    pub(super) fn series(&self, route: &str, key: Key) -> Arc<Series> {
        let find = |at: &AtRoute| at.iter().find(|(own, _)| *own == key).map(|(_, series)| series.clone());
        let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
        // Where there are too many, one more is looked for where it would be counted: else all that follow took turns.
        let others = || if routes.len() < MAX_ROUTES { None } else { routes.get(UNMATCHED) };
        if let Some(series) = routes.get(route).or_else(others).and_then(find) {
            return series;
        }
        drop(routes);
        let mut routes = self.routes.write().unwrap_or_else(PoisonError::into_inner);
        let route = if routes.contains_key(route) || routes.len() < MAX_ROUTES { route } else { UNMATCHED };
        let at = routes.entry(route.into()).or_default();
        find(at).unwrap_or_else(|| {
            let series = Arc::new(Series::new(&self.limits));
            at.push((key, series.clone()));
            series
        })
    }

    /// All of them, in the order in which they are told.
    pub(super) fn all(&self) -> Vec<(Arc<str>, AtRoute)> {
        let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = routes.iter().map(|(route, at)| (route.clone(), at.clone())).collect();
        drop(routes);
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        all.iter_mut().for_each(|(_, at)| at.sort_by_key(|(key, _)| *key));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_bounded() {
        let table = Table::new(Bounds::default_seconds());
        let key = Key::new(0, None, 200);
        for number in 0..MAX_ROUTES * 2 {
            table.series(&format!("/{number}"), key).duration.observe(&table.limits.seconds, 1);
        }
        let all = table.all();
        assert_eq!(all.len(), MAX_ROUTES + 1);
        assert!(all.iter().any(|(route, _)| &**route == UNMATCHED));
        assert!(Arc::ptr_eq(&table.series("/0", key), &table.series("/0", key)));
    }

    #[test]
    fn what_is_known_is_read_by_many_at_once() {
        let table = Arc::new(Table::new(Bounds::default_seconds()));
        let key = Key::new(0, None, 200);
        (0..=MAX_ROUTES).for_each(|number| drop(table.series(&format!("/{number}"), key)));
        let reading = table.routes.read().unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        let other = table.clone();
        std::thread::spawn(move || {
            let series = ["/0", "/one more", "/and another"].map(|route| other.series(route, key));
            sender.send(Arc::ptr_eq(&series[1], &series[2])).unwrap();
        });
        assert_eq!(receiver.recv_timeout(Duration::from_secs(10)), Ok(true));
        drop(reading);
    }

    #[test]
    fn methods_that_are_made_up_are_one() {
        let number = |name: &str| METHODS[super::number(&name.parse().unwrap())];
        assert_eq!(
            [number("GET"), number("QUERY"), number("get"), number("_OTHER"), number("X")],
            ["GET", "QUERY", "_OTHER", "_OTHER", "_OTHER"]
        );
    }
}
