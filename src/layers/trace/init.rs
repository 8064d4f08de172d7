use std::fmt;
use std::io::{IsTerminal, stderr};

use serde::Deserialize;
use tracing::level_filters::LevelFilter;
use tracing::{Dispatch, dispatcher};
use tracing_subscriber::fmt::MakeWriter;

/// What a line of the log looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people: time, level, target and fields.
    #[default]
    Text,
    /// For machines: one JSON object per line.
    Json,
}

/// The program has a `tracing` subscriber already, which stays in charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubscriberSet;

impl fmt::Display for SubscriberSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a tracing subscriber is already set")
    }
}

impl std::error::Error for SubscriberSet {}

/// Writes events of `level` and above to standard error, for programs that have not set a subscriber.
///
/// In colour where that is a terminal and [`NO_COLOR`](https://no-color.org) is not set. What cannot be written, as when the reader of a
/// pipe has gone, is lost, and nothing else is.
///
/// # Errors
/// When one is set. Nothing is changed then, and it is fine to go on.
pub fn init(format: Format, level: LevelFilter) -> Result<(), SubscriberSet> {
    let colour = stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    dispatcher::set_global_default(dispatch(format, level, stderr, colour)).map_err(|_| SubscriberSet)
}

pub(super) fn dispatch<W>(format: Format, level: LevelFilter, writer: W, colour: bool) -> Dispatch
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(writer)
        .with_ansi(colour)
        // It would tell of what it cannot write to standard error by eprintln!, which panics where that is what failed.
        .log_internal_errors(false);
    match format {
        Format::Text => builder.into(),
        Format::Json => builder.json().flatten_event(true).with_current_span(false).with_span_list(false).into(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn written(format: Format, level: LevelFilter) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let dispatch = dispatch(format, level, move || writer.clone(), false);
        tracing::dispatcher::with_default(&dispatch, || {
            tracing::info!(target: "ziggurat::access", path = "/a\nb", status = 200);
            tracing::debug!("hidden");
        });
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn text_and_json_are_one_line_each() {
        let text = written(Format::Text, LevelFilter::INFO);
        assert!(text.ends_with("INFO ziggurat::access: path=\"/a\\nb\" status=200\n"), "{text}");
        let json = written(Format::Json, LevelFilter::INFO);
        assert_eq!(json.lines().count(), 1);
        let line: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!((&line["path"], &line["status"], &line["level"]), (&"/a\nb".into(), &200.into(), &"INFO".into()));
        assert_eq!(written(Format::Json, LevelFilter::WARN), "");
    }
}
