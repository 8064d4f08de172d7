//! Python handlers as leaves.
//!
//! A worker reads and checks everything that the plan asks for, and hands plain Rust data over; Python objects are made, used
//! and dropped on the loop thread, or on a thread of the pool for `def` handlers.

mod call;
mod given;
mod job;
mod plan;
mod scalar;
mod service;
mod sync;

pub(super) use job::Callable;
pub(super) use plan::Plan;
pub(super) use scalar::Scalar;
pub(super) use service::{BOUNDED_OUTSIDE, PyHandlerService};
pub(super) use sync::SyncPool;
