use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, prometheus_text, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use super::handle::Counted;
use super::histogram::{Bounds, Histogram, Snapshot};
use super::process::Process;
use super::series::{Key, METHODS, Series};
use crate::service::LeafKind;
use crate::service::stopwatch::Part;

pub(super) const NANOS: f64 = 1e9;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Prometheus,
    OpenMetrics,
}

impl Format {
    pub(super) const fn media_type(self) -> &'static str {
        match self {
            Self::Prometheus => prometheus_text::CONTENT_TYPE,
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

pub(super) fn text(counted: &Arc<Counted>, format: Format) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(counted.clone()));
    let mut written = String::new();
    let done = match format {
        Format::Prometheus => prometheus_text::encode(&mut written, &registry),
        Format::OpenMetrics => text::encode(&mut written, &registry),
    };
    if let Err(error) = done {
        // A string takes all that is written.
        tracing::error!(%error, "metrics could not be written");
    }
    written
}

/// The series of requests that differ in their status alone.
struct Group<'a> {
    route: &'a str,
    key: Key,
    series: Vec<&'a Series>,
}

impl Group<'_> {
    fn labels(&self) -> [(&str, &str); 3] {
        labels(self.route, self.key)
    }
}

fn labels(route: &str, key: Key) -> [(&str, &str); 3] {
    let method = METHODS.get(key.method).copied().unwrap_or_default();
    [("http_request_method", method), ("http_route", route), ("leaf", key.leaf.unwrap_or("none"))]
}

type Choose = fn(&Series) -> &Histogram;
type Written = Result<(), fmt::Error>;

impl Collector for Counted {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Written {
        let all = self.table.all();
        let each = || all.iter().flat_map(|(route, at)| at.iter().map(|(key, series)| (&**route, *key, &**series)));
        let mut groups: Vec<Group<'_>> = Vec::new();
        for (route, key, series) in each() {
            match groups.last_mut() {
                Some(last) if (last.route, last.key.method, last.key.leaf) == (route, key.method, key.leaf) => {
                    last.series.push(series);
                }
                _ => groups.push(Group { route, key, series: vec![series] }),
            }
        }
        let limits = &self.table.limits;

        let help = "Requests that were answered.";
        let mut family = encoder.encode_descriptor("http_server_requests", help, None, MetricType::Counter)?;
        for (route, key, series) in each() {
            let status = key.status.to_string();
            let labels = (labels(route, key), [("http_response_status_code", &*status)]);
            count(&mut family.encode_family(&labels)?, Snapshot::of(&limits.seconds, [&series.duration]).count)?;
        }

        let (name, help) = ("http_server_request_duration", "Time until the head of the answer was there.");
        let mut family = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
        for (route, key, series) in each() {
            let status = key.status.to_string();
            let labels = (labels(route, key), [("http_response_status_code", &*status)]);
            histogram(&mut family.encode_family(&labels)?, &limits.seconds, [&series.duration], NANOS)?;
        }

        let (name, help) = ("http_server_request_part", "Where the time of requests went.");
        let mut family = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Counter)?;
        for group in &groups {
            for part in Part::ALL {
                let nanos: u64 = group.series.iter().map(|series| series.spent(part)).sum();
                let labels = (group.labels(), [("part", part.as_str())]);
                count(&mut family.encode_family(&labels)?, nanos as f64 / NANOS)?;
            }
        }

        let help = "Requests whose answer has not ended.";
        let mut family = encoder.encode_descriptor("http_server_active_requests", help, None, MetricType::Gauge)?;
        for (method, active) in METHODS.iter().zip(&self.active) {
            let labels = [("http_request_method", *method)];
            family.encode_family(&labels)?.encode_gauge(&active.load(Ordering::Relaxed))?;
        }

        let sizes: [(&str, &str, Choose); 2] = [
            ("http_server_request_body_size", "Bytes of request bodies.", |series| &series.request_bytes),
            ("http_server_response_body_size", "Bytes of answers' bodies.", |series| &series.response_bytes),
        ];
        for (name, help, of) in sizes {
            let mut family = encoder.encode_descriptor(name, help, Some(&Unit::Bytes), MetricType::Histogram)?;
            for group in &groups {
                let sizes = group.series.iter().map(|series| of(series));
                histogram(&mut family.encode_family(&group.labels())?, &limits.bytes, sizes, 1.0)?;
            }
        }

        if let Some(entries) = self.entries.get() {
            let help = "How often Python was entered for leaves of this kind.";
            let mut family = encoder.encode_descriptor("ziggurat_python_entries", help, None, MetricType::Counter)?;
            for (kind, entered) in LeafKind::ALL.iter().zip(entries()) {
                count(&mut family.encode_family(&[("leaf", kind.as_str())])?, entered)?;
            }
        }
        process(&mut encoder)
    }
}

fn process(encoder: &mut DescriptorEncoder) -> Written {
    let Some(process) = Process::read() else { return Ok(()) };
    let (seconds, bytes) = (Some(&Unit::Seconds), Some(&Unit::Bytes));
    let help = "CPU time that the process has used.";
    count(&mut encoder.encode_descriptor("process_cpu", help, seconds, MetricType::Counter)?, process.cpu_seconds)?;
    let gauge = MetricType::Gauge;
    let memory = encoder.encode_descriptor("process_resident_memory", "Memory of the process.", bytes, gauge);
    memory?.encode_gauge(&process.resident_bytes)?;
    let fds = encoder.encode_descriptor("process_open_fds", "Open file descriptors.", None, gauge);
    fds?.encode_gauge(&process.open_fds)?;
    let start = encoder.encode_descriptor("process_start_time", "When the process began.", seconds, gauge);
    start?.encode_gauge(&process.start_seconds)
}

fn count<V: prometheus_client::encoding::EncodeCounterValue>(encoder: &mut MetricEncoder<'_>, value: V) -> Written {
    encoder.encode_counter::<NoLabelSet, V, f64>(&value, None)
}

fn histogram<'a>(
    encoder: &mut MetricEncoder<'_>,
    bounds: &Bounds,
    histograms: impl IntoIterator<Item = &'a Histogram>,
    scale: f64,
) -> Written {
    let snapshot = Snapshot::of(bounds, histograms);
    encoder.encode_histogram::<NoLabelSet>(snapshot.sum(scale), snapshot.count, &snapshot.buckets, None)
}
