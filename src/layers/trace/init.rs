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
/// # Errors
/// When one is set. Nothing is changed then, and it is fine to go on.
pub fn init(format: Format, level: LevelFilter) -> Result<(), SubscriberSet> {
    dispatcher::set_global_default(dispatch(format, level, stderr, stderr().is_terminal())).map_err(|_| SubscriberSet)
}

pub(super) fn dispatch<W>(format: Format, level: LevelFilter, writer: W, colour: bool) -> Dispatch
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt().with_max_level(level).with_writer(writer).with_ansi(colour);
    match format {
        Format::Text => builder.into(),
        Format::Json => builder.json().flatten_event(true).with_current_span(false).with_span_list(false).into(),
    }
}
