#![allow(unsafe_code)] // Tokio's registration of a foreign descriptor is unsafe.
//! Parks by polling a Tokio runtime of the loop's own, so that futures spawned on it run on the loop thread.
//!
//! The loop's epoll set is one descriptor inside Tokio's. Tokio watches edge-triggered and the set is level-triggered, so
//! what was left in the set gives no new edge: after a look that found something the set is asked again before Tokio waits.
//! A look that found nothing needs no second one, since whatever comes then makes an edge; so as long as only futures of
//! the runtime have work, a park asks the system once.
//!
//! With nothing spawned on the runtime a wait in Tokio and a wait in the set itself cannot be told apart, except that
//! the second takes one system call instead of three. Then that one is used.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::{Builder, Runtime};
use tokio::task::yield_now;
use tokio::time::timeout as within;

use super::super::poller::{Event, Poller};
use super::{Driver, End, Local};

pub(super) struct TokioDriver {
    poller: Poller,
    /// Waits in Tokio even when nothing is spawned there.
    always: bool,
    /// The last look into the set found something, which may still be there.
    left: bool,
    end: End,
    /// Always there, but for the moment in which they are dropped in order.
    parts: Option<(AsyncFd<Poller>, Runtime)>,
}

impl TokioDriver {
    pub(super) fn new(poller: Poller, always: bool) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let descriptor = {
            let _entered = runtime.enter();
            // SAFETY: a poller gives the same descriptor every time, and the clone keeps it open until it is deregistered.
            unsafe { AsyncFd::register_with_interest(poller.clone(), Interest::READABLE)? }
        };
        Ok(Self { poller, always, left: true, end: End::default(), parts: Some((descriptor, runtime)) })
    }
}

/// Collects events, once Tokio says that there are some.
fn poll_events(descriptor: &AsyncFd<Poller>, cx: &mut Context<'_>, events: &mut Vec<Event>) -> Poll<io::Result<()>> {
    loop {
        match descriptor.poll_read_ready(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            // Taken back before the set is asked: an event that comes between makes a new edge.
            Poll::Ready(Ok(mut ready)) => ready.clear_ready(),
        }
        descriptor.get_ref().collect(Some(Duration::ZERO), events)?;
        if !events.is_empty() {
            return Poll::Ready(Ok(()));
        }
    }
}

impl Driver for TokioDriver {
    fn park(
        &mut self,
        timeout: Option<Duration>,
        events: &mut Vec<Event>,
        first: &mut (dyn FnMut() + Send),
    ) -> io::Result<()> {
        let Self { poller, always, left, end, parts } = self;
        let Some((descriptor, runtime)) = parts else { return Ok(()) };
        if !*always && !end.is_held() && runtime.metrics().num_alive_tasks() == 0 {
            first();
            poller.collect(timeout, events)?;
            *left = !events.is_empty();
            return Ok(());
        }
        if *left {
            poller.collect(Some(Duration::ZERO), events)?;
        }
        let result = if !events.is_empty() || timeout == Some(Duration::ZERO) {
            runtime.block_on(async {
                first();
                yield_now().await;
                if !events.is_empty() {
                    return Ok(());
                }
                poll_fn(|cx| match poll_events(descriptor, cx, events) {
                    Poll::Ready(result) => Poll::Ready(result),
                    Poll::Pending => Poll::Ready(Ok(())),
                })
                .await
            })
        } else {
            runtime.block_on(async {
                first();
                let wait = pin!(poll_fn(|cx| if end.is_set(cx) {
                    Poll::Ready(Ok(()))
                } else {
                    poll_events(descriptor, cx, events)
                }));
                match timeout {
                    None => wait.await,
                    Some(timeout) => within(timeout, wait).await.unwrap_or(Ok(())),
                }
            })
        };
        end.reset();
        *left = !events.is_empty();
        result
    }

    fn local(&self) -> Option<Local> {
        let (_, runtime) = self.parts.as_ref()?;
        Some(Local { runtime: runtime.handle().clone(), end: self.end.clone() })
    }
}

impl Drop for TokioDriver {
    fn drop(&mut self) {
        if let Some((descriptor, runtime)) = self.parts.take() {
            drop(descriptor);
            // Does not wait for blocking work, so it may be called while attached.
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Instant;

    use rustix::event::epoll::EventFlags;
    use rustix::pipe::{PipeFlags, pipe_with};

    use super::*;

    /// A driver with a task on it that never ends, so that it waits in Tokio.
    fn driver_with_task() -> (TokioDriver, Poller, Arc<AtomicUsize>) {
        let poller = Poller::new().unwrap();
        let driver = TokioDriver::new(poller.clone(), false).unwrap();
        let ticks = Arc::<AtomicUsize>::default();
        let seen = ticks.clone();
        driver.local().unwrap().runtime.spawn(async move {
            loop {
                seen.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        (driver, poller, ticks)
    }

    #[test]
    fn tasks_run_while_it_is_parked_and_the_timeout_is_kept() {
        let (mut driver, _poller, ticks) = driver_with_task();
        let begin = Instant::now();
        let mut events = Vec::new();
        driver.park(Some(Duration::from_millis(30)), &mut events, &mut || ()).unwrap();
        assert!(begin.elapsed() >= Duration::from_millis(30));
        assert!(events.is_empty());
        assert!(ticks.load(Ordering::Relaxed) >= 3);
    }

    #[test]
    fn what_is_left_in_the_set_is_found_again() {
        let (mut driver, poller, _) = driver_with_task();
        let (read, write) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        poller.watch(read.as_raw_fd(), 5, EventFlags::IN, false).unwrap();
        rustix::io::write(&write, b"xy").unwrap();
        for _ in 0..3 {
            let mut events = Vec::new();
            driver.park(Some(Duration::from_secs(10)), &mut events, &mut || ()).unwrap();
            assert_eq!(events.len(), 1, "level-triggered through Tokio too");
        }
    }

    #[test]
    fn a_descriptor_wakes_it() {
        let (mut driver, poller, _) = driver_with_task();
        let (read, write) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        poller.watch(read.as_raw_fd(), 5, EventFlags::IN, false).unwrap();
        for _ in 0..50 {
            let write = write.try_clone().unwrap();
            let writer = std::thread::spawn(move || {
                std::thread::sleep(Duration::from_micros(500));
                rustix::io::write(&write, b"x").unwrap();
            });
            let mut events = Vec::new();
            driver.park(None, &mut events, &mut || ()).unwrap();
            assert_eq!(events.len(), 1);
            rustix::io::read(&read, &mut [0u8; 8]).unwrap();
            writer.join().unwrap();
        }
    }

    #[test]
    fn a_zero_timeout_runs_tasks_without_waiting() {
        let (mut driver, _poller, ticks) = driver_with_task();
        driver.park(Some(Duration::ZERO), &mut Vec::new(), &mut || ()).unwrap();
        assert_eq!(ticks.load(Ordering::Relaxed), 1);
    }
}
