//! The native log: `tracing` events, written to standard error.
//!
//! Exceptions of handlers go to Python's `logging` instead (see `errors`), where the app decides about them.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::layers::trace::{Format, LevelFilter, init};

/// Writes events of at least `level` to standard error, as text or as JSON lines.
///
/// The first call decides; later ones change nothing, so that several apps can live in one process.
#[pyfunction]
#[pyo3(signature = (level, format = "text"))]
pub(super) fn init_log(level: &str, format: &str) -> PyResult<()> {
    let format = match format {
        "text" => Format::Text,
        "json" => Format::Json,
        other => return Err(PyValueError::new_err(format!("{other:?} is not a log format; use text or json"))),
    };
    // Python says "warning" and "critical".
    let level = match level.to_ascii_lowercase().as_str() {
        "trace" => LevelFilter::TRACE,
        "debug" => LevelFilter::DEBUG,
        "info" => LevelFilter::INFO,
        "warning" | "warn" => LevelFilter::WARN,
        "error" | "critical" => LevelFilter::ERROR,
        "off" => LevelFilter::OFF,
        other => return Err(PyValueError::new_err(format!("{other:?} is not a log level"))),
    };
    // A program that embeds the app may have a subscriber of its own, which stays in charge.
    let _ = init(format, level);
    Ok(())
}
