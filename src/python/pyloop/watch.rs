//! Who is told when a descriptor becomes ready: the callbacks of `add_reader` and `add_writer`, and native [`Source`]s.

use std::io;
use std::mem;
use std::os::fd::RawFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::{PyAttributeError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use rustix::event::epoll::EventFlags;

use super::core::LoopCore;
use super::handle::Handle;
use super::poller::{Event, Poller};
use super::ready::{Entry, Ready};
use super::source::Source;

/// What a callback waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Read,
    Write,
}

/// A watched descriptor.
struct Watch {
    /// Tells events of an earlier owner of the same number apart.
    generation: u32,
    reader: Option<Py<Handle>>,
    writer: Option<Py<Handle>>,
    /// The object it was watched as, which still names it after it was closed.
    object: Option<Py<PyAny>>,
    /// Who owns the descriptor, and what it waits for; it may wait for nothing for a while.
    source: Option<(Arc<dyn Source>, EventFlags)>,
}

/// The place of a source in the table. It names the descriptor and its owner, so one that is out of date does nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claim {
    fd: RawFd,
    generation: u32,
}

impl Watch {
    fn new(generation: u32) -> Self {
        Self { generation, reader: None, writer: None, object: None, source: None }
    }

    fn interest(&self) -> EventFlags {
        let mut flags = self.source.as_ref().map_or(EventFlags::empty(), |(_, interest)| *interest);
        if self.reader.is_some() {
            flags |= EventFlags::IN;
        }
        if self.writer.is_some() {
            flags |= EventFlags::OUT;
        }
        flags
    }

    /// Changes what the source waits for.
    fn change(&mut self, poller: &Poller, fd: RawFd, f: impl FnOnce(EventFlags) -> EventFlags) -> io::Result<()> {
        let before = self.interest();
        if let Some((_, interest)) = &mut self.source {
            *interest = f(*interest);
        }
        let after = self.interest();
        if before == after {
            return Ok(());
        }
        if after.is_empty() {
            poller.forget(fd);
            return Ok(());
        }
        poller.watch(fd, self.token(fd), after, !before.is_empty())
    }

    fn side(&mut self, direction: Direction) -> &mut Option<Py<Handle>> {
        match direction {
            Direction::Read => &mut self.reader,
            Direction::Write => &mut self.writer,
        }
    }

    fn token(&self, fd: RawFd) -> u64 {
        (u64::from(self.generation) << 32) | u64::from(fd.unsigned_abs())
    }
}

/// The watched descriptors of a loop, by number. The lock is never held while Python runs or a reference is dropped.
#[derive(Default)]
pub(super) struct Watches(Mutex<Table>);

#[derive(Default)]
struct Table {
    by_fd: Vec<Option<Watch>>,
    generation: u32,
}

impl Table {
    fn get(&mut self, fd: RawFd) -> Option<&mut Watch> {
        self.by_fd.get_mut(usize::try_from(fd).ok()?)?.as_mut()
    }

    fn slot(&mut self, fd: usize) -> &mut Option<Watch> {
        if self.by_fd.len() <= fd {
            self.by_fd.resize_with(fd + 1, || None);
        }
        &mut self.by_fd[fd]
    }

    /// Never `u32::MAX`, which is the waker's.
    fn next_generation(&mut self) -> u32 {
        self.generation = (self.generation + 1) % u32::MAX;
        self.generation
    }
}

impl Watches {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls `handle` whenever the descriptor is ready, in place of the handle before, which is given back.
    pub(super) fn add(
        &self,
        poller: &Poller,
        object: &Bound<'_, PyAny>,
        direction: Direction,
        handle: &Bound<'_, Handle>,
    ) -> PyResult<Option<Py<Handle>>> {
        let fd = self.fileno(object)?;
        let index = usize::try_from(fd)?;
        // A number names itself; only an object can be asked for again after it was closed.
        let object = if object.extract::<RawFd>().is_ok() { None } else { Some(object.clone().unbind()) };
        let new = handle.clone().unbind();
        let mut table = self.table();
        let generation = table.next_generation();
        let slot = table.slot(index);
        // Without interest it is not in the set.
        let known = slot.as_ref().is_some_and(|watch| !watch.interest().is_empty());
        let watch = slot.get_or_insert_with(|| Watch::new(generation));
        let old = watch.side(direction).replace(new);
        let stale_object = mem::replace(&mut watch.object, object);
        let (token, interest) = (watch.token(fd), watch.interest());
        let result = poller.watch(fd, token, interest, known);
        let gone = if result.is_err() { slot.take() } else { None };
        drop(table);
        drop((stale_object, gone));
        result?;
        Ok(old)
    }

    /// Undoes `add` and gives back the handle, if there was one.
    pub(super) fn remove(
        &self,
        poller: &Poller,
        object: &Bound<'_, PyAny>,
        direction: Direction,
    ) -> PyResult<Option<Py<Handle>>> {
        let fd = self.fileno(object)?;
        Ok(self.remove_fd(poller, fd, direction))
    }

    /// Undoes `add` for one handle, unless another one or another owner of the number has taken its place.
    pub(super) fn remove_handle(&self, poller: &Poller, fd: RawFd, direction: Direction, handle: &Py<Handle>) {
        let is_there = {
            let mut table = self.table();
            table.get(fd).and_then(|watch| watch.side(direction).as_ref()).is_some_and(|known| known.is(handle))
        };
        if is_there {
            drop(self.remove_fd(poller, fd, direction));
        }
    }

    fn remove_fd(&self, poller: &Poller, fd: RawFd, direction: Direction) -> Option<Py<Handle>> {
        let mut table = self.table();
        let watch = table.get(fd)?;
        let handle = watch.side(direction).take();
        let (token, interest) = (watch.token(fd), watch.interest());
        let mut gone = None;
        if interest.is_empty() {
            // A source keeps its place while it waits for nothing.
            if watch.source.is_none() {
                gone = usize::try_from(fd).ok().and_then(|index| table.by_fd[index].take());
            }
            poller.forget(fd);
        } else if handle.is_some() {
            // It fails for a descriptor that was closed, and then there is nothing left to change.
            let _ = poller.watch(fd, token, interest, true);
        }
        drop(table);
        drop(gone);
        handle
    }

    /// Makes a source the owner of a descriptor; it waits for nothing yet. Callbacks left from an earlier owner of the number
    /// are forgotten.
    pub(super) fn claim(&self, poller: &Poller, fd: RawFd, source: Arc<dyn Source>) -> io::Result<Claim> {
        let index = usize::try_from(fd).map_err(|_| io::Error::from(rustix::io::Errno::BADF))?;
        let mut table = self.table();
        let generation = table.next_generation();
        let watch = Watch { source: Some((source, EventFlags::empty())), ..Watch::new(generation) };
        let before = table.slot(index).replace(watch);
        if before.is_some() {
            poller.forget(fd);
        }
        drop(table);
        drop(before);
        Ok(Claim { fd, generation })
    }

    /// What a source waits for.
    pub(super) fn interest(&self, claim: Claim) -> EventFlags {
        let mut table = self.table();
        let watch = table.get(claim.fd).filter(|watch| watch.generation == claim.generation);
        watch.and_then(|watch| watch.source.as_ref()).map_or(EventFlags::empty(), |(_, interest)| *interest)
    }

    /// Changes what a source waits for; with nothing it hears nothing, not even that the peer hung up.
    pub(super) fn change_interest(
        &self,
        poller: &Poller,
        claim: Claim,
        add: EventFlags,
        remove: EventFlags,
    ) -> io::Result<()> {
        let mut table = self.table();
        let Some(watch) = table.get(claim.fd).filter(|watch| watch.generation == claim.generation) else {
            return Ok(());
        };
        watch.change(poller, claim.fd, |interest| (interest | add) & !remove)
    }

    /// Undoes what a source waits for in one direction; true when it did wait.
    pub(super) fn silence(&self, poller: &Poller, fd: &Bound<'_, PyAny>, direction: Direction) -> PyResult<bool> {
        let fd = self.fileno(fd)?;
        let flag = match direction {
            Direction::Read => EventFlags::IN,
            Direction::Write => EventFlags::OUT,
        };
        let mut table = self.table();
        let Some(watch) = table.get(fd) else { return Ok(false) };
        let waited = watch.source.as_ref().is_some_and(|(_, interest)| interest.contains(flag));
        if waited {
            watch.change(poller, fd, |interest| interest & !flag)?;
        }
        Ok(waited)
    }

    /// Gives a descriptor up. To be called before it is closed.
    pub(super) fn release(&self, poller: &Poller, claim: Claim) {
        let mut table = self.table();
        let Some(watch) = table.get(claim.fd).filter(|watch| watch.generation == claim.generation) else { return };
        // It fails for a descriptor that was closed, and then there is nothing left to change.
        let _ = watch.change(poller, claim.fd, |_| EventFlags::empty());
        let source = watch.source.take();
        let mut gone = None;
        if watch.interest().is_empty() {
            gone = usize::try_from(claim.fd).ok().and_then(|index| table.by_fd[index].take());
        }
        drop(table);
        drop((source, gone));
    }

    /// Queues what an event concerns, as asyncio does: callbacks, and the event itself when a source waits for it. A hang-up or an
    /// error concerns both sides.
    pub(super) fn dispatch(&self, py: Python<'_>, ready: &Ready, poller: &Poller, event: Event) {
        let Event { token, flags } = event;
        let fd = event.fd();
        let (has_source, reader, writer) = {
            let mut table = self.table();
            let Some(watch) = table.get(fd).filter(|watch| watch.token(fd) == token) else { return };
            let take = |handle: &Option<Py<Handle>>, wanted: EventFlags| {
                handle.as_ref().filter(|_| flags.intersects(wanted)).map(|handle| handle.clone_ref(py))
            };
            let broken = EventFlags::HUP | EventFlags::ERR;
            (
                watch.source.as_ref().is_some_and(|(_, interest)| !interest.is_empty()),
                take(&watch.reader, EventFlags::IN | broken),
                take(&watch.writer, EventFlags::OUT | broken),
            )
        };
        for (handle, direction) in [(reader, Direction::Read), (writer, Direction::Write)] {
            match handle {
                // Cancelled by its owner without being removed.
                Some(handle) if handle.get().is_cancelled() => drop(self.remove_fd(poller, fd, direction)),
                Some(handle) => ready.push(py, Entry::Native(handle)),
                None => {}
            }
        }
        if has_source {
            ready.push(py, Entry::Event(event));
        }
    }

    /// Tells the source that an event concerns, if it still waits for anything. An error is one that must leave the loop.
    pub(super) fn tell_source(&self, event_loop: &Bound<'_, LoopCore>, event: Event) -> PyResult<()> {
        let fd = event.fd();
        let source = {
            let mut table = self.table();
            let watch = table.get(fd).filter(|watch| watch.token(fd) == event.token);
            let source = watch.and_then(|watch| watch.source.as_ref()).filter(|(_, interest)| !interest.is_empty());
            source.map(|(source, _)| source.clone())
        };
        source.map_or(Ok(()), |source| source.ready(event_loop, event.flags))
    }

    /// What is watched: the mask of `selectors`, 1 to read and 2 to write; none when it is not watched.
    pub(super) fn mask(&self, object: &Bound<'_, PyAny>) -> PyResult<Option<u32>> {
        let fd = self.fileno(object)?;
        Ok(self.table().get(fd).map(|watch| watch.interest()).filter(|interest| !interest.is_empty()).map(|interest| {
            u32::from(interest.contains(EventFlags::IN)) | (u32::from(interest.contains(EventFlags::OUT)) << 1)
        }))
    }

    /// The numbers that are watched.
    pub(super) fn watched(&self) -> Vec<usize> {
        let table = self.table();
        let is_watched = |watch: &Option<Watch>| watch.as_ref().is_some_and(|watch| !watch.interest().is_empty());
        table.by_fd.iter().enumerate().filter(|(_, watch)| is_watched(watch)).map(|(fd, _)| fd).collect()
    }

    /// The number behind a number or an object with `fileno()`, with the words of `selectors`.
    fn fileno(&self, object: &Bound<'_, PyAny>) -> PyResult<RawFd> {
        let py = object.py();
        let invalid_object = |_| PyValueError::new_err(format!("Invalid file object: {object:?}"));
        let fd = match object.extract::<RawFd>() {
            Ok(fd) => fd,
            Err(_) => {
                let answer = object.call_method0(intern!(py, "fileno")).and_then(|fd| fd.extract::<RawFd>());
                match answer {
                    Ok(fd) => fd,
                    Err(error)
                        if error.is_instance_of::<PyAttributeError>(py)
                            || error.is_instance_of::<PyTypeError>(py)
                            || error.is_instance_of::<PyValueError>(py) =>
                    {
                        return self.remembered(object).ok_or(error).map_err(invalid_object);
                    }
                    Err(error) => return Err(error),
                }
            }
        };
        if fd < 0 {
            return self
                .remembered(object)
                .ok_or_else(|| PyValueError::new_err(format!("Invalid file descriptor: {fd}")));
        }
        Ok(fd)
    }

    /// The number under which an object was watched before it was closed.
    fn remembered(&self, object: &Bound<'_, PyAny>) -> Option<RawFd> {
        let table = self.table();
        let same = |watch: &Option<Watch>| {
            watch.as_ref().and_then(|watch| watch.object.as_ref()).is_some_and(|known| known.is(object))
        };
        table.by_fd.iter().position(same).and_then(|fd| RawFd::try_from(fd).ok())
    }

    pub(super) fn clear(&self) {
        let table = mem::take(&mut *self.table());
        drop(table);
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        for watch in self.table().by_fd.iter().flatten() {
            visit.call(&watch.reader)?;
            visit.call(&watch.writer)?;
            visit.call(&watch.object)?;
            if let Some((source, _)) = &watch.source {
                source.traverse(visit)?;
            }
        }
        Ok(())
    }
}
