//! PyLoop, the asyncio event loop: what runs on the loop thread, and the one way in from other threads.
//!
//! A turn of the loop thread, in [`turn`]: park in the [`driver`] until a descriptor, a timer or the [`inbox`] has
//! something; queue whom the descriptors concern ([`watch`]); start jobs ([`task`]); make due [`timers`] ready; run what was
//! [`ready`], handles as well as the native [`source`]s of descriptors; let the sources write what they gathered.
//! Everything that is not here is inherited from the interpreter's own event loop.

mod call;
mod clock;
mod collect;
mod core;
mod driver;
#[cfg(test)]
mod fairness;
mod flood;
mod fused;
mod guarded;
mod handle;
mod inbox;
mod inline;
mod job;
mod jobs;
mod nudge;
mod outbox;
mod poller;
mod ready;
mod runtime;
mod scheduling;
mod signals;
mod sleep;
mod source;
mod spare;
mod spawn;
mod task;
#[cfg(test)]
mod tests;
mod timer_handle;
mod timers;
mod transport;
mod turn;
mod watch;
mod watchdog;
mod work;

use pyo3::prelude::*;

pub(crate) use self::core::LoopCore;
pub(super) use driver::tokio_works;
pub(crate) use inbox::{Delivery, LoopHandle, Submitted};
pub(crate) use inline::{Looked, begin, look};
pub(crate) use job::{Finish, Job, Overloaded, Refused, Started};
pub(crate) use outbox::{Answer, Reply, hurry, reply, wake};

/// Adds the classes of the loop to the native module.
pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<LoopCore>()?;
    scheduling::install(&module.py().get_type::<LoopCore>())?;
    module.add_class::<handle::Handle>()?;
    module.add_class::<timer_handle::TimerHandle>()?;
    module.add_class::<work::Work>()?;
    module.add_class::<watchdog::Watchdog>()?;
    module.add_class::<transport::StreamCore>()?;
    module.add_class::<transport::TlsCore>()?;
    module.add_class::<transport::DatagramCore>()?;
    module.add_class::<transport::PipeReader>()?;
    module.add_class::<transport::PipeWriter>()?;
    module.add_class::<transport::SocketOperation>()?;
    transport::add_operations(module)
}
