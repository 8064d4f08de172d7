//! Python middleware: `async def mw(request, call_next)` around native services and Python handlers alike.
//!
//! One Tower layer for each, among the others of the app or around single routes, and none where none is registered. Whether a path is wrapped is decided before Python is entered.
//! `call_next` runs the inner service on the runtime; its answer comes back through the loop's inbox, so no worker ever waits
//! for the interpreter. Where a Python handler is to answer, the loop's thread looks first whether it does so at once.

mod call_next;
mod exchange;
mod layer;
mod scope;

pub(super) use call_next::CallNext;
pub(super) use exchange::Exchange;
pub(super) use layer::{Outside, PyMiddlewareLayer, Settings as MiddlewareSettings};
pub(super) use scope::Scope;
