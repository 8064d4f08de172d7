//! Threads for `def` handlers, so that one that blocks does not hold up the loop.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use pyo3::Python;

use super::job::Call;
use crate::python::attach;
use crate::service::LeafKind;

/// How many calls wait at most when all threads are busy.
const MAX_WAITING: usize = 1000;

/// What a thread does.
pub(super) enum Work {
    Call(Box<Call>),
    Other(Box<dyn FnOnce(Python<'_>) + Send>),
}

/// A bounded pool; its threads are made when they are first needed, and end with it.
pub(in crate::python) struct SyncPool(Arc<Inner>);

struct Inner {
    queue: Mutex<Queue>,
    called: Condvar,
    max_threads: usize,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Work>,
    threads: usize,
    idle: usize,
    closed: bool,
}

impl SyncPool {
    pub(in crate::python) fn new(max_threads: usize) -> Self {
        let inner = Inner { queue: Mutex::default(), called: Condvar::new(), max_threads: max_threads.max(1) };
        Self(Arc::new(inner))
    }

    /// As many as `concurrent.futures` would make.
    pub(in crate::python) fn default_threads() -> usize {
        std::thread::available_parallelism().map_or(1, std::num::NonZero::get).saturating_add(4).min(32)
    }

    /// How many threads there are, how many of them have nothing to do, and how many calls wait.
    pub(in crate::python) fn load(&self) -> (usize, usize, usize) {
        let queue = self.0.lock();
        (queue.threads, queue.idle, queue.waiting.len())
    }

    /// Queues a call.
    ///
    /// # Errors
    /// Gives it back when too many wait already, or no thread can be made.
    pub(super) fn submit(&self, call: Work) -> Result<(), Work> {
        self.queue(call, MAX_WAITING)
    }

    /// Queues what ends something that was begun, however many wait.
    ///
    /// # Errors
    /// Gives it back when the pool is closed, or no thread can be made.
    pub(super) fn finish(&self, work: Work) -> Result<(), Work> {
        self.queue(work, usize::MAX)
    }

    fn queue(&self, call: Work, most: usize) -> Result<(), Work> {
        let mut queue = self.0.lock();
        if queue.closed || queue.waiting.len() >= most {
            return Err(call);
        }
        if queue.idle <= queue.waiting.len() && queue.threads < self.0.max_threads {
            let inner = self.0.clone();
            let name = format!("ziggurat-sync-{}", queue.threads);
            match std::thread::Builder::new().name(name).spawn(move || inner.work()) {
                Ok(_) => queue.threads += 1,
                Err(error) if queue.threads == 0 => {
                    tracing::error!(%error, "no thread could be made for a handler");
                    return Err(call);
                }
                Err(_) => {}
            }
        }
        queue.waiting.push_back(call);
        drop(queue);
        self.0.called.notify_one();
        Ok(())
    }
}

impl Drop for SyncPool {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.called.notify_all();
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        // Attached once: making a thread state for each call would cost more than most calls.
        attach::at(LeafKind::Python, |py| {
            while let Some(call) = py.detach(|| self.next()) {
                // A panic must not cost the pool a thread; the panic hook has told what and where.
                let run = || match call {
                    Work::Call(call) => call.run(py),
                    Work::Other(work) => attach::on_loop(py, LeafKind::Python, work),
                };
                if catch_unwind(AssertUnwindSafe(run)).is_err() {
                    tracing::error!("a handler's call panicked");
                }
            }
        });
    }

    fn next(&self) -> Option<Work> {
        let mut queue = self.lock();
        loop {
            if let Some(call) = queue.waiting.pop_front() {
                return Some(call);
            }
            if queue.closed {
                queue.threads -= 1;
                return None;
            }
            queue.idle += 1;
            queue = self.called.wait(queue).unwrap_or_else(PoisonError::into_inner);
            queue.idle -= 1;
        }
    }
}
