//! The loop thread belongs to the global runtime too, so that Rust code called from Python can spawn there.

use tokio::runtime::{EnterGuard, Runtime};

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
        Ok(runtime) => {
            lend(runtime);
            Some(runtime.enter())
        }
        Err(error) => {
            tracing::warn!(%error, "the event loop runs without the I/O runtime, which did not start");
            None
        }
    }
}

/// Has futures of pyo3-async-runtimes run on the global runtime too, unless that crate was given another before.
///
/// It keeps its runtime in a static, so this reaches what is linked with this crate into one module. An extension module that was built by
/// itself has a static, and a Tokio, of its own.
fn lend(runtime: &'static Runtime) {
    #[cfg(feature = "pyo3-async-runtimes")]
    {
        static ONCE: std::sync::Once = std::sync::Once::new();
        ONCE.call_once(|| {
            if pyo3_async_runtimes::tokio::init_with_runtime(runtime).is_err() {
                tracing::warn!("pyo3-async-runtimes has a runtime of its own already, and keeps it");
            }
        });
    }
    #[cfg(not(feature = "pyo3-async-runtimes"))]
    let _ = runtime;
}
