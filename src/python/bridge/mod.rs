//! Rust futures awaited from Python, and Python awaitables awaited from Rust.
//!
//! The two sides meet in the inbox of the loop: a future on the runtime lays its outcome down as Rust data and tells the loop, and
//! an awaitable is made, run and looked at on the loop thread. No worker of the runtime attaches, and what is
//! Python's is released on the loop thread, whoever drops it.

mod asyncio;
mod awaiting;
mod blocking;
mod event_loop;
mod future;
mod futures;
mod on_loop;
mod promise;
mod raised;
mod spawn;

use pyo3::prelude::*;

pub use awaiting::{into_future, into_future_with};
pub use event_loop::{EventLoop, current_loop};
pub(in crate::python) use future::RustFuture;
pub(in crate::python) use futures::Futures;
pub use on_loop::OnLoop;
pub use raised::Raised;
pub use spawn::future_into_py;
pub(in crate::python) use spawn::{panicked, running_pyloop, spawn_bringing};

/// Adds the classes to the native module.
pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<RustFuture>()?;
    module.add_function(wrap_pyfunction!(blocking::spawn_blocking, module)?)
}
