#![allow(unsafe_code)] // Descriptors come from Python as numbers, and epoll wants to borrow them.
//! The descriptors that a loop waits for: one epoll set, level-triggered but for the waker.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;

/// How many events one call collects at most; the set is level-triggered, so the rest comes with the next call.
pub(super) const BATCH: usize = 256;

/// The token of the waker, which no descriptor has: theirs hold a generation that starts again before this.
pub(super) const WAKER: u64 = u64::MAX;

/// What happened to a watched descriptor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Event {
    pub(super) token: u64,
    pub(super) flags: EventFlags,
}

impl Event {
    /// The number of the descriptor, which is the low half of its token.
    pub(super) fn fd(&self) -> RawFd {
        (self.token & u64::from(u32::MAX)) as RawFd
    }
}

/// An epoll set. Clones share it.
#[derive(Clone)]
pub(super) struct Poller(Arc<OwnedFd>);

impl Poller {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(Arc::new(epoll::create(CreateFlags::CLOEXEC)?)))
    }

    /// Watches what wakes the loop. Each write to it is told of once, so it need not be read.
    pub(super) fn add_waker(&self, waker: BorrowedFd<'_>) -> io::Result<()> {
        Ok(epoll::add(&self.0, waker, EventData::new_u64(WAKER), EventFlags::IN | EventFlags::ET)?)
    }

    /// Watches a descriptor; `known` says that it is in the set as far as the loop knows.
    ///
    /// The kernel forgets a descriptor that is closed, and another may get its number, so both answers to "is it in
    /// the set" are put right instead of failing.
    pub(super) fn watch(&self, fd: RawFd, token: u64, interest: EventFlags, known: bool) -> io::Result<()> {
        let fd = borrow(fd)?;
        let data = EventData::new_u64(token);
        let first =
            if known { epoll::modify(&self.0, fd, data, interest) } else { epoll::add(&self.0, fd, data, interest) };
        match first {
            Err(Errno::NOENT) => epoll::add(&self.0, fd, data, interest)?,
            Err(Errno::EXIST) => epoll::modify(&self.0, fd, data, interest)?,
            other => other?,
        }
        Ok(())
    }

    /// Forgets a descriptor; one that was closed before is forgotten already.
    pub(super) fn forget(&self, fd: RawFd) {
        if let Ok(fd) = borrow(fd) {
            let _ = epoll::delete(&self.0, fd);
        }
    }

    /// Waits until something happens, or for at most `timeout`, and appends what happened to `events`.
    ///
    /// An interrupting signal ends the wait with nothing.
    pub(super) fn collect(&self, timeout: Option<Duration>, events: &mut Vec<Event>) -> io::Result<()> {
        // Rounded up to whole milliseconds inside, so a timer is never early. A day at a time is within the range.
        let timeout = timeout.map(|timeout| timeout.min(Duration::from_secs(24 * 3600)));
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: timeout.as_secs().cast_signed(),
            tv_nsec: i64::from(timeout.subsec_nanos()),
        });
        let mut buffer = [MaybeUninit::<epoll::Event>::uninit(); BATCH];
        match epoll::wait(&self.0, &mut buffer, timeout.as_ref()) {
            Ok((happened, _)) => {
                events.extend(happened.iter().map(|event| Event { token: event.data.u64(), flags: event.flags }));
                Ok(())
            }
            Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for Poller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Poller {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

fn borrow<'a>(fd: RawFd) -> io::Result<BorrowedFd<'a>> {
    if fd < 0 {
        return Err(Errno::BADF.into());
    }
    // SAFETY: it is not -1, it is only handed to epoll_ctl at once, and the kernel answers EBADF for a number that is
    // not open. Nothing is read or written through it.
    Ok(unsafe { BorrowedFd::borrow_raw(fd) })
}

#[cfg(test)]
mod tests {
    use rustix::pipe::{PipeFlags, pipe_with};

    use super::*;

    fn tokens(poller: &Poller) -> Vec<u64> {
        let mut events = Vec::new();
        poller.collect(Some(Duration::ZERO), &mut events).unwrap();
        events.iter().map(|event| event.token).collect()
    }

    #[test]
    fn an_unread_byte_is_reported_again() {
        let poller = Poller::new().unwrap();
        let (read, write) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        poller.watch(read.as_raw_fd(), 7, EventFlags::IN, false).unwrap();
        assert!(tokens(&poller).is_empty());
        rustix::io::write(&write, b"x").unwrap();
        assert_eq!(tokens(&poller), [7]);
        assert_eq!(tokens(&poller), [7]);
        poller.forget(read.as_raw_fd());
        assert!(tokens(&poller).is_empty());
    }

    #[test]
    fn a_descriptor_closed_behind_our_back_can_be_watched_again() {
        let poller = Poller::new().unwrap();
        let (read, _write) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let number = read.as_raw_fd();
        poller.watch(number, 1, EventFlags::IN, false).unwrap();
        drop(read);
        let (again, write) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let (number, write) = if again.as_raw_fd() == number { (number, write) } else { (again.as_raw_fd(), write) };
        poller.watch(number, 2, EventFlags::IN, true).unwrap();
        rustix::io::write(&write, b"x").unwrap();
        assert_eq!(tokens(&poller), [2]);
    }

    #[test]
    fn a_wait_is_never_short() {
        let poller = Poller::new().unwrap();
        let begin = std::time::Instant::now();
        poller.collect(Some(Duration::from_micros(2300)), &mut Vec::new()).unwrap();
        assert!(begin.elapsed() >= Duration::from_micros(2300));
    }

    #[test]
    fn nonsense_is_refused() {
        let poller = Poller::new().unwrap();
        assert!(poller.watch(-1, 0, EventFlags::IN, false).is_err());
        assert!(poller.watch(1_000_000, 0, EventFlags::IN, false).is_err());
    }
}
