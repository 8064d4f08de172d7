//! What the two sides of an answer know of each other: whether somebody still waits for it.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Shared by the request's future and body, which the connection drops, and by what the application holds.
#[derive(Default)]
pub(super) struct Link {
    /// The client has all of the answer, or has gone.
    over: AtomicBool,
    /// The client has gone before it had the answer.
    gone: AtomicBool,
    /// The application has sent the last of the answer.
    finished: AtomicBool,
    changed: Notify,
}

impl Link {
    /// The client has all that it will get.
    pub(super) fn end(&self) {
        self.over.store(true, Ordering::Release);
        self.changed.notify_waiters();
    }

    /// The application has sent the whole answer.
    pub(super) fn finish(&self) {
        self.finished.store(true, Ordering::Release);
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    pub(super) fn is_finished(&self) -> bool {
        self.finished.load(Ordering::Acquire)
    }

    /// Whether the client left early.
    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// The body cannot be read any further: as if the client had gone.
    pub(super) fn break_off(&self) {
        self.gone.store(true, Ordering::Release);
        self.end();
    }

    /// Waits for the end.
    pub(super) async fn ended(&self) {
        loop {
            let changed = self.changed.notified();
            if self.is_over() {
                return;
            }
            changed.await;
        }
    }

    /// Whoever held the other end let go of it.
    pub(super) fn dropped(&self) {
        if !self.is_finished() {
            self.gone.store(true, Ordering::Release);
        }
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn the_end_is_told_to_who_waits_and_who_comes_later() {
        let link = Arc::new(Link::default());
        let waiting = tokio::spawn({
            let link = link.clone();
            async move { link.ended().await }
        });
        tokio::task::yield_now().await;
        link.finish();
        link.dropped();
        waiting.await.unwrap();
        link.ended().await;
        assert!(link.is_over() && !link.is_gone());
    }

    #[test]
    fn a_client_that_leaves_before_the_end_has_gone() {
        let link = Link::default();
        link.dropped();
        assert!(link.is_over() && link.is_gone());
    }
}
