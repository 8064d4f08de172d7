//! The bounded queue in front of the writer and of the readers.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::crud::StoreError;

/// Many threads push, a few pop; a push never waits.
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
    limit: usize,
}

struct State<T> {
    items: VecDeque<T>,
    closed: bool,
}

impl<T> Queue<T> {
    pub(super) fn new(limit: usize) -> Self {
        let state = State { items: VecDeque::new(), closed: false };
        Self { state: Mutex::new(state), filled: Condvar::new(), limit: limit.max(1) }
    }

    /// Nothing panics while it holds the lock, so what a poisoned one guards is whole.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an item, or says that the store has too much to do or is closed.
    pub(super) fn push(&self, item: T) -> Result<(), StoreError> {
        let mut state = self.lock();
        if state.closed {
            return Err(StoreError::Unavailable { source: "the store is closed".into(), retry_after: 1 });
        }
        if state.items.len() >= self.limit {
            return Err(StoreError::Unavailable { source: "the store has too much to do".into(), retry_after: 1 });
        }
        state.items.push_back(item);
        drop(state);
        self.filled.notify_one();
        Ok(())
    }

    /// Waits for an item; none once the queue is closed and empty.
    pub(super) fn pop(&self) -> Option<T> {
        let mut state = self.lock();
        loop {
            if let Some(item) = state.items.pop_front() {
                return Some(item);
            }
            if state.closed {
                return None;
            }
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Takes what is there now, up to `most` items, into `batch`.
    pub(super) fn drain_into(&self, batch: &mut Vec<T>, most: usize) {
        let mut state = self.lock();
        let take = state.items.len().min(most);
        batch.extend(state.items.drain(..take));
    }

    /// How many items wait.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lock().items.len()
    }

    /// Refuses further items; those that are queued are still popped.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
    }
}

/// Held by a thread that pops: should it panic, what waits is dropped, so that nobody waits for an answer from it.
pub(super) struct Popper<'a, T>(pub(super) &'a Queue<T>);

impl<T> Drop for Popper<'_, T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.close();
            // Dropped outside the lock: their callers wake up at once.
            let waiting = std::mem::take(&mut self.0.lock().items);
            drop(waiting);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_refuses() {
        let queue = Queue::new(2);
        queue.push(1).unwrap();
        queue.push(2).unwrap();
        assert!(matches!(queue.push(3), Err(StoreError::Unavailable { .. })));
        assert_eq!(queue.pop(), Some(1));
        queue.push(3).unwrap();
    }

    #[test]
    fn a_closed_queue_is_drained_first() {
        let queue = Queue::new(2);
        queue.push(1).unwrap();
        queue.close();
        assert!(queue.push(2).is_err());
        assert_eq!(queue.pop(), Some(1));
        assert_eq!(queue.pop(), None);
    }

    #[test]
    fn a_thread_that_panics_leaves_nobody_waiting() {
        let queue = Queue::new(2);
        let (reply, answer) = std::sync::mpsc::channel::<()>();
        queue.push(reply).unwrap();
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let _popper = Popper(&queue);
                panic!("on purpose");
            });
            assert!(thread.join().is_err());
        });
        assert!(answer.recv().is_err());
        assert!(queue.push(std::sync::mpsc::channel().0).is_err());
    }
}
