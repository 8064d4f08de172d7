//! Jobs that come from the loop thread itself: what runs in its Tokio runtime starts them at once, without the inbox.
//!
//! While a fused loop parks, this thread polls connections, and a connection whose request wants Python submits a job. No
//! task is current then, so the job may take its first step there and then; its answer is often ready before the poll
//! ends. What the step leaves for the loop to do (a callback, an earlier timer, an exception that must leave the loop)
//! ends the park.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use pyo3::prelude::*;

use super::core::LoopCore;
use super::driver::End;
use super::inbox::{Inbox, Queued};
use super::{clock, task};
use crate::python::attach;

/// After so much time in first steps the park ends, so that callbacks and descriptors get their turn.
const END_AFTER_NS: u64 = 1_000_000;
/// After so much, jobs that still come before the park has ended go through the inbox. Between the two lies what Tokio polls
/// before it looks at anything else, when handlers are quick.
const INBOX_AFTER_NS: u64 = 2_000_000;

thread_local! {
    /// The loop that parks on this thread.
    static PARKED: RefCell<Option<Rc<Parked>>> = const { RefCell::new(None) };
}

/// A loop that parks on this thread.
struct Parked {
    event_loop: Py<LoopCore>,
    inbox: Arc<Inbox>,
    end: End,
    /// When the loop wants to wake up by itself.
    deadline: Option<u64>,
    /// The time that first steps have taken so far.
    spent: Cell<u64>,
    /// A first step runs now.
    stepping: Cell<bool>,
}

/// Lets jobs start at once until it is dropped, which must happen while attached.
pub(super) struct Park(());

impl Park {
    /// To be called on the loop thread when it is about to park.
    pub(super) fn begin(event_loop: &Bound<'_, LoopCore>, end: End, deadline: Option<u64>) -> Self {
        let parked = Parked {
            event_loop: event_loop.clone().unbind(),
            inbox: event_loop.get().inbox().clone(),
            end,
            deadline,
            spent: Cell::new(0),
            stepping: Cell::new(false),
        };
        PARKED.set(Some(Rc::new(parked)));
        Self(())
    }
}

impl Drop for Park {
    fn drop(&mut self) {
        drop(PARKED.take());
    }
}

/// Whether a loop parks on this thread; Tokio can run no other runtime on it meanwhile.
pub(super) fn is_inside() -> bool {
    PARKED.with_borrow(Option::is_some)
}

/// Ends the park if the loop of `inbox` parks on this thread.
pub(super) fn end_park(inbox: &Inbox) -> bool {
    PARKED.with_borrow(|parked| match parked {
        Some(parked) if std::ptr::eq(&*parked.inbox, inbox) => {
            parked.end.set();
            true
        }
        _ => false,
    })
}

/// Starts a job if the loop of `inbox` parks on this thread and has time, else gives it back.
pub(super) fn start(inbox: &Inbox, queued: Queued) -> Result<(), Queued> {
    let parked = PARKED.with_borrow(|parked| {
        let parked = parked.as_ref()?;
        let now = std::ptr::eq(&*parked.inbox, inbox) && !parked.stepping.get() && parked.spent.get() < INBOX_AFTER_NS;
        now.then(|| parked.clone())
    });
    let Some(parked) = parked else { return Err(queued) };
    // `Park` keeps the other reference, so this one is not the last, which must not be dropped detached.
    attach::inside(|py| parked.step(parked.event_loop.bind(py), queued));
    Ok(())
}

impl Parked {
    fn step(&self, event_loop: &Bound<'_, LoopCore>, queued: Queued) {
        let core = event_loop.get();
        let begun = clock::now_ns();
        let stepping = Stepping::begin(&self.stepping);
        let started = task::start(event_loop, queued);
        drop(stepping);
        let took = clock::now_ns() - begun;
        self.spent.set(self.spent.get() + took);
        let noted = if core.is_debug() { task::note_first_step(event_loop, took) } else { Ok(()) };
        let left = started.and(noted).map_err(|error| core.leave_with(error)).is_err();
        if left || self.spent.get() >= END_AFTER_NS || core.has_work(event_loop.py(), self.deadline) {
            self.end.set();
        }
    }
}

/// While it lives, a job that comes from inside Python goes through the inbox: a task may be current.
struct Stepping<'a>(&'a Cell<bool>);

impl<'a> Stepping<'a> {
    fn begin(stepping: &'a Cell<bool>) -> Self {
        stepping.set(true);
        Self(stepping)
    }
}

impl Drop for Stepping<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}
