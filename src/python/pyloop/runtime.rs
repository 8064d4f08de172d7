//! The loop thread belongs to the global runtime too, so that Rust code called from Python can spawn there.

use tokio::runtime::EnterGuard;

use super::driver::tokio_works;
use super::nudge;
use crate::service::server;

/// Enters the global runtime for the time of a run; not in a forked child, where it must not be touched.
pub(super) fn enter() -> Option<EnterGuard<'static>> {
    if !tokio_works() {
        return None;
    }
    nudge::install();
    match server::runtime() {
        Ok(runtime) => Some(runtime.enter()),
        Err(error) => {
            tracing::warn!(%error, "the event loop runs without the I/O runtime, which did not start");
            None
        }
    }
}
