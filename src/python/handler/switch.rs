//! Handlers that others stand in for, as tests want that override what they depend on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::plan::Plan;

/// Whether something stands in for a handler. Where nothing ever has, it costs a look at a flag.
#[derive(Default)]
pub(in crate::python) struct Switch {
    is_set: AtomicBool,
    now: RwLock<Option<(Arc<Plan>, usize)>>,
}

impl Switch {
    /// The plan and the number of what stands in for it.
    pub(in crate::python) fn now(&self) -> Option<(Arc<Plan>, usize)> {
        if !self.is_set.load(Ordering::Acquire) {
            return None;
        }
        self.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on requests are handled so.
    pub(in crate::python) fn set(&self, plan: Arc<Plan>, handler: usize) {
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = Some((plan, handler));
        self.is_set.store(true, Ordering::Release);
    }
}
