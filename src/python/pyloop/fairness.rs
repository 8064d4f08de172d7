//! No source of work starves another: a test for each pair, in which both bring new work as soon as the old is done.

use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyTuple};

use super::LoopCore;
use super::inbox::LoopHandle;
use super::job::{Job, Refused, Started};
use super::tests::{Fixture, alone, with_python};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// Jobs from other threads.
    Jobs,
    /// What is brought for jobs that run.
    Notices,
    /// `call_soon`.
    Callbacks,
    /// `call_later`.
    Timers,
    /// `add_reader`.
    Descriptors,
    /// Jobs of connections on the loop thread.
    Connections,
}

const SOURCES: usize = Source::Connections as usize + 1;
/// What each source of a pair must get done before the time is over.
const ENOUGH: usize = 300;

struct Meter {
    done: [AtomicUsize; SOURCES],
    wanted: Vec<Source>,
    end: Instant,
}

impl Meter {
    fn new(wanted: &[Source]) -> Arc<Self> {
        let end = Instant::now() + Duration::from_secs(5);
        Arc::new(Self { done: Default::default(), wanted: wanted.to_vec(), end })
    }

    fn count(&self, source: Source) -> usize {
        self.done[source as usize].load(Ordering::Relaxed)
    }

    /// Notes that a piece of work was done; whether the next is to come.
    fn more(&self, source: Source) -> bool {
        self.done[source as usize].fetch_add(1, Ordering::Relaxed);
        !self.is_over()
    }

    fn is_over(&self) -> bool {
        Instant::now() > self.end || self.wanted.iter().all(|source| self.count(*source) >= ENOUGH)
    }
}

/// A job that comes again when it is done.
struct Again {
    source: Source,
    meter: Arc<Meter>,
    handle: LoopHandle,
    takes: Duration,
}

impl Again {
    fn submit(self) {
        let handle = self.handle.clone();
        // Letting go of it would cancel the job.
        std::mem::forget(handle.submit(Box::new(self)).ok().unwrap());
    }
}

impl Job for Again {
    fn start(self: Box<Self>, _: Python<'_>) -> Started {
        std::thread::sleep(self.takes);
        if self.meter.more(self.source) && self.source == Source::Jobs {
            self.submit();
        }
        Started::Finished
    }

    fn refused(self: Box<Self>, _: Refused) {}
}

fn notice(meter: Arc<Meter>, handle: LoopHandle, takes: Duration) {
    let next = handle.clone();
    let delivered = handle.deliver(Box::new(move |_| {
        std::thread::sleep(takes);
        if meter.more(Source::Notices) {
            notice(meter, next, takes);
        }
    }));
    assert!(delivered.is_ok());
}

/// A callback that schedules itself again with the method of this name.
fn callback(event_loop: &Bound<'_, PyAny>, source: Source, meter: Arc<Meter>) -> PyResult<()> {
    let again = move |args: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| {
        if meter.more(source) {
            let (event_loop, itself) = (args.get_item(0)?, args.get_item(1)?);
            schedule(&event_loop, source, &itself)?;
        }
        PyResult::Ok(())
    };
    let again = PyCFunction::new_closure(event_loop.py(), None, None, again)?;
    schedule(event_loop, source, again.as_any())
}

fn schedule(event_loop: &Bound<'_, PyAny>, source: Source, callback: &Bound<'_, PyAny>) -> PyResult<()> {
    match source {
        Source::Timers => event_loop.call_method1("call_later", (0, callback, event_loop, callback)).map(drop),
        _ => event_loop.call_method1("call_soon", (callback, event_loop, callback)).map(drop),
    }
}

/// A descriptor with a byte that nobody reads.
fn descriptor(event_loop: &Bound<'_, PyAny>, meter: Arc<Meter>) -> PyResult<()> {
    let (reader, writer) = UnixStream::pair()?;
    std::io::Write::write_all(&mut &writer, b"x")?;
    let number = reader.as_raw_fd();
    let readable = move |args: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| {
        let _open = (&reader, &writer);
        if !meter.more(Source::Descriptors) {
            args.get_item(0)?.call_method1("remove_reader", (number,))?;
        }
        PyResult::Ok(())
    };
    let readable = PyCFunction::new_closure(event_loop.py(), None, None, readable)?;
    event_loop.call_method1("add_reader", (number, readable, event_loop)).map(drop)
}

fn begin(event_loop: &Bound<'_, PyAny>, source: Source, meter: Arc<Meter>) -> PyResult<()> {
    let core = event_loop.cast::<LoopCore>()?.get();
    let handle = core.handle();
    match source {
        Source::Jobs => Again { source, meter, handle, takes: Duration::ZERO }.submit(),
        Source::Notices => notice(meter, handle, Duration::ZERO),
        Source::Callbacks | Source::Timers => callback(event_loop, source, meter)?,
        Source::Descriptors => descriptor(event_loop, meter)?,
        Source::Connections => drop(core.fuse()?.spawn(async move {
            while !meter.is_over() {
                let (meter, handle) = (meter.clone(), handle.clone());
                Again { source, meter, handle, takes: Duration::ZERO }.submit();
                tokio::task::yield_now().await;
            }
        })),
    }
    Ok(())
}

/// Runs the loop with these sources until each got enough done, or until the time is over.
fn run(fixture: &Fixture, sources: &[Source], meter: &Arc<Meter>) {
    with_python(|py| {
        let event_loop = fixture.event_loop.bind(py);
        let (sources, begun) = (sources.to_vec(), meter.clone());
        let start = move |args: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| {
            sources.iter().try_for_each(|source| begin(&args.get_item(0)?, *source, begun.clone()))
        };
        let start = PyCFunction::new_closure(py, None, None, start).unwrap();
        event_loop.call_method1("call_soon", (start, event_loop)).unwrap();
        let meter = meter.clone();
        let over = move |_: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| meter.is_over();
        let over = PyCFunction::new_closure(py, None, None, over).unwrap();
        let until = py.import("helpers").unwrap().call_method1("until", (over,)).unwrap();
        event_loop.call_method1("run_until_complete", (until,)).unwrap();
    });
}

fn side_by_side(one: Source, other: Source) {
    let _alone = alone();
    let fixture = Fixture::new(&[]);
    let meter = Meter::new(&[one, other]);
    run(&fixture, &[one, other], &meter);
    let (first, second) = (meter.count(one), meter.count(other));
    assert!(first >= ENOUGH && second >= ENOUGH, "{one:?}: {first}, {other:?}: {second}");
}

macro_rules! pairs {
    ($($name:ident: $one:ident $other:ident,)*) => { $(
        #[test]
        fn $name() {
            side_by_side(Source::$one, Source::$other);
        }
    )* };
}

pairs! {
    jobs_and_notices: Jobs Notices,
    jobs_and_callbacks: Jobs Callbacks,
    jobs_and_timers: Jobs Timers,
    jobs_and_descriptors: Jobs Descriptors,
    jobs_and_connections: Jobs Connections,
    notices_and_callbacks: Notices Callbacks,
    notices_and_timers: Notices Timers,
    notices_and_descriptors: Notices Descriptors,
    notices_and_connections: Notices Connections,
    callbacks_and_timers: Callbacks Timers,
    callbacks_and_descriptors: Callbacks Descriptors,
    callbacks_and_connections: Callbacks Connections,
    timers_and_descriptors: Timers Descriptors,
    timers_and_connections: Timers Connections,
    descriptors_and_connections: Descriptors Connections,
}

/// Many pieces of work of a millisecond each wait at once; callbacks get their turn between them.
fn callbacks_between(slow: Source) {
    const PIECES: usize = 100;
    let _alone = alone();
    let fixture = Fixture::new(&[]);
    let meter = Meter::new(&[slow]);
    let takes = Duration::from_millis(1);
    for _ in 0..PIECES {
        match slow {
            Source::Notices => notice(meter.clone(), fixture.handle.clone(), takes),
            _ => Again { source: slow, meter: meter.clone(), handle: fixture.handle.clone(), takes }.submit(),
        }
    }
    run(&fixture, &[Source::Callbacks], &meter);
    // A turn takes two milliseconds of them and perhaps one more, and runs the callback once.
    let (done, turns) = (meter.count(slow), meter.count(Source::Callbacks));
    assert!(turns >= done / 5, "{turns} turns for {done} ms of {slow:?}");
}

#[test]
fn slow_jobs_leave_turns_to_callbacks() {
    callbacks_between(Source::Jobs);
}

#[test]
fn slow_notices_leave_turns_to_callbacks() {
    callbacks_between(Source::Notices);
}
