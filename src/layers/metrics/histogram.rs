use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::ConfigError;

/// Upper ends of buckets, as they are told and as they are compared.
#[derive(Debug, Clone)]
pub(super) struct Bounds {
    told: Arc<[f64]>,
    compared: Arc<[u64]>,
}

impl Bounds {
    const MAX: usize = 100;

    /// Of seconds, compared in nanoseconds.
    pub(super) fn seconds(bounds: impl IntoIterator<Item = f64>) -> Result<Self, ConfigError> {
        let told: Vec<f64> = bounds.into_iter().collect();
        let wrong = |what: String| {
            Err(ConfigError::new(format!("Metrics: {what}")).cure("give seconds that grow, as 0.01, 0.1, 1"))
        };
        if told.is_empty() || told.len() > Self::MAX {
            return wrong(format!("there are {} buckets, and may be 1 to {}", told.len(), Self::MAX));
        }
        // A day: longer is a mistake of units.
        if let Some(bad) = told.iter().find(|bound| !(**bound >= 1e-9 && **bound <= 86_400.0)) {
            return wrong(format!("a bucket ends at {bad}, which is not from a nanosecond to a day"));
        }
        if let Some(pair) = told.windows(2).find(|pair| pair[0] >= pair[1]) {
            return wrong(format!("the bucket {} comes after {}", pair[1], pair[0]));
        }
        Ok(Self::of(told, 1e9))
    }

    /// From half a millisecond to ten seconds: from five milliseconds on what OpenTelemetry advises for
    /// `http.server.request.duration`, and finer below for what answers without Python.
    pub(super) fn default_seconds() -> Self {
        let finer = [0.0005, 0.001, 0.0025];
        let advised = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
        Self::of([&finer[..], &advised].concat(), 1e9)
    }

    /// Of bytes: none, and 100 to ten million.
    pub(super) fn bytes() -> Self {
        Self::of(vec![0.0, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7], 1.0)
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounds are checked, or written above")]
    fn of(told: Vec<f64>, scale: f64) -> Self {
        Self { compared: told.iter().map(|bound| (bound * scale).round() as u64).collect(), told: told.into() }
    }
}

/// How many values were in each bucket, and their sum.
#[derive(Debug)]
pub(super) struct Histogram {
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

impl Histogram {
    pub(super) fn new(bounds: &Bounds) -> Self {
        Self { counts: (0..=bounds.compared.len()).map(|_| AtomicU64::new(0)).collect(), sum: AtomicU64::new(0) }
    }

    pub(super) fn observe(&self, bounds: &Bounds, value: u64) {
        let bucket = bounds.compared.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
            self.sum.fetch_add(value, Ordering::Relaxed);
        }
    }
}

/// What one histogram or several hold at a moment.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) buckets: Vec<(f64, u64)>,
    pub(super) count: u64,
    sum: u64,
}

impl Snapshot {
    pub(super) fn of<'a>(bounds: &Bounds, histograms: impl IntoIterator<Item = &'a Histogram>) -> Self {
        let ends = bounds.told.iter().copied().chain([f64::INFINITY]);
        let mut snapshot = Self { buckets: ends.map(|end| (end, 0)).collect(), count: 0, sum: 0 };
        for histogram in histograms {
            for ((_, total), count) in snapshot.buckets.iter_mut().zip(&histogram.counts) {
                let count = count.load(Ordering::Relaxed);
                *total += count;
                snapshot.count += count;
            }
            snapshot.sum += histogram.sum.load(Ordering::Relaxed);
        }
        snapshot
    }

    pub(super) fn sum(&self, scale: f64) -> f64 {
        self.sum as f64 / scale
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_in_the_bucket_that_ends_with_it() {
        let bounds = Bounds::seconds([0.001, 0.01]).unwrap();
        let histogram = Histogram::new(&bounds);
        for value in [0, 1_000_000, 1_000_001, 10_000_000, 10_000_001, u64::from(u32::MAX)] {
            histogram.observe(&bounds, value);
        }
        let snapshot = Snapshot::of(&bounds, [&histogram, &histogram]);
        assert_eq!(snapshot.buckets, [(0.001, 4), (0.01, 4), (f64::INFINITY, 4)]);
        assert_eq!(snapshot.count, 12);
    }

    #[test]
    fn buckets_that_cannot_be_meant_are_refused() {
        for (bounds, says) in [
            (vec![], "there are 0 buckets"),
            (vec![1.0; 101], "there are 101 buckets"),
            (vec![0.0], "ends at 0,"),
            (vec![-1.0], "ends at -1,"),
            (vec![f64::NAN], "ends at NaN,"),
            (vec![f64::INFINITY], "ends at inf,"),
            (vec![100_000.0], "ends at 100000,"),
            (vec![1.0, 1.0], "the bucket 1 comes after 1"),
            (vec![1.0, 0.5], "the bucket 0.5 comes after 1"),
        ] {
            let error = Bounds::seconds(bounds).unwrap_err().to_string();
            assert!(error.contains(says) && error.contains("; give seconds that grow"), "{error}");
        }
    }
}
