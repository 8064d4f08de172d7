use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

/// Whether a service can do its work now. A clone is the same one.
#[derive(Clone)]
pub struct Readiness(Arc<RwLock<Said>>);

#[derive(Debug, Clone, PartialEq)]
enum Said {
    Ready,
    NotReady(Option<Arc<str>>),
}

impl Said {
    fn of(ready: bool) -> Self {
        if ready { Self::Ready } else { Self::NotReady(None) }
    }
}

impl Readiness {
    /// Ready from the beginning, or not before it is [set](Self::set).
    pub fn new(ready: bool) -> Self {
        Self(Arc::new(RwLock::new(Said::of(ready))))
    }

    /// Says whether requests should come.
    pub fn set(&self, ready: bool) {
        self.say(Said::of(ready));
    }

    /// Says that no requests should come, and why: who asks is told.
    pub fn set_not_ready(&self, reason: impl Into<Arc<str>>) {
        self.say(Said::NotReady(Some(reason.into())));
    }

    /// What was said last.
    pub fn is_ready(&self) -> bool {
        self.said() == Said::Ready
    }

    /// Why it is not ready, where that was said.
    pub fn reason(&self) -> Option<Arc<str>> {
        match self.said() {
            Said::NotReady(reason) => reason,
            Said::Ready => None,
        }
    }

    /// The reason, if any, where it is not ready.
    pub(super) fn refusal(&self) -> Option<Option<Arc<str>>> {
        match self.said() {
            Said::NotReady(reason) => Some(reason),
            Said::Ready => None,
        }
    }

    fn say(&self, said: Said) {
        let before = std::mem::replace(&mut *self.0.write().unwrap_or_else(PoisonError::into_inner), said.clone());
        if before != said {
            match said {
                Said::Ready => tracing::info!("the service is ready"),
                Said::NotReady(reason) => tracing::info!(reason = reason.as_deref(), "the service is not ready"),
            }
        }
    }

    fn said(&self) -> Said {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Readiness").field(&self.said()).finish()
    }
}
