use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::MetricsHandle;
use super::histogram::Snapshot;
use super::render::NANOS;
use super::series::METHODS;
use crate::service::stopwatch::Part;

/// What was counted of requests that are alike, as numbers.
pub(crate) struct Figures {
    pub(crate) route: Arc<str>,
    pub(crate) method: &'static str,
    pub(crate) status: u16,
    pub(crate) count: u64,
    /// Of all of them together.
    pub(crate) seconds: f64,
    /// How many ended in each bucket of durations; the last one has no end.
    pub(crate) buckets: Vec<u64>,
    /// Seconds in each of [`Part::ALL`].
    pub(crate) parts: [f64; Part::ALL.len()],
}

impl MetricsHandle {
    /// The seconds at which buckets of durations end, but for the last.
    pub(crate) fn bounds(&self) -> Vec<f64> {
        let snapshot = Snapshot::of(&self.0.table.limits.seconds, []);
        snapshot.buckets.into_iter().map(|(end, _)| end).filter(|end| end.is_finite()).collect()
    }

    /// What was counted so far.
    pub(crate) fn figures(&self) -> Vec<Figures> {
        let limits = &self.0.table.limits.seconds;
        let all = self.0.table.all().into_iter();
        all.flat_map(|(route, at)| {
            at.into_iter().map(move |(key, series)| {
                let duration = Snapshot::of(limits, [&series.duration]);
                Figures {
                    route: route.clone(),
                    method: METHODS[key.method],
                    status: key.status,
                    count: duration.count,
                    seconds: duration.sum(NANOS),
                    buckets: duration.buckets.iter().map(|(_, count)| *count).collect(),
                    parts: Part::ALL.map(|part| series.spent(part) as f64 / NANOS),
                }
            })
        })
        .collect()
    }

    /// Requests whose answer has not ended.
    pub(crate) fn active(&self) -> i64 {
        self.0.active.iter().map(|active| active.load(Ordering::Relaxed)).sum()
    }
}
