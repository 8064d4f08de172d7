//! One call of a handler, on its way to the thread that runs it and back.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use pyo3::intern;
use pyo3::prelude::*;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::callable::{Callable, Failed, Input, Within, is_at_end, next, throw};
use super::ending::watched;
use super::given::Given;
use super::kept::Running;
use super::plan::Mode;
use super::run::{Answered, Run};
use super::sync::Work;
use crate::python::bridge::OnLoop;
use crate::python::objects::Objects;
use crate::python::pyloop::{Finish, Job, Refused, Reply, Started};
use crate::python::{attach, context, errors, interrupt, refusal};
use crate::service::LeafKind;

/// A call on its way.
pub(super) struct Call {
    pub(super) handler: usize,
    pub(super) objects: Weak<Objects>,
    pub(super) input: Input,
    pub(super) surroundings: Option<u64>,
    pub(super) reply: Reply,
    /// Where it matters whether it has answered.
    pub(super) answered: Option<Answered>,
    /// Of one on a thread.
    pub(super) running: Option<Running>,
}

/// For `async def`: runs on the loop.
pub(super) struct LoopCall(pub(super) Call);

impl Job for LoopCall {
    fn context<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        context::of_surroundings(py, &self.0.objects, self.0.surroundings)
    }

    fn start(self: Box<Self>, py: Python<'_>) -> Started {
        attach::on_loop(py, LeafKind::Python, |py| self.0.start(py))
    }

    fn refused(self: Box<Self>, why: Refused) {
        if let Some(problem) = refusal::of_refusal(why) {
            self.0.reply.send(problem.into_response());
        }
    }
}

impl Call {
    fn start(self, py: Python<'_>) -> Started {
        self.reply.begun();
        let Self { handler, objects, input, surroundings, reply, answered, running: _ } = self;
        let Some(objects) = objects.upgrade() else {
            reply.send(refusal::stopping().into_response());
            return Started::Finished;
        };
        let callable = objects.handler(handler);
        let lasts = callable.plan.is_websocket;
        let mut given = Given::default();
        let needed = matches!(callable.plan.mode, Mode::Run | Mode::Answer).then(Answered::default);
        let Some(answered) = answered.or(needed) else {
            return match callable.call(py, input, surroundings, &objects, None, &mut given) {
                Ok(generator) if callable.plan.stream.is_some() && !is_awaitable(&generator) => {
                    let within = Within { objects: &objects, surroundings };
                    reply.send(callable.respond(py, Ok(generator), given, within));
                    Started::Finished
                }
                Ok(coroutine) => {
                    let reply = ReplyTo::Own(reply, given);
                    HandlerReply { handler, objects: Arc::downgrade(&objects), surroundings, reply, lasts }
                        .of(coroutine)
                }
                Err(failed) => {
                    note(py, &failed);
                    reply.send(callable.fail(py, failed, given, Within { objects: &objects, surroundings }));
                    Started::Finished
                }
            };
        };
        let run = match Bound::new(py, Run::new(handler, &objects, reply, answered)) {
            Ok(run) => run,
            // There is no memory for it; the client is told that it was lost.
            Err(error) => {
                errors::log(py, &error, &callable.plan.name);
                return Started::Finished;
            }
        };
        match callable.call(py, input, surroundings, &objects, Some(&run), &mut given) {
            Ok(coroutine) => {
                run.get().set_given(given);
                // Not kept by the run, which the traceback of an exception may hold for long.
                let running = objects.shared.get().map(|shared| shared.background.token());
                let reply = ReplyTo::Run(run.unbind(), running);
                HandlerReply { handler, objects: Arc::downgrade(&objects), surroundings, reply, lasts }.of(coroutine)
            }
            Err(failed) => {
                note(py, &failed);
                let response = callable.fail(py, failed, given, Within { objects: &objects, surroundings });
                if let Some((reply, _)) = run.get().take() {
                    reply.send(response);
                }
                Started::Finished
            }
        }
    }

    /// For `def`: runs on a thread of the pool, in a context of its own.
    pub(super) fn run(self, py: Python<'_>) {
        if self.reply.is_closed() {
            return;
        }
        self.reply.begun();
        // Until this returns: what it is asked for is whether the thread is free again.
        let Self { handler, objects, input, surroundings, reply, answered: _, running } = self;
        if let Some(running) = &running {
            running.store(true, Ordering::Relaxed);
        }
        let Some(objects) = objects.upgrade() else {
            reply.send(refusal::stopping().into_response());
            return;
        };
        let callable = objects.handler(handler);
        attach::on_loop(py, LeafKind::Python, |py| {
            let within = Within { objects: &objects, surroundings };
            // Threads of the pool set nothing, so what is current here is empty; a middleware's context is copied, since one
            // context cannot be entered by two threads.
            let own = match surroundings.and_then(|id| objects.context(py, id)) {
                Some(outer) => context::copy(outer.bind(py)),
                None => context::copy_current(py),
            };
            let answered = own.and_then(|own| {
                let answer = || {
                    let mut given = Given::default();
                    match callable.call(py, input, surroundings, &objects, None, &mut given) {
                        Ok(generator) if callable.plan.mode == Mode::Generator => {
                            Generated { generator, context: own.clone() }.answer(&callable, given, within)
                        }
                        Ok(value) => (callable.respond(py, Ok(value), given, within), None),
                        Err(failed) => (callable.fail(py, failed, given, within), None),
                    }
                };
                context::run(&own, answer)
            });
            let (response, generated) = answered.unwrap_or_else(|error| (callable.uncaught(py, error, within), None));
            match generated {
                None => reply.send(response),
                Some(generated) => generated.send(response, &callable, handler, &objects, reply),
            }
        });
    }
}

/// Tells the coroutine that gives a generator from the generator itself.
fn is_awaitable(value: &Bound<'_, PyAny>) -> bool {
    value.hasattr(intern!(value.py(), "__await__")).unwrap_or(false)
}

fn note(py: Python<'_>, failed: &Failed) {
    if let Failed::Raised(error) = failed {
        interrupt::note(py, error);
    }
}

/// A `def` handler with dependencies that yield: it yields its answer, and cleans up when it is gone on with.
struct Generated<'py> {
    generator: Bound<'py, PyAny>,
    context: Bound<'py, PyAny>,
}

impl Generated<'_> {
    /// Runs up to the answer, inside the context; what is to be cleaned up is given back.
    fn answer(self, callable: &Callable, given: Given, within: Within<'_>) -> (crate::Response, Option<Self>) {
        let py = self.generator.py();
        let answer = next(&self.generator).and_then(|value| {
            callable.answer(&value, &given, within.objects).or_else(|error| {
                // What the handler gave cannot be sent: its dependencies see that as if it had raised it.
                throw(&self.generator, error).and_then(|_| Err(errors::bug("a handler answers once")))
            })
        });
        match answer {
            Ok(response) => (response, Some(self)),
            Err(error) => {
                let error = if is_at_end(py, &error) { callable.no_answer() } else { error };
                (callable.raised(py, error, given, within), None)
            }
        }
    }

    /// Sends the answer, and cleans up when its body is over.
    fn send(
        self,
        response: crate::Response,
        callable: &Callable,
        handler: usize,
        objects: &Arc<Objects>,
        reply: Reply,
    ) {
        let token = objects.shared.get().map(|shared| shared.background.token());
        let (response, over) = watched(response);
        reply.send(response);
        let (Some(over), Ok(home), Some(shared)) = (over, objects.event_loop(), objects.shared.get().cloned()) else {
            clean_up(&self.generator, &self.context, callable);
            return;
        };
        let objects = Arc::downgrade(objects);
        let runtime = home.runtime();
        let held = OnLoop::new((self.generator.unbind(), self.context.unbind()), home);
        let ended = async move {
            // It is over when the other side is dropped.
            let _ = over.await;
            let work = Work::Other(Box::new(move |py: Python<'_>| {
                let (generator, context) = held.into_inner(py);
                if let Some(objects) = objects.upgrade() {
                    clean_up(generator.bind(py), context.bind(py), &objects.handler(handler));
                }
                drop(token);
            }));
            if shared.sync.finish(work).is_err() {
                tracing::error!("a dependency was not cleaned up: there is no thread for it");
            }
        };
        match runtime {
            Ok(runtime) => drop(runtime.spawn(ended)),
            Err(error) => tracing::error!(%error, "a dependency was not cleaned up"),
        }
    }
}

/// Goes on after the answer.
fn clean_up(generator: &Bound<'_, PyAny>, own: &Bound<'_, PyAny>, of: &Callable) {
    let py = generator.py();
    match context::run(own, || next(generator)).flatten() {
        Err(error) if is_at_end(py, &error) => {}
        Err(error) => errors::log(py, &error, &of.cleaning_up()),
        Ok(_) => errors::log(py, &errors::bug("a handler answers once"), &of.cleaning_up()),
    }
}

/// Where the answer of a coroutine goes, with what was given that has to do with it.
enum ReplyTo {
    Own(Reply, Given),
    /// It may have been given already. An app that stops waits for what is to be cleaned up.
    Run(Py<Run>, Option<TaskTrackerToken>),
}

/// Waits for a handler's coroutine.
struct HandlerReply {
    handler: usize,
    objects: Weak<Objects>,
    surroundings: Option<u64>,
    reply: ReplyTo,
    lasts: bool,
}

impl HandlerReply {
    fn of(self, coroutine: Bound<'_, PyAny>) -> Started {
        Started::Coroutine { coroutine: coroutine.unbind(), finish: Box::new(self) }
    }
}

impl Finish for HandlerReply {
    fn lasts(&self) -> bool {
        self.lasts
    }

    fn finish(self: Box<Self>, py: Python<'_>, result: PyResult<Bound<'_, PyAny>>) {
        let Self { handler, objects, surroundings, reply, lasts: _ } = *self;
        let objects = objects.upgrade();
        let (reply, given) = match reply {
            ReplyTo::Own(reply, given) => (reply, given),
            ReplyTo::Run(run, _running) => match run.get().take() {
                Some(both) => both,
                None => {
                    // The answer is gone, and whoever cancels a clean-up knows of it.
                    if let Err(error) = &result
                        && !errors::is_cancelled(py, error)
                    {
                        let whose = objects.map_or_else(String::new, |objects| objects.handler(handler).cleaning_up());
                        errors::log(py, error, &whose);
                    }
                    return;
                }
            },
        };
        if reply.is_closed() {
            // The client is gone; only what nobody asked for is worth a line in the log.
            if let Err(error) = &result
                && !errors::is_cancelled(py, error)
            {
                errors::log(py, error, "a handler whose client is gone");
            }
            if let (Ok(_), Some(objects)) = (&result, objects) {
                given.unanswered(py, &objects);
            }
            return;
        }
        let response = match (objects, result) {
            (_, Err(error)) if errors::is_cancelled(py, &error) => refusal::stopping().into_response(),
            (Some(objects), result) => {
                let within = Within { objects: &objects, surroundings };
                let callable = objects.handler(handler);
                match result {
                    // One that answers by itself has come to its end without.
                    Ok(_) if callable.plan.mode == Mode::Answer => {
                        callable.raised(py, callable.no_answer(), given, within)
                    }
                    result => callable.respond(py, result, given, within),
                }
            }
            (None, _) => refusal::stopping().into_response(),
        };
        reply.send(response);
    }
}
