//! Who is called when a descriptor becomes ready: `add_reader`, `add_writer` and what undoes them.

use std::mem;
use std::os::fd::RawFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::{PyAttributeError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use rustix::event::epoll::EventFlags;

use super::handle::Handle;
use super::poller::{Event, Poller};
use super::ready::{Entry, Ready};

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
}

impl Watch {
    fn interest(&self) -> EventFlags {
        let mut flags = EventFlags::empty();
        flags.set(EventFlags::IN, self.reader.is_some());
        flags.set(EventFlags::OUT, self.writer.is_some());
        flags
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
        let known = slot.is_some();
        let watch = slot.get_or_insert_with(|| Watch { generation, reader: None, writer: None, object: None });
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

    fn remove_fd(&self, poller: &Poller, fd: RawFd, direction: Direction) -> Option<Py<Handle>> {
        let mut table = self.table();
        let watch = table.get(fd)?;
        let handle = watch.side(direction).take();
        let (token, interest) = (watch.token(fd), watch.interest());
        let mut gone = None;
        if interest.is_empty() {
            gone = usize::try_from(fd).ok().and_then(|index| table.by_fd[index].take());
            poller.forget(fd);
        } else if handle.is_some() {
            // It fails for a descriptor that was closed, and then there is nothing left to change.
            let _ = poller.watch(fd, token, interest, true);
        }
        drop(table);
        drop(gone);
        handle
    }

    /// Makes the callbacks of a descriptor ready that an event names. A hang-up or an error concerns both sides.
    pub(super) fn dispatch(&self, py: Python<'_>, poller: &Poller, event: &Event, ready: &Ready) {
        let Event { token, flags } = *event;
        let fd = (token & u64::from(u32::MAX)) as RawFd;
        let (reader, writer) = {
            let mut table = self.table();
            let Some(watch) = table.get(fd) else { return };
            if watch.token(fd) != token {
                return;
            }
            let reader = watch.reader.as_ref().filter(|_| flags.intersects(!EventFlags::OUT)).map(|h| h.clone_ref(py));
            let writer = watch.writer.as_ref().filter(|_| flags.intersects(!EventFlags::IN)).map(|h| h.clone_ref(py));
            (reader, writer)
        };
        for (handle, direction) in [(reader, Direction::Read), (writer, Direction::Write)] {
            match handle {
                // Cancelled by its owner without being removed.
                Some(handle) if handle.get().is_cancelled() => drop(self.remove_fd(poller, fd, direction)),
                Some(handle) => ready.push(Entry::Native(handle)),
                None => {}
            }
        }
    }

    /// What is watched: the mask of `selectors`, 1 to read and 2 to write; none when it is not watched.
    pub(super) fn mask(&self, object: &Bound<'_, PyAny>) -> PyResult<Option<u32>> {
        let fd = self.fileno(object)?;
        Ok(self
            .table()
            .get(fd)
            .map(|watch| u32::from(watch.reader.is_some()) | (u32::from(watch.writer.is_some()) << 1)))
    }

    /// The numbers that are watched.
    pub(super) fn watched(&self) -> Vec<usize> {
        self.table().by_fd.iter().enumerate().filter(|(_, watch)| watch.is_some()).map(|(fd, _)| fd).collect()
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
        }
        Ok(())
    }
}
