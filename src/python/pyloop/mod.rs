//! PyLoop, the asyncio event loop: what runs on the loop thread, and the one way in from other threads.

mod inbox;
mod job;

pub(crate) use inbox::{LoopHandle, Submitted};
pub(crate) use job::{Finish, Job, Overloaded, Refused, Started};
