//! Threads that a `def` handler keeps although nobody waits for its answer any longer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use pyo3::intern;
use pyo3::prelude::*;

use super::plan::Plan;
use crate::python::{attach, errors};
use crate::service::{LeafKind, server};

/// How long a handler may go on, before that is told of. A thread cannot be cancelled.
const AFTER: Duration = Duration::from_secs(5);

/// Kept by a call while it waits and while it runs; whether it runs.
pub(super) type Running = Arc<AtomicBool>;

/// What waits for the answer of a `def` handler. When it is dropped without, and the handler runs on, that is told of.
pub(super) struct Thread {
    call: Weak<AtomicBool>,
    plan: Arc<Plan>,
    answered: bool,
}

impl Thread {
    pub(super) fn new(plan: &Arc<Plan>) -> (Self, Running) {
        let running = Running::default();
        (Self { call: Arc::downgrade(&running), plan: plan.clone(), answered: false }, running)
    }

    pub(super) fn answered(&mut self) {
        self.answered = true;
    }
}

fn runs(call: &Weak<AtomicBool>) -> bool {
    call.upgrade().is_some_and(|running| running.load(Ordering::Relaxed))
}

impl Drop for Thread {
    fn drop(&mut self) {
        // One that has not begun does not begin any more.
        if self.answered || !runs(&self.call) {
            return;
        }
        let Ok(runtime) = server::runtime() else { return };
        let (call, plan) = (self.call.clone(), self.plan.clone());
        runtime.spawn(async move {
            tokio::time::sleep(AFTER).await;
            if runs(&call) {
                // On a thread that may wait for the interpreter.
                tokio::task::spawn_blocking(move || attach::try_at(LeafKind::Python, |py| tell(py, &plan)));
            }
        });
    }
}

fn tell(py: Python<'_>, plan: &Plan) {
    let told = py.import(intern!(py, "ziggurat._held")).and_then(|held| {
        held.call_method1(intern!(py, "thread_kept"), (&plan.name, &plan.location, AFTER.as_secs_f64()))
    });
    if let Err(error) = told {
        errors::log(py, &error, "who looks after threads");
    }
}
