//! Jobs on a real loop, with the interpreter embedded in the test binary.

use std::ffi::CString;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;

use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyModule};

use super::LoopCore;
use super::inbox::{LoopHandle, Submitted};
use super::job::{Finish, Job, Overloaded, Refused, Started};
use crate::python::{attach, interrupt};
use crate::service::LeafKind;

const HELPERS: &str = include_str!("tests_helpers.py");

/// What became of a job.
#[derive(Debug, PartialEq)]
enum Outcome {
    /// The text of the result.
    Result(String),
    /// The type and the text of the exception.
    Raised(String, String),
    Refused(Refused),
    Inline,
}

/// Calls a function of `tests_helpers.py` and runs the coroutine that it gives, if it gives one.
struct Call {
    function: &'static str,
    argument: i64,
    outcome: Sender<Outcome>,
}

impl Job for Call {
    fn start(self: Box<Self>, py: Python<'_>) -> Started {
        attach::on_loop(py, LeafKind::Python, |py| {
            let helpers = py.import("helpers").unwrap();
            let value = helpers.getattr(self.function).unwrap().call1((self.argument,)).unwrap();
            if value.hasattr("send").unwrap() {
                return Started::Coroutine { coroutine: value.unbind(), finish: self };
            }
            self.outcome.send(Outcome::Inline).unwrap();
            Started::Finished
        })
    }

    fn refused(self: Box<Self>, why: Refused) {
        let _ = self.outcome.send(Outcome::Refused(why));
    }
}

impl Finish for Call {
    fn finish(self: Box<Self>, py: Python<'_>, result: PyResult<Bound<'_, PyAny>>) {
        let outcome = match result {
            Ok(value) => Outcome::Result(value.str().unwrap().to_string()),
            Err(error) => Outcome::Raised(error.get_type(py).name().unwrap().to_string(), error.value(py).to_string()),
        };
        let _ = self.outcome.send(outcome);
    }
}

/// Makes the package importable from the test binary, with the classes of this very build.
#[allow(clippy::disallowed_methods, reason = "tests enter where they like")]
pub(super) fn with_python<R>(f: impl for<'py> FnOnce(Python<'py>) -> R) -> R {
    static READY: Once = Once::new();
    Python::initialize();
    READY.call_once(|| {
        Python::attach(|py| {
            let native = PyModule::new(py, "ziggurat._ziggurat").unwrap();
            super::register(&native).unwrap();
            let package = PyModule::new(py, "ziggurat").unwrap();
            package.setattr("_ziggurat", &native).unwrap();
            // Its Python half comes from the sources.
            package.setattr("__path__", [concat!(env!("CARGO_MANIFEST_DIR"), "/python/ziggurat")]).unwrap();
            let modules = py.import("sys").unwrap().getattr("modules").unwrap();
            modules.set_item("ziggurat", package).unwrap();
            modules.set_item("ziggurat._ziggurat", native).unwrap();
            py.import("ziggurat._loop").unwrap();
            PyModule::from_code(py, &CString::new(HELPERS).unwrap(), c"helpers.py", c"helpers").unwrap();
        });
    });
    Python::attach(f)
}

/// A PyLoop, not yet running.
pub(super) struct Fixture {
    /// Never let go of, as that wants the GIL.
    pub(super) event_loop: &'static Py<PyAny>,
    pub(super) handle: LoopHandle,
}

impl Fixture {
    pub(super) fn new(settings: &[(&str, usize)]) -> Self {
        with_python(|py| {
            let options = PyDict::new(py);
            for (name, value) in settings {
                options.set_item(name, value).unwrap();
            }
            let class = py.import("ziggurat._loop").unwrap().getattr("PyLoop").unwrap();
            let event_loop = class.call((), Some(&options)).unwrap();
            let handle = event_loop.cast::<LoopCore>().unwrap().get().handle();
            Self { event_loop: Box::leak(Box::new(event_loop.unbind())), handle }
        })
    }

    fn submit(&self, function: &'static str, argument: i64) -> (Result<Submitted, Overloaded>, Receiver<Outcome>) {
        let (outcome, receiver) = channel();
        (self.handle.submit(Box::new(Call { function, argument, outcome })), receiver)
    }

    /// Runs the loop for a while.
    fn run(&self, seconds: f64) -> PyResult<()> {
        with_python(|py| {
            let sleep = py.import("asyncio")?.call_method1("sleep", (seconds,))?;
            self.event_loop.bind(py).call_method1("run_until_complete", (sleep,)).map(drop)
        })
    }

    fn in_flight(&self) -> usize {
        with_python(|py| self.event_loop.bind(py).getattr("in_flight").unwrap().extract().unwrap())
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        with_python(|py| {
            self.event_loop.call_method0(py, "close").unwrap();
        });
    }
}

/// These tests share an interpreter whose signals and running loops belong to one thread at a time.
pub(super) fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn result(text: &str) -> Outcome {
    Outcome::Result(text.to_owned())
}

#[test]
fn a_coroutine_that_never_waits_is_done_in_its_first_step() {
    let _alone = alone();
    let fixture = Fixture::new(&[]);
    let (submitted, outcome) = fixture.submit("at_once", 20);
    // The loop stops after the one turn that starts the job, so no second turn can have been needed.
    with_python(|py| {
        fixture.event_loop.call_method0(py, "stop").unwrap();
        fixture.event_loop.call_method0(py, "run_forever").unwrap();
    });
    assert_eq!(outcome.try_recv().unwrap(), result("21"));
    assert!(submitted.is_ok());
}

#[test]
fn the_first_step_runs_in_a_real_task() {
    let _alone = alone();
    let fixture = Fixture::new(&[]);
    let (_kept, task) = fixture.submit("in_a_task", 0);
    let (_kept2, timeout) = fixture.submit("timeout_from_the_first_line", 0);
    let (_kept3, group) = fixture.submit("task_group", 3);
    fixture.run(0.1).unwrap();
    assert_eq!(task.try_recv().unwrap(), result("True"));
    assert_eq!(timeout.try_recv().unwrap(), result("timed out"));
    assert_eq!(group.try_recv().unwrap(), result("[0, 1, 2]"));
    assert_eq!(fixture.in_flight(), 0);
}

#[test]
fn every_job_has_a_context_of_its_own() {
    let _alone = alone();
    let fixture = Fixture::new(&[]);
    let jobs: Vec<_> = (1..4).map(|n| fixture.submit("context", n)).collect();
    let (_kept, inline) = fixture.submit("sync_context", 9);
    fixture.run(0.05).unwrap();
    for (n, (_, outcome)) in (1..4).zip(&jobs) {
        assert_eq!(outcome.try_recv().unwrap(), result(&format!("[0, {n}, {n}]")));
    }
    assert_eq!(inline.try_recv().unwrap(), Outcome::Inline);
}

#[test]
fn exceptions_are_handed_over() {
    let _alone = alone();
    let fixture = Fixture::new(&[]);
    let (_kept, at_once) = fixture.submit("raise_at_once", 1);
    let (_kept2, later) = fixture.submit("raise_later", 2);
    let (_kept3, cancelled) = fixture.submit("cancel_itself", 0);
    fixture.run(0.05).unwrap();
    assert_eq!(at_once.try_recv().unwrap(), Outcome::Raised("ValueError".into(), "1".into()));
    assert_eq!(later.try_recv().unwrap(), Outcome::Raised("ValueError".into(), "2".into()));
    assert!(matches!(cancelled.try_recv().unwrap(), Outcome::Raised(name, _) if name == "CancelledError"));
}

#[test]
fn something_that_is_no_coroutine_is_an_error_of_the_job() {
    let _alone = alone();
    let fixture = Fixture::new(&[]);
    let (_kept, outcome) = fixture.submit("not_a_coroutine", 0);
    let (_kept2, next) = fixture.submit("at_once", 1);
    fixture.run(0.01).unwrap();
    assert!(matches!(outcome.try_recv().unwrap(), Outcome::Raised(name, _) if name == "TypeError"));
    assert_eq!(next.try_recv().unwrap(), result("2"));
}

#[test]
fn an_interrupt_ends_the_run_and_the_job() {
    let _alone = alone();
    let fixture = Fixture::new(&[]);
    let (_kept, outcome) = fixture.submit("interrupt", 0);
    let error = fixture.run(1.0).unwrap_err();
    with_python(move |py| assert!(error.is_instance_of::<PyKeyboardInterrupt>(py)));
    assert!(matches!(outcome.try_recv().unwrap(), Outcome::Raised(name, _) if name == "KeyboardInterrupt"));
}

#[test]
fn leaving_the_program_ends_the_job_and_not_the_run() {
    let _alone = alone();
    let fixture = Fixture::new(&[]);
    let (_kept, at_once) = fixture.submit("leave_at_once", 0);
    let (_kept2, later) = fixture.submit("leave_later", 0);
    let (_kept3, other) = fixture.submit("after_a_turn", 1);
    fixture.run(0.05).unwrap();
    for outcome in [at_once, later] {
        assert!(matches!(outcome.try_recv().unwrap(), Outcome::Raised(name, _) if name == "SystemExit"));
    }
    assert_eq!(other.try_recv().unwrap(), result("2"));
}

#[test]
fn a_cancellation_that_nobody_asked_for_is_a_failure() {
    let _alone = alone();
    let fixture = Fixture::new(&[]);
    let (_kept, at_once) = fixture.submit("raise_cancelled", 0);
    let (_kept2, later) = fixture.submit("await_what_is_cancelled", 0);
    fixture.run(0.05).unwrap();
    for outcome in [at_once, later] {
        assert!(matches!(outcome.try_recv().unwrap(), Outcome::Raised(name, _) if name == "RuntimeError"));
    }
}

#[test]
fn letting_go_of_a_job_cancels_it() {
    let _alone = alone();
    let fixture = Fixture::new(&[]);
    let (submitted, outcome) = fixture.submit("wait_forever", 0);
    fixture.run(0.01).unwrap();
    assert_eq!(fixture.in_flight(), 1);
    drop(submitted);
    fixture.run(0.01).unwrap();
    assert!(matches!(outcome.try_recv().unwrap(), Outcome::Raised(name, _) if name == "CancelledError"));
    assert_eq!(fixture.in_flight(), 0);

    let (submitted, outcome) = fixture.submit("wait_forever", 0);
    drop(submitted);
    fixture.run(0.01).unwrap();
    assert_eq!(outcome.try_recv().unwrap(), Outcome::Refused(Refused::Cancelled));
}

#[test]
fn letting_go_wakes_a_parked_loop() {
    let _alone = alone();
    let fixture = Fixture::new(&[]);
    let (submitted, outcome) = fixture.submit("wait_forever", 0);
    let waiter = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(30));
        drop(submitted);
        outcome.recv_timeout(Duration::from_millis(300)).unwrap()
    });
    fixture.run(0.5).unwrap();
    assert!(matches!(waiter.join().unwrap(), Outcome::Raised(name, _) if name == "CancelledError"));
}

#[test]
fn too_many_suspended_coroutines_are_refused() {
    let _alone = alone();
    let fixture = Fixture::new(&[("in_flight_limit", 2)]);
    let jobs: Vec<_> = (0..3).map(|_| fixture.submit("wait_forever", 0)).collect();
    fixture.run(0.01).unwrap();
    assert_eq!(jobs[2].1.try_recv().unwrap(), Outcome::Refused(Refused::Overloaded));
    assert_eq!(fixture.submit("at_once", 0).0.err(), Some(Overloaded::TooManyInFlight));
    drop(jobs);
    fixture.run(0.01).unwrap();
    assert!(fixture.submit("at_once", 0).0.is_ok());
}

#[test]
fn a_loop_that_ends_refuses_what_waits() {
    let _alone = alone();
    let fixture = Fixture::new(&[("inbox_capacity", 1)]);
    let (_kept, outcome) = fixture.submit("at_once", 0);
    assert_eq!(fixture.submit("at_once", 0).0.err(), Some(Overloaded::InboxFull));
    let handle = fixture.handle.clone();
    drop(fixture);
    assert_eq!(outcome.try_recv().unwrap(), Outcome::Refused(Refused::Stopped));
    let (outcome, _receiver) = channel();
    let refused = handle.submit(Box::new(Call { function: "at_once", argument: 0, outcome }));
    assert_eq!(refused.err(), Some(Overloaded::Closed));
}

#[test]
fn a_loop_closed_over_a_suspended_job_lets_go_of_it() {
    let _alone = alone();
    let fixture = Fixture::new(&[]);
    let (_kept, outcome) = fixture.submit("wait_forever", 0);
    fixture.run(0.01).unwrap();
    drop(fixture);
    with_python(|py| py.import("gc").unwrap().call_method0("collect").map(drop).unwrap());
    assert!(outcome.recv_timeout(Duration::from_secs(5)).is_err(), "the sender went with the task");
}

#[test]
fn a_loop_dropped_over_a_suspended_job_is_collected() {
    let _alone = alone();
    let (outcome, receiver) = channel();
    let kept = with_python(|py| {
        let event_loop = py.import("ziggurat._loop").unwrap().getattr("PyLoop").unwrap().call0().unwrap();
        let handle = event_loop.cast::<LoopCore>().unwrap().get().handle();
        let kept = handle.submit(Box::new(Call { function: "wait_forever", argument: 0, outcome })).ok().unwrap();
        let sleep = py.import("asyncio").unwrap().call_method1("sleep", (0.01,)).unwrap();
        event_loop.call_method1("run_until_complete", (sleep,)).unwrap();
        let watch = py.import("weakref").unwrap().call_method1("ref", (&event_loop,)).unwrap();
        // Neither closed nor held by anyone but by its own job.
        drop(event_loop);
        py.import("gc").unwrap().call_method0("collect").unwrap();
        assert!(watch.call0().unwrap().is_none());
        kept
    });
    assert!(receiver.recv_timeout(Duration::from_secs(5)).is_err(), "the sender went with the task");
    drop(kept);
}

#[test]
fn debug_mode_names_a_first_step_that_blocks() {
    let _alone = alone();
    let fixture = Fixture::new(&[]);
    with_python(|py| {
        fixture.event_loop.call_method1(py, "set_debug", (true,)).unwrap();
        fixture.event_loop.setattr(py, "slow_callback_duration", 0.06).unwrap();
    });
    let (_kept, _quick) = fixture.submit("block", 0);
    let (_kept2, _slow) = fixture.submit("block", 80);
    fixture.run(0.01).unwrap();
    let messages: Vec<String> = with_python(|py| {
        py.import("helpers").unwrap().getattr("records").unwrap().getattr("messages").unwrap().extract().unwrap()
    });
    let told = messages.iter().filter(|text| text.starts_with("Executing the first step of a job took")).count();
    assert_eq!(told, 1, "{messages:?}");
}

#[test]
fn a_panic_leaves_the_loop_alive() {
    struct Panics;
    impl Job for Panics {
        fn start(self: Box<Self>, _: Python<'_>) -> Started {
            panic!("on purpose")
        }
        fn refused(self: Box<Self>, _: Refused) {}
    }
    impl Finish for Panics {
        fn finish(self: Box<Self>, _: Python<'_>, _: PyResult<Bound<'_, PyAny>>) {
            panic!("on purpose")
        }
    }
    struct PanicsLater;
    impl Job for PanicsLater {
        fn start(self: Box<Self>, py: Python<'_>) -> Started {
            let coroutine = py.import("asyncio").unwrap().call_method1("sleep", (0,)).unwrap().unbind();
            Started::Coroutine { coroutine, finish: Box::new(Panics) }
        }
        fn refused(self: Box<Self>, _: Refused) {}
    }

    let _alone = alone();
    let fixture = Fixture::new(&[]);
    let _first = fixture.handle.submit(Box::new(Panics)).ok().unwrap();
    let _second = fixture.handle.submit(Box::new(PanicsLater)).ok().unwrap();
    assert!(fixture.handle.deliver(Box::new(|_| panic!("on purpose"))).is_ok());
    let (_kept, outcome) = fixture.submit("at_once", 1);
    fixture.run(0.02).unwrap();
    assert_eq!(outcome.try_recv().unwrap(), result("2"));
    assert_eq!(fixture.in_flight(), 0);
}

#[test]
fn many_jobs_from_many_threads() {
    const EACH: i64 = 2000;
    let _alone = alone();
    let fixture = Fixture::new(&[]);
    let entered = attach::counts()[LeafKind::Python as usize];
    let workers: Vec<_> = (0..3)
        .map(|_| {
            let handle = fixture.handle.clone();
            std::thread::spawn(move || {
                let (outcome, receiver) = channel();
                for number in 0..EACH {
                    let function = if number % 3 == 0 { "after_a_turn" } else { "at_once" };
                    loop {
                        let job = Call { function, argument: number, outcome: outcome.clone() };
                        match handle.submit(Box::new(job)) {
                            Ok(submitted) => break std::mem::forget(submitted),
                            Err(_) => std::thread::sleep(Duration::from_micros(100)),
                        }
                    }
                }
                drop(outcome);
                let mut sum = 0;
                while let Ok(outcome) = receiver.recv_timeout(Duration::from_secs(20)) {
                    let Outcome::Result(text) = outcome else { panic!("{outcome:?}") };
                    sum += text.parse::<i64>().unwrap();
                }
                sum
            })
        })
        .collect();
    let event_loop = with_python(|py| fixture.event_loop.clone_ref(py));
    let waiter = std::thread::spawn(move || {
        let sums: Vec<i64> = workers.into_iter().map(|worker| worker.join().unwrap()).collect();
        with_python(|py| {
            let stop = event_loop.getattr(py, "stop").unwrap();
            event_loop.call_method1(py, "call_soon_threadsafe", (stop,)).unwrap();
            drop(event_loop);
        });
        sums
    });
    with_python(|py| fixture.event_loop.call_method0(py, "run_forever").map(drop)).unwrap();
    assert_eq!(waiter.join().unwrap(), [(1..=EACH).sum::<i64>(); 3]);
    assert!(attach::counts()[LeafKind::Python as usize] - entered >= 3 * EACH.unsigned_abs());
}

#[test]
fn code_called_from_python_can_spawn_on_the_global_runtime() {
    struct Spawns(Sender<String>);
    impl Job for Spawns {
        fn start(self: Box<Self>, _: Python<'_>) -> Started {
            let sender = self.0;
            tokio::spawn(async move {
                let name = std::thread::current().name().unwrap_or_default().to_owned();
                sender.send(name).unwrap();
            });
            Started::Finished
        }
        fn refused(self: Box<Self>, _: Refused) {}
    }
    let _alone = alone();
    let fixture = Fixture::new(&[]);
    let (sender, receiver) = channel();
    let _kept = fixture.handle.submit(Box::new(Spawns(sender))).ok().unwrap();
    fixture.run(0.01).unwrap();
    assert!(receiver.recv_timeout(Duration::from_secs(5)).unwrap().starts_with("ziggurat-io-"));
}

/// Ends, and is interrupted while its result is taken.
struct Interrupted(Sender<Outcome>);

impl Job for Interrupted {
    fn start(self: Box<Self>, py: Python<'_>) -> Started {
        let helpers = py.import("helpers").unwrap();
        let coroutine = helpers.getattr("after_a_turn").unwrap().call1((1,)).unwrap().unbind();
        Started::Coroutine { coroutine, finish: self }
    }

    fn refused(self: Box<Self>, _: Refused) {}
}

impl Finish for Interrupted {
    fn finish(self: Box<Self>, py: Python<'_>, _: PyResult<Bound<'_, PyAny>>) {
        let converted: PyResult<()> = interrupt::noting(py, Err(PyKeyboardInterrupt::new_err(())));
        assert!(converted.is_err());
        self.0.send(Outcome::Inline).unwrap();
    }
}

#[test]
fn an_interrupt_while_a_result_is_taken_ends_the_run_once() {
    let _alone = alone();
    let fixture = Fixture::new(&[]);
    let (outcome, answered) = channel();
    let kept = fixture.handle.submit(Box::new(Interrupted(outcome)));
    let (_kept, other) = fixture.submit("after_a_turn", 1);
    let error = fixture.run(1.0).unwrap_err();
    with_python(move |py| assert!(error.is_instance_of::<PyKeyboardInterrupt>(py)));
    assert_eq!(answered.try_recv().unwrap(), Outcome::Inline, "it was answered all the same");
    fixture.run(0.01).unwrap();
    assert_eq!(other.try_recv().unwrap(), result("2"));
    assert!(kept.is_ok());
}

#[test]
fn a_cancellation_that_is_interrupted_comes_again() {
    let _alone = alone();
    let fixture = Fixture::new(&[]);
    let (submitted, outcome) = fixture.submit("wait_for_what_is_interrupted", 0);
    fixture.run(0.01).unwrap();
    drop(submitted);
    let error = fixture.run(1.0).unwrap_err();
    with_python(move |py| assert!(error.is_instance_of::<PyKeyboardInterrupt>(py)));
    fixture.run(0.05).unwrap();
    assert!(matches!(outcome.try_recv().unwrap(), Outcome::Raised(name, _) if name == "CancelledError"));
}
