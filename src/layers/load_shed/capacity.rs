use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::Problem;

/// How many requests may be under way, and how many may wait until they are.
#[derive(Debug, Clone)]
pub(super) struct Capacity {
    free: Arc<Semaphore>,
    /// None where nobody may wait.
    queue: Option<Arc<Semaphore>>,
    wait: Duration,
}

/// Being one of the requests under way, until it is dropped.
pub(super) type Permit = OwnedSemaphorePermit;

/// Ready when the request may go on; without a permit when it has waited long enough.
///
/// The one box, of a request that waits anyway.
pub(super) type Waiting = Pin<Box<dyn Future<Output = Option<Permit>> + Send>>;

pub(super) enum Admission {
    Now(Permit),
    Later(Waiting),
    Never,
}

impl Capacity {
    pub(super) fn new(max_concurrent: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(max_concurrent)), queue: None, wait: Duration::ZERO }
    }

    /// `places` of zero is no queue.
    pub(super) fn queue(&mut self, places: usize, wait: Duration) {
        self.queue = (places > 0).then(|| Arc::new(Semaphore::new(places)));
        self.wait = wait;
    }

    pub(super) fn admit(&self) -> Admission {
        // Those that wait come first: what is given back goes to them, and never becomes free.
        if let Ok(permit) = self.free.clone().try_acquire_owned() {
            return Admission::Now(permit);
        }
        let Some(Ok(place)) = self.queue.clone().map(Semaphore::try_acquire_owned) else { return Admission::Never };
        let admitted = timeout(self.wait, self.free.clone().acquire_owned());
        Admission::Later(Box::pin(async move {
            let permit = admitted.await.ok()?.ok();
            drop(place);
            permit
        }))
    }
}

pub(super) fn overloaded() -> Problem {
    Problem::unavailable("too many requests are under way; try again", 1)
}
