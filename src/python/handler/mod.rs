//! Python handlers as leaves.
//!
//! A worker reads and checks everything that the plan asks for, and hands plain Rust data over; Python objects are made, used
//! and dropped on the loop thread, or on a thread of the pool for `def` handlers.

mod body;
mod call;
mod callable;
mod content;
mod ending;
mod form;
mod given;
mod hook;
mod job;
mod kept;
mod param;
mod plan;
mod read;
mod rule;
mod run;
mod scalar;
mod service;
mod switch;
mod sync;
mod yielding;

pub(super) use callable::Callable;
pub(super) use hook::{Refused, Taken, Takes};
pub(super) use plan::Plan;
pub(super) use read::cookies;
pub(super) use run::Run;
pub(super) use scalar::{Collection, Scalar};
pub(super) use service::{BOUNDED_OUTSIDE, PyHandlerService};
pub(super) use switch::Switch;
pub(super) use sync::SyncPool;
