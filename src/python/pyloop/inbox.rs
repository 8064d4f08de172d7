//! The one way into the loop thread: a bounded queue of jobs, a queue of notices, and the wake-up.
//!
//! Nothing here runs Python. A push wakes a loop that sleeps, and only that; see [`sleep`](super::sleep).

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering, fence};

use crossbeam_queue::{ArrayQueue, SegQueue};
use pyo3::Python;
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use tokio::runtime::Handle;

use super::fused;
use super::inline;
use super::job::{Job, Overloaded, Refused};
use super::nudge::nudge;
use super::sleep::Sleep;
use crate::python::release;
use crate::service::server;

/// How many jobs wait at most, unless told otherwise.
pub(super) const DEFAULT_CAPACITY: usize = 1000;
/// How many coroutines of jobs are suspended at most, unless told otherwise.
pub(super) const DEFAULT_IN_FLIGHT: usize = 1000;

/// A way to hand jobs to an event loop, from any thread and without the interpreter.
#[derive(Clone)]
pub(crate) struct LoopHandle {
    inbox: Arc<Inbox>,
    /// The runtime on the loop thread, when connections are served there.
    local: Option<Handle>,
}

impl LoopHandle {
    pub(super) fn new(inbox: Arc<Inbox>, local: Option<Handle>) -> Self {
        Self { inbox, local }
    }

    /// Where what belongs to a request runs: beside its connection.
    ///
    /// # Errors
    ///
    /// When the global runtime cannot be started.
    pub(crate) fn runtime(&self) -> io::Result<Handle> {
        match &self.local {
            Some(local) => Ok(local.clone()),
            None => Ok(server::runtime()?.handle().clone()),
        }
    }

    /// Queues a job. One that comes before the loop runs waits for it.
    ///
    /// # Errors
    ///
    /// When too much is waiting already, or the loop is closed; the job is dropped then.
    pub(crate) fn submit(&self, job: Box<dyn Job>) -> Result<Submitted, Overloaded> {
        Inbox::submit(&self.inbox, job)
    }

    /// Runs `f` on the loop thread, attached, before the next jobs; for what something that was begun waits for, so never
    /// refused.
    ///
    /// # Errors
    ///
    /// Gives `f` back when the loop is closed.
    pub(crate) fn deliver(&self, f: Delivery) -> Result<(), Delivery> {
        if self.inbox.closed.load(Ordering::Acquire) {
            return Err(f);
        }
        self.inbox.tell(Notice::Deliver(f));
        nudge(&self.inbox);
        Ok(())
    }

    /// Tells the loop that the Rust future with this id has ended.
    pub(crate) fn ended(&self, id: u64) {
        self.inbox.tell(Notice::Ended(id));
        nudge(&self.inbox);
    }

    /// Cancels the task that the loop keeps under this id.
    pub(crate) fn cancel(&self, id: u64) {
        self.inbox.tell(Notice::Cancel(id));
        self.inbox.wake();
    }

    /// How many jobs wait for the loop, and how many of its coroutines wait for something.
    pub(crate) fn load(&self) -> (usize, usize) {
        (self.inbox.queued(), self.inbox.suspended())
    }

    /// An id for something that the loop keeps, never given twice.
    pub(crate) fn next_id(&self) -> u64 {
        self.inbox.next_id.fetch_add(1, Ordering::Relaxed)
    }
}

/// What is brought back to the loop thread for a job.
pub(crate) type Delivery = Box<dyn FnOnce(Python<'_>) + Send>;

/// A job on its way; dropping it before the job has finished cancels the job.
#[must_use = "dropping it cancels the job"]
pub(crate) struct Submitted {
    ticket: Arc<Ticket>,
    inbox: Arc<Inbox>,
    detached: bool,
}

impl Submitted {
    /// Lets the job run, whoever waits for it.
    pub(crate) fn detach(mut self) {
        self.detached = true;
    }
}

impl Drop for Submitted {
    fn drop(&mut self) {
        if !self.detached && self.ticket.abandon() {
            self.inbox.tell(Notice::Cancel(self.ticket.id));
            self.inbox.wake();
        }
    }
}

/// What the loop thread is told beside jobs. Never refused, so it is not bounded; each belongs to a job that was
/// accepted.
pub(super) enum Notice {
    /// Nobody waits for the job with this id any longer.
    Cancel(u64),
    /// The Rust future with this id has ended, and somebody waits for it.
    Ended(u64),
    /// What a running job waits for has come.
    Deliver(Delivery),
}

/// A job in the queue.
pub(super) struct Queued {
    pub(super) ticket: Arc<Ticket>,
    pub(super) job: Box<dyn Job>,
}

/// How far a job is, shared by both sides.
pub(super) struct Ticket {
    id: u64,
    state: AtomicU8,
}

const QUEUED: u8 = 0;
const RUNNING: u8 = 1;
const DONE: u8 = 2;
const ABANDONED: u8 = 3;

impl Ticket {
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// The loop takes the job up; false when nobody waits for it any longer.
    pub(super) fn begin(&self) -> bool {
        self.state.compare_exchange(QUEUED, RUNNING, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// The job is over, one way or another.
    pub(super) fn done(&self) {
        self.state.store(DONE, Ordering::Release);
    }

    /// Nobody waits any longer; true when the loop has to be told.
    fn abandon(&self) -> bool {
        match self.state.compare_exchange(QUEUED, ABANDONED, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => false,
            Err(state) => state == RUNNING,
        }
    }
}

/// The inbox of one loop.
pub(super) struct Inbox {
    jobs: ArrayQueue<Queued>,
    notices: SegQueue<Notice>,
    sleep: Sleep,
    closed: AtomicBool,
    suspended: AtomicUsize,
    in_flight_limit: AtomicUsize,
    next_id: AtomicU64,
    waker: OwnedFd,
}

impl Inbox {
    pub(super) fn new(capacity: usize, in_flight_limit: usize) -> Result<Self, Errno> {
        Ok(Self {
            jobs: ArrayQueue::new(capacity.max(1)),
            notices: SegQueue::new(),
            sleep: Sleep::new(),
            closed: AtomicBool::new(false),
            suspended: AtomicUsize::new(0),
            in_flight_limit: AtomicUsize::new(in_flight_limit),
            next_id: AtomicU64::new(0),
            waker: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
        })
    }

    fn submit(this: &Arc<Self>, job: Box<dyn Job>) -> Result<Submitted, Overloaded> {
        if this.closed.load(Ordering::Acquire) {
            return Err(Overloaded::Closed);
        }
        if this.is_saturated() {
            return Err(Overloaded::TooManyInFlight);
        }
        let id = this.next_id.fetch_add(1, Ordering::Relaxed);
        let ticket = Arc::new(Ticket { id, state: AtomicU8::new(QUEUED) });
        let Some(queued) = inline::keep(this, Queued { ticket: ticket.clone(), job }) else {
            return Ok(Submitted { ticket, inbox: this.clone(), detached: false });
        };
        this.jobs.push(queued).map_err(|_| Overloaded::InboxFull)?;
        fence(Ordering::SeqCst);
        if this.closed.load(Ordering::SeqCst) {
            // The loop was closed between the look and the push, and may have emptied the queue before this job.
            this.refuse_all();
        }
        nudge(this);
        Ok(Submitted { ticket, inbox: this.clone(), detached: false })
    }

    /// Queues a notice, without waking the loop.
    fn tell(&self, notice: Notice) {
        self.notices.push(notice);
        fence(Ordering::SeqCst);
        if self.closed.load(Ordering::SeqCst) {
            // The loop was closed meanwhile, and may have emptied the queue before this one. What is in there may hold
            // Python objects, and this may be any thread.
            while let Some(notice) = self.notices.pop() {
                if let Notice::Deliver(f) = notice {
                    release::bury(f);
                }
            }
        }
    }

    /// The descriptor that becomes readable when the loop is woken.
    pub(super) fn waker(&self) -> BorrowedFd<'_> {
        self.waker.as_fd()
    }

    /// Wakes the loop if it sleeps; at most one system call until it sleeps again.
    pub(super) fn wake(&self) {
        if self.sleep.must_be_ended() && !fused::end_park(self) {
            // It can only fail when the counter is full, after 2^64 - 1 times.
            let _ = rustix::io::write(&self.waker, &1u64.to_ne_bytes());
        }
    }

    /// The same for what was pushed under the interpreter's lock: the loop announces its sleep under it too, and looks at what
    /// can be pushed so before it lets go of the lock.
    #[inline]
    pub(super) fn wake_attached(&self, _: Python<'_>) {
        if cfg!(Py_GIL_DISABLED) || self.sleep.is_noted() {
            self.wake();
        }
    }

    /// Whether the loop sleeps; a push before this look is seen by a loop that does not.
    pub(super) fn is_asleep(&self) -> bool {
        self.sleep.is_going_on()
    }

    /// How many jobs wait.
    pub(super) fn queued(&self) -> usize {
        self.jobs.len()
    }

    /// The loop announces its sleep; false when it has to look into the inbox first.
    pub(super) fn fall_asleep(&self) -> bool {
        self.sleep.begin(|| !self.is_empty())
    }

    /// The loop is awake, whatever woke it.
    pub(super) fn wake_up(&self) {
        self.sleep.end();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.jobs.is_empty() && self.notices.is_empty()
    }

    pub(super) fn pop_job(&self) -> Option<Queued> {
        self.jobs.pop()
    }

    pub(super) fn pop_notice(&self) -> Option<Notice> {
        self.notices.pop()
    }

    /// Queues a notice again that could not be acted on; on the loop thread.
    pub(super) fn put_back(&self, notice: Notice) {
        self.notices.push(notice);
    }

    /// No further coroutine may be suspended.
    pub(super) fn is_saturated(&self) -> bool {
        self.suspended() >= self.in_flight_limit()
    }

    pub(super) fn in_flight_limit(&self) -> usize {
        self.in_flight_limit.load(Ordering::Relaxed)
    }

    pub(super) fn set_in_flight_limit(&self, limit: usize) {
        self.in_flight_limit.store(limit, Ordering::Relaxed);
    }

    pub(super) fn suspended(&self) -> usize {
        self.suspended.load(Ordering::Relaxed)
    }

    pub(super) fn suspend(&self) {
        self.suspended.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn resume(&self) {
        self.suspended.fetch_sub(1, Ordering::Relaxed);
    }

    /// Refuses every job that waits.
    pub(super) fn refuse_all(&self) {
        while let Some(Queued { ticket, job }) = self.jobs.pop() {
            let why = if ticket.begin() { Refused::Stopped } else { Refused::Cancelled };
            ticket.done();
            job.refused(why);
        }
    }

    /// Takes no further job, refuses those that wait, and lets go of what was delivered; to be called while attached.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        self.refuse_all();
        while let Some(notice) = self.notices.pop() {
            drop(notice);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use pyo3::Python;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::super::job::Started;
    use super::*;

    #[derive(Default)]
    struct Tally {
        refused: AtomicUsize,
        cancelled: AtomicUsize,
    }

    struct Counted(Arc<Tally>);

    impl Job for Counted {
        fn start(self: Box<Self>, _: Python<'_>) -> Started {
            Started::Finished
        }

        fn refused(self: Box<Self>, why: Refused) {
            let counter = if why == Refused::Cancelled { &self.0.cancelled } else { &self.0.refused };
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn inbox(capacity: usize, limit: usize) -> (Arc<Inbox>, LoopHandle) {
        let inbox = Arc::new(Inbox::new(capacity, limit).unwrap());
        (inbox.clone(), LoopHandle::new(inbox, None))
    }

    fn readable(inbox: &Inbox, millis: i64) -> bool {
        let timeout = Timespec { tv_sec: millis / 1000, tv_nsec: (millis % 1000) * 1_000_000 };
        poll(&mut [PollFd::new(&inbox.waker(), PollFlags::IN)], Some(&timeout)).unwrap() > 0
    }

    #[test]
    fn a_full_inbox_refuses() {
        let (_, handle) = inbox(2, 10);
        let _first = handle.submit(Box::new(Counted(Arc::default()))).ok().unwrap();
        let _second = handle.submit(Box::new(Counted(Arc::default()))).ok().unwrap();
        let third = handle.submit(Box::new(Counted(Arc::default())));
        assert_eq!(third.err(), Some(Overloaded::InboxFull));
    }

    #[test]
    fn suspended_coroutines_count_against_the_limit() {
        let (inbox, handle) = inbox(2, 1);
        inbox.suspend();
        assert_eq!(handle.submit(Box::new(Counted(Arc::default()))).err(), Some(Overloaded::TooManyInFlight));
        inbox.resume();
        assert!(handle.submit(Box::new(Counted(Arc::default()))).is_ok());
    }

    #[test]
    fn closing_refuses_what_waits_and_what_comes() {
        let (inbox, handle) = inbox(8, 10);
        let tally = Arc::<Tally>::default();
        let kept = handle.submit(Box::new(Counted(tally.clone()))).ok().unwrap();
        drop(handle.submit(Box::new(Counted(tally.clone()))));
        inbox.close();
        assert_eq!(tally.refused.load(Ordering::Relaxed), 1);
        assert_eq!(tally.cancelled.load(Ordering::Relaxed), 1);
        assert_eq!(handle.submit(Box::new(Counted(tally))).err(), Some(Overloaded::Closed));
        drop(kept);
        assert!(inbox.pop_notice().is_none(), "a job that is over needs no cancellation");
    }

    #[test]
    fn dropping_a_running_job_tells_the_loop() {
        let (inbox, handle) = inbox(8, 10);
        let submitted = handle.submit(Box::new(Counted(Arc::default()))).ok().unwrap();
        let queued = inbox.pop_job().unwrap();
        assert!(queued.ticket.begin());
        drop(submitted);
        assert!(matches!(inbox.pop_notice(), Some(Notice::Cancel(id)) if id == queued.ticket.id()));
    }

    #[test]
    fn only_a_sleeping_loop_is_woken_and_only_once() {
        let (inbox, handle) = inbox(8, 10);
        let _a = handle.submit(Box::new(Counted(Arc::default()))).ok().unwrap();
        assert!(!readable(&inbox, 0), "it was awake");
        assert!(!inbox.fall_asleep(), "there is work");
        inbox.pop_job().unwrap();
        assert!(inbox.fall_asleep());
        let _b = handle.submit(Box::new(Counted(Arc::default()))).ok().unwrap();
        let _c = handle.submit(Box::new(Counted(Arc::default()))).ok().unwrap();
        assert!(readable(&inbox, 0));
        let mut count = [0u8; 8];
        rustix::io::read(&inbox.waker, &mut count).unwrap();
        assert_eq!(u64::from_ne_bytes(count), 1);
    }

    #[test]
    fn no_wake_up_is_lost() {
        const EACH: usize = 20_000;
        let (inbox, handle) = inbox(64, usize::MAX);
        let producers: Vec<_> = (0..2)
            .map(|_| {
                let handle = handle.clone();
                std::thread::spawn(move || {
                    for _ in 0..EACH {
                        while handle.submit(Box::new(Counted(Arc::default()))).map(std::mem::forget).is_err() {
                            std::thread::yield_now();
                        }
                    }
                })
            })
            .collect();
        let mut taken = 0;
        while taken < 2 * EACH {
            while inbox.pop_job().is_some() {
                taken += 1;
            }
            if taken < 2 * EACH && inbox.fall_asleep() {
                assert!(readable(&inbox, 10_000), "slept with {taken} jobs taken");
                inbox.wake_up();
                rustix::io::read(&inbox.waker, &mut [0u8; 8]).unwrap();
            }
        }
        producers.into_iter().for_each(|producer| producer.join().unwrap());
    }
}
