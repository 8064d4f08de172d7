//! How a loop that is about to sleep and whoever brings it work find out about each other.
//!
//! Who brings work pushes it and then looks whether the loop sleeps; the loop says that it will sleep and then looks whether
//! something was pushed. Between the two steps of each stands a sequentially consistent fence, so at least one of the two sees
//! the other, and only a push that meets a sleeping loop costs a system call.

use std::sync::atomic::{AtomicBool, Ordering, fence};

/// The flag; a trait, so that tests can put in one whose every interleaving is tried.
pub(super) trait Flag {
    fn down() -> Self;
    fn load(&self) -> bool;
    fn store(&self, up: bool);
    fn swap(&self, up: bool) -> bool;
    /// Orders what this thread did before against what it does after, for all threads that do the same.
    fn fence();
}

impl Flag for AtomicBool {
    fn down() -> Self {
        Self::new(false)
    }

    fn load(&self) -> bool {
        self.load(Ordering::SeqCst)
    }

    fn store(&self, up: bool) {
        self.store(up, Ordering::SeqCst);
    }

    fn swap(&self, up: bool) -> bool {
        self.swap(up, Ordering::SeqCst)
    }

    fn fence() {
        fence(Ordering::SeqCst);
    }
}

/// Whether a loop sleeps.
pub(super) struct Sleep<F = AtomicBool>(F);

impl<F: Flag> Sleep<F> {
    pub(super) fn new() -> Self {
        Self(F::down())
    }

    /// To be called after a push: true when the loop sleeps and the caller has to wake it, which is asked of one caller only.
    pub(super) fn must_be_ended(&self) -> bool {
        F::fence();
        self.0.swap(false)
    }

    /// Whether the loop sleeps; a push before this look is seen by a loop that does not.
    pub(super) fn is_going_on(&self) -> bool {
        F::fence();
        self.0.load()
    }

    /// Whether the loop sleeps, for a caller that needs no order: the loop lets it in only between its own two steps.
    pub(super) fn is_noted(&self) -> bool {
        self.0.load()
    }

    /// The loop announces its sleep; false when there is work and it must not sleep.
    pub(super) fn begin(&self, has_work: impl FnOnce() -> bool) -> bool {
        self.0.store(true);
        F::fence();
        if !has_work() {
            return true;
        }
        self.0.store(false);
        false
    }

    /// The loop is awake, whatever woke it.
    pub(super) fn end(&self) {
        self.0.store(false);
    }
}

#[cfg(test)]
mod tests {
    use loom::sync::Arc;
    use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
    use loom::thread;

    use super::*;

    /// The same flag with loom's atomics.
    struct Modelled(AtomicBool);

    impl Flag for Modelled {
        fn down() -> Self {
            Self(AtomicBool::new(false))
        }

        fn load(&self) -> bool {
            self.0.load(Ordering::SeqCst)
        }

        fn store(&self, up: bool) {
            self.0.store(up, Ordering::SeqCst);
        }

        fn swap(&self, up: bool) -> bool {
            self.0.swap(up, Ordering::SeqCst)
        }

        fn fence() {
            fence(Ordering::SeqCst);
        }
    }

    /// A flag that orders nothing.
    struct Unfenced(Modelled);

    impl Flag for Unfenced {
        fn down() -> Self {
            Self(Modelled::down())
        }

        fn load(&self) -> bool {
            self.0.0.load(Ordering::Relaxed)
        }

        fn store(&self, up: bool) {
            self.0.0.store(up, Ordering::Relaxed);
        }

        fn swap(&self, up: bool) -> bool {
            self.0.0.swap(up, Ordering::Relaxed)
        }

        fn fence() {}
    }

    /// A thread brings work while a loop takes what is there and then wants to sleep: it must not sleep beside work without being
    /// woken. One thread only, since loom orders the exchanges of two less strictly than the language does, and finds
    /// losses that cannot be.
    fn nothing_is_lost<F: Flag + 'static>() {
        loom::model(|| {
            let inbox = Arc::new((AtomicUsize::new(0), Sleep::<F>::new()));
            let producer = {
                let inbox = inbox.clone();
                thread::spawn(move || {
                    inbox.0.fetch_add(1, Ordering::Relaxed);
                    inbox.1.must_be_ended()
                })
            };
            let taken = inbox.0.swap(0, Ordering::Relaxed);
            let sleeps = taken == 0 && inbox.1.begin(|| inbox.0.load(Ordering::Relaxed) > 0);
            let woken = producer.join().unwrap();
            assert!(!sleeps || woken || inbox.0.load(Ordering::Relaxed) == 0, "a wake-up was lost");
        });
    }

    #[test]
    fn no_interleaving_loses_a_wake_up() {
        nothing_is_lost::<Modelled>();
    }

    #[test]
    #[should_panic(expected = "a wake-up was lost")]
    fn without_the_fences_one_does() {
        nothing_is_lost::<Unfenced>();
    }
}
