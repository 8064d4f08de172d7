//! Handlers of exceptions: Python functions that answer in the place of what raised, or of a problem that Rust found.
//!
//! They stand where the handler of the route stands, inside of all middleware. Which of them is for an exception is known before
//! a request comes; nothing is looked at, and nothing kept, of one that is answered as it should be.

mod inside;
mod job;
mod layer;
mod rules;

pub(super) use inside::RaisedInside;
pub(super) use job::{Raised, exception_of, found, handed_on};
pub(super) use layer::CatchLayer;
pub(super) use rules::{Refused, Rules};
