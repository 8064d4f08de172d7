//! Letting go of Python objects on threads that are not attached.
//!
//! PyO3 parks such a release until some thread attaches, so memory grows and destructors run wherever. Here it goes to the loop
//! thread, and where no loop is left to a thread that may attach.

use std::mem;

use super::attach;
use super::pyloop::{Delivery, LoopHandle, tokio_works};
use crate::service::server;

/// Drops `value` on the loop thread, or here if this thread is attached.
pub(super) fn release<T: Send + 'static>(value: T, home: &LoopHandle) {
    if !mem::needs_drop::<T>() || attach::is_attached() {
        return drop(value);
    }
    if let Err(back) = home.deliver(Box::new(move |_| drop(value))) {
        bury(back);
    }
}

/// Drops `f`, which may hold Python objects, when there is no loop to take it.
pub(super) fn bury(f: Delivery) {
    if attach::is_attached() {
        return drop(f);
    }
    match server::runtime() {
        // A blocking thread of the runtime may wait for the interpreter.
        Ok(runtime) if tokio_works() => drop(runtime.spawn_blocking(move || attach::drop_attached(f))),
        // A forked child has no such thread.
        _ => mem::forget(f),
    }
}
