//! How an app ends: requests in flight first, then what runs on after them, spans and the store last.

use std::time::Duration;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use super::built::Built;
use super::runtime::runtime;
use super::serving::Served;
use crate::crud::Store;

/// How long the end of an app waits for its last spans to be exported.
const FLUSH: Duration = Duration::from_secs(2);

/// Tells what has no end that the app stops, and waits for its server, if it has one; gives how many requests finished and how many were
/// dropped.
pub(super) fn drained(py: Python<'_>, stopped: Option<Served>, built: &Built) -> PyResult<(usize, usize)> {
    let Some(stopped) = stopped else {
        built.shared.stop();
        return Ok((0, 0));
    };
    let runtime = runtime()?;
    let drained = async {
        // What ends at once was in flight, too.
        stopped.stopping.await;
        built.shared.stop();
        stopped.drained.await
    };
    match py.detach(|| runtime.block_on(drained)) {
        Ok(Ok(drained)) => Ok((drained.finished, drained.dropped)),
        Ok(Err(error)) => Err(PyRuntimeError::new_err(error.to_string())),
        Err(error) => Err(PyRuntimeError::new_err(format!("the server panicked: {error}"))),
    }
}

/// Waits up to so many seconds for what runs on after its request was answered; gives how much of it still runs.
pub(super) fn settled(py: Python<'_>, built: &Built, seconds: f64) -> PyResult<usize> {
    let background = &built.shared.background;
    let limit = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    let runtime = runtime()?;
    background.close();
    let waited = async { tokio::time::timeout(limit, background.wait()).await };
    // A hook that ends at this moment may be counted as over or not.
    Ok(py.detach(|| runtime.block_on(waited)).map_or_else(|_| background.len(), |()| 0))
}

/// Exports the last spans, if there are layers that do.
pub(super) fn flush(py: Python<'_>, built: &Built) {
    py.detach(|| {
        for export in built.exports.iter().filter_map(|export| export.get()) {
            // A collector that is down was told of; it does not hold up the end.
            let _ = export.flush(FLUSH);
        }
    });
}

/// Closes the store.
pub(super) fn close(py: Python<'_>, built: &Built) -> PyResult<()> {
    let Some(store) = built.store.clone() else { return Ok(()) };
    let runtime = runtime()?;
    py.detach(|| runtime.block_on(store.close()));
    Ok(())
}
