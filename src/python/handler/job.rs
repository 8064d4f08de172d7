//! One call of a handler, on its way to the thread that runs it and back.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use http::StatusCode;
use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use pyo3::types::{PyBytes, PyTuple};

use super::call::vectorcall;
use super::given::Given;
use super::plan::{Arg, Plan};
use super::scalar::Scalar;
use crate::python::convert::to_python;
use crate::python::objects::{Objects, Surroundings};
use crate::python::pyloop::{Finish, Job, Refused, Reply, Started};
use crate::python::request::{BodySource, Head, Request};
use crate::python::{attach, catch, context, errors, interrupt, refusal};
use crate::service::{LeafKind, Problem};

/// The Python half of a handler.
pub(in crate::python) struct Callable {
    function: Py<PyAny>,
    objects: Vec<Py<PyAny>>,
    keywords: Option<Py<PyTuple>>,
    plan: Arc<Plan>,
    status: StatusCode,
}

impl Callable {
    pub(in crate::python) fn new(
        py: Python<'_>,
        function: Py<PyAny>,
        objects: Vec<Py<PyAny>>,
        plan: Arc<Plan>,
    ) -> PyResult<Self> {
        let keywords = match plan.keywords.is_empty() {
            true => None,
            // Names that are interned once are compared by pointer when arguments are matched.
            false => {
                let names = plan.keywords.iter().map(|name| pyo3::types::PyString::intern(py, name));
                Some(PyTuple::new(py, names.collect::<Vec<_>>())?.unbind())
            }
        };
        let status = StatusCode::from_u16(plan.status).unwrap_or(StatusCode::OK);
        Ok(Self { function, objects, keywords, plan, status })
    }

    pub(in crate::python) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.function)?;
        self.objects.iter().try_for_each(|object| visit.call(object))
    }
}

/// What a handler is called with.
pub(super) struct Input {
    pub(super) scalars: Vec<Scalar>,
    pub(super) body: Bytes,
    pub(super) head: Option<Box<Head>>,
}

/// A call on its way.
pub(super) struct Call {
    pub(super) handler: usize,
    pub(super) objects: Weak<Objects>,
    pub(super) input: Input,
    pub(super) surroundings: Option<u64>,
    pub(super) reply: Reply,
}

enum Failed {
    /// The body does not fit the model.
    Refused(Box<Problem>),
    Raised(PyErr),
}

impl From<PyErr> for Failed {
    fn from(error: PyErr) -> Self {
        Self::Raised(error)
    }
}

impl Callable {
    /// Makes the arguments and calls the function.
    fn call<'py>(
        &self,
        py: Python<'py>,
        input: Input,
        surroundings: Option<Surroundings>,
        given: &mut Given,
    ) -> Result<Bound<'py, PyAny>, Failed> {
        let Input { scalars, body, mut head } = input;
        let mut args = Vec::with_capacity(self.plan.args.len());
        let mut state = surroundings.map(|surroundings| surroundings.state);
        for arg in &self.plan.args {
            args.push(match arg {
                Arg::Param(index) => to_python(py, &scalars[*index], &self.objects)?,
                Arg::Body => self.validate(py, &body)?,
                Arg::Response => given.response(py, self.status)?,
                Arg::Background => given.tasks(py)?,
                Arg::Request => {
                    let head = head.take().ok_or_else(|| errors::bug("a handler has one request"))?;
                    let request = Request::new(*head, BodySource::Read(body.clone()));
                    let request = Bound::new(py, request.with_state(py, state.take()))?;
                    given.request = Some(request.clone().unbind());
                    request.into_any()
                }
            });
        }
        let keywords = self.keywords.as_ref().map(|names| names.bind(py));
        Ok(vectorcall(self.function.bind(py), &args, keywords)?)
    }

    fn validate<'py>(&self, py: Python<'py>, body: &Bytes) -> Result<Bound<'py, PyAny>, Failed> {
        let Some(plan) = &self.plan.body else { return Err(errors::bug("a body has a plan").into()) };
        if body.is_empty()
            && let Some(default) = plan.default
        {
            return Ok(self.objects[default].bind(py).clone());
        }
        let validate = self.objects[plan.validate].bind(py);
        validate.call1((PyBytes::new(py, body),)).map_err(|error| match errors::invalid_body(py, &error) {
            Ok(Some(problem)) => Failed::Refused(Box::new(problem)),
            Ok(None) => Failed::Raised(error),
            Err(failure) => Failed::Raised(failure),
        })
    }

    fn respond(
        &self,
        py: Python<'_>,
        result: PyResult<Bound<'_, PyAny>>,
        given: Given,
        within: Within<'_>,
    ) -> crate::Response {
        let write = self.plan.write.map(|index| self.objects[index].bind(py));
        let answered =
            result.and_then(|value| interrupt::noting(py, given.answer(&value, self.status, write, within.objects)));
        match answered {
            Ok(response) => response,
            Err(error) => self.raised(py, error, given, within),
        }
    }

    fn raised(&self, py: Python<'_>, error: PyErr, given: Given, within: Within<'_>) -> crate::Response {
        let handed_on = catch::handed_on(py, within.objects, self.plan.catch, error, given.request, &self.plan.name);
        handed_on.unwrap_or_else(|error| errors::answer_inside(py, error, &self.plan.name, within.outside()))
    }

    fn fail(&self, py: Python<'_>, failed: Failed, given: Given, within: Within<'_>) -> crate::Response {
        match failed {
            Failed::Refused(problem) => self.refuse(py, *problem, given, within),
            Failed::Raised(error) => self.raised(py, error, given, within),
        }
    }

    /// Tells of a body that does not fit.
    fn refuse(&self, py: Python<'_>, problem: Problem, given: Given, within: Within<'_>) -> crate::Response {
        let (document, response) = (problem.to_bytes(), problem.into_response());
        match catch::exception_of(py, within.objects, self.plan.catch, &response, &document) {
            Ok(None) => response,
            Ok(Some(error)) => {
                catch::handed_on(py, within.objects, self.plan.catch, error, given.request, &self.plan.name)
                    .unwrap_or(response)
            }
            Err(failure) => errors::answer_inside(py, failure, &self.plan.name, within.outside()),
        }
    }
}

/// What a call belongs to.
#[derive(Clone, Copy)]
struct Within<'a> {
    objects: &'a Objects,
    surroundings: Option<u64>,
}

impl<'a> Within<'a> {
    /// The middleware outside, if there is one.
    fn outside(self) -> Option<(&'a Objects, u64)> {
        self.surroundings.map(|id| (self.objects, id))
    }
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
        let Self { handler, objects, input, surroundings, reply } = self;
        let Some(objects) = objects.upgrade() else {
            reply.send(refusal::stopping().into_response());
            return Started::Finished;
        };
        let callable = &objects.handlers[handler];
        let outer = surroundings.and_then(|id| objects.surroundings(py, id));
        let mut given = Given::default();
        match callable.call(py, input, outer, &mut given) {
            Ok(coroutine) => {
                let objects = Arc::downgrade(&objects);
                let finish = Box::new(HandlerReply { handler, objects, surroundings, given, reply });
                Started::Coroutine { coroutine: coroutine.unbind(), finish }
            }
            Err(failed) => {
                if let Failed::Raised(error) = &failed {
                    interrupt::note(py, error);
                }
                reply.send(callable.fail(py, failed, given, Within { objects: &objects, surroundings }));
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
        let Self { handler, objects, input, surroundings, reply } = self;
        let Some(objects) = objects.upgrade() else {
            reply.send(refusal::stopping().into_response());
            return;
        };
        let callable = &objects.handlers[handler];
        let response = attach::on_loop(py, LeafKind::Python, |py| {
            let outer = surroundings.and_then(|id| objects.surroundings(py, id));
            let within = Within { objects: &objects, surroundings };
            run_in_context(py, callable, input, outer, within)
        });
        reply.send(response);
    }
}

fn run_in_context(
    py: Python<'_>,
    callable: &Callable,
    input: Input,
    surroundings: Option<Surroundings>,
    within: Within<'_>,
) -> crate::Response {
    // Threads of the pool set nothing, so what is current here is empty; a middleware's context is copied, since one
    // context cannot be entered by two threads.
    let own = match &surroundings {
        Some(surroundings) => context::copy(surroundings.context.bind(py)),
        None => context::copy_current(py),
    };
    let answered = own.and_then(|own| {
        context::run(&own, || {
            let mut given = Given::default();
            match callable.call(py, input, surroundings, &mut given) {
                Ok(value) => callable.respond(py, Ok(value), given, within),
                Err(failed) => callable.fail(py, failed, given, within),
            }
        })
    });
    answered.unwrap_or_else(|error| errors::answer_inside(py, error, &callable.plan.name, within.outside()))
}

/// Waits for a handler's coroutine.
struct HandlerReply {
    handler: usize,
    objects: Weak<Objects>,
    surroundings: Option<u64>,
    given: Given,
    reply: Reply,
}

impl Finish for HandlerReply {
    fn finish(self: Box<Self>, py: Python<'_>, result: PyResult<Bound<'_, PyAny>>) {
        if self.reply.is_closed() {
            // The client is gone; only what nobody asked for is worth a line in the log.
            if let Err(error) = &result
                && !errors::is_cancelled(py, error)
            {
                errors::log(py, error, "a handler whose client is gone");
            }
            if let (Ok(_), Some(objects)) = (&result, self.objects.upgrade()) {
                self.given.unanswered(py, &objects);
            }
            return;
        }
        let response = match (self.objects.upgrade(), result) {
            (_, Err(error)) if errors::is_cancelled(py, &error) => refusal::stopping().into_response(),
            (Some(objects), result) => {
                let within = Within { objects: &objects, surroundings: self.surroundings };
                objects.handlers[self.handler].respond(py, result, self.given, within)
            }
            (None, _) => refusal::stopping().into_response(),
        };
        self.reply.send(response);
    }
}
