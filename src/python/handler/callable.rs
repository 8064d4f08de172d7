//! The Python half of a handler: what is called, and with what.

use std::sync::Arc;

use http::StatusCode;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use pyo3::types::{PyDict, PyString, PyTuple};

use super::body::Decoded;
use super::call::vectorcall;
use super::content::Content;
use super::given::Given;
use super::plan::{Arg, ModelPlan, Plan};
use super::run::Run;
use super::scalar::Scalar;
use super::switch::Switch;
use crate::python::convert::to_python;
use crate::python::invalid::{self, Invalid};
use crate::python::objects::Objects;
use crate::python::request::{Head, Request};
use crate::python::websocket::{self, Link, WebSocket};
use crate::python::{attach, catch, errors, interrupt};
use crate::service::{Claims, Problem, Violation};

/// The Python half of a handler.
pub(in crate::python) struct Callable {
    function: Py<PyAny>,
    pub(super) objects: Vec<Py<PyAny>>,
    keywords: Option<Py<PyTuple>>,
    /// What each model calls its fields.
    fields: Vec<Vec<Py<PyString>>>,
    pub(super) plan: Arc<Plan>,
    pub(super) status: StatusCode,
    /// What stands in for it.
    pub(in crate::python) switch: Arc<Switch>,
}

/// What a handler is called with.
pub(super) struct Input {
    pub(super) scalars: Vec<Scalar>,
    pub(super) body: Content,
    pub(super) head: Option<Box<Head>>,
    pub(super) claims: Option<Claims>,
    /// Of a handler that speaks on a WebSocket.
    pub(super) socket: Option<Arc<Link>>,
}

pub(super) enum Failed {
    /// The body, or a model of parameters, is not as it has to be.
    Refused(Box<Invalid>),
    Raised(PyErr),
}

impl From<PyErr> for Failed {
    fn from(error: PyErr) -> Self {
        Self::Raised(error)
    }
}

impl Failed {
    pub(super) fn refused(invalid: impl Into<Invalid>) -> Self {
        Self::Refused(Box::new(invalid.into()))
    }
}

/// What a call belongs to.
#[derive(Clone, Copy)]
pub(super) struct Within<'a> {
    pub(super) objects: &'a Objects,
    pub(super) surroundings: Option<u64>,
}

impl<'a> Within<'a> {
    /// The middleware outside, if there is one.
    fn outside(self) -> Option<(&'a Objects, u64)> {
        self.surroundings.map(|id| (self.objects, id))
    }
}

impl Callable {
    pub(in crate::python) fn new(
        py: Python<'_>,
        function: Py<PyAny>,
        objects: Vec<Py<PyAny>>,
        plan: Arc<Plan>,
    ) -> PyResult<Self> {
        // Names that are interned once are compared by pointer when arguments are matched.
        let intern = |name: &String| PyString::intern(py, name);
        let keywords = match plan.keywords.is_empty() {
            true => None,
            false => Some(PyTuple::new(py, plan.keywords.iter().map(intern).collect::<Vec<_>>())?.unbind()),
        };
        let names = |model: &ModelPlan| model.fields.iter().map(|(name, _)| intern(name).unbind()).collect();
        let fields = plan.models.iter().map(names).collect();
        let status = StatusCode::from_u16(plan.status).unwrap_or(StatusCode::OK);
        Ok(Self { function, objects, keywords, fields, plan, status, switch: Arc::default() })
    }

    pub(in crate::python) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.function)?;
        self.objects.iter().try_for_each(|object| visit.call(object))
    }

    /// What is called.
    pub(super) fn function(&self, py: Python<'_>) -> Py<PyAny> {
        self.function.clone_ref(py)
    }

    /// Makes the arguments and calls the function; `run` comes first where there is one.
    pub(super) fn call<'py>(
        &self,
        py: Python<'py>,
        input: Input,
        surroundings: Option<u64>,
        objects: &Objects,
        run: Option<&Bound<'py, Run>>,
        given: &mut Given,
    ) -> Result<Bound<'py, PyAny>, Failed> {
        let args = self.arguments(py, input, surroundings, objects, run, given)?;
        let keywords = self.keywords.as_ref().map(|names| names.bind(py));
        Ok(attach::staying(|| vectorcall(self.function.bind(py), &args, keywords))?)
    }

    /// Makes the arguments; a request that is given already is taken as it is.
    pub(super) fn arguments<'py>(
        &self,
        py: Python<'py>,
        input: Input,
        surroundings: Option<u64>,
        objects: &Objects,
        run: Option<&Bound<'py, Run>>,
        given: &mut Given,
    ) -> Result<Vec<Bound<'py, PyAny>>, Failed> {
        let Input { scalars, body, head, claims, socket } = input;
        let mut args = Vec::with_capacity(self.plan.args.len() + 1);
        args.extend(run.map(|run| run.as_any().clone()));
        if let Some(head) = head {
            // Before all else: what goes wrong with the others may be for a handler of exceptions, which is given it.
            let state = surroundings.and_then(|id| objects.state(py, id));
            let limits = self.plan.form.as_ref().map(|form| &form.limits);
            let request = Request::new(*head, body.source(limits)).of_app(py, objects);
            given.request = Some(Py::new(py, request.with_state(py, state))?);
        }
        let models = self.models(py, &scalars)?;
        given.socket = socket;
        given.of_form(&body);
        let bytes = body.bytes();
        let mut decoded = Decoded::new(&bytes);
        for arg in &self.plan.args {
            args.push(match arg {
                Arg::Param(index) => to_python(py, &scalars[*index], &self.objects)?,
                Arg::Body => decoded.whole(py, self)?,
                Arg::Field(index) => decoded.field(py, self, *index)?,
                Arg::Model(index) => models[*index].clone(),
                Arg::Response => given.response(py, self.status)?,
                Arg::Background => given.tasks(py)?,
                Arg::Object(index) => self.objects[*index].bind(py).clone(),
                Arg::Claims => match &claims {
                    Some(claims) => crate::python::request::claims(py, claims)?.into_bound(py),
                    None => py.None().into_bound(py),
                },
                Arg::WebSocket => {
                    let (Some(request), Some(socket)) = (&given.request, &given.socket) else {
                        return Err(errors::bug("a handler of WebSockets is given one").into());
                    };
                    WebSocket::create(py, request.clone_ref(py), socket.clone())?
                }
                Arg::Request => {
                    let request = given.request.as_ref().map(|request| request.bind(py).clone().into_any());
                    request.ok_or_else(|| errors::bug("a plan with a request asks for its head"))?
                }
            });
        }
        Ok(args)
    }

    /// The models of parameters. What is wrong with any of them is told at once.
    fn models<'py>(&self, py: Python<'py>, scalars: &[Scalar]) -> Result<Vec<Bound<'py, PyAny>>, Failed> {
        let mut made = Vec::with_capacity(self.plan.models.len());
        let mut wrong = Vec::new();
        for index in 0..self.plan.models.len() {
            match self.make(py, index, scalars)? {
                Ok(model) => made.push(model),
                Err(violations) => wrong.extend(violations),
            }
        }
        if wrong.is_empty() { Ok(made) } else { Err(Failed::refused(Problem::validation(wrong))) }
    }

    /// A model of parameters, or what is wrong with it.
    fn make<'py>(
        &self,
        py: Python<'py>,
        index: usize,
        scalars: &[Scalar],
    ) -> PyResult<Result<Bound<'py, PyAny>, Vec<Violation>>> {
        let model = &self.plan.models[index];
        let values = PyDict::new(py);
        for ((_, place), name) in model.fields.iter().zip(&self.fields[index]) {
            let scalar = &scalars[*place];
            if *scalar != Scalar::Absent {
                values.set_item(name, to_python(py, scalar, &self.objects)?)?;
            }
        }
        let error = match self.objects[model.make].bind(py).call1((values,)) {
            Ok(made) => return Ok(Ok(made)),
            Err(error) => error,
        };
        let place = |field: Option<&str>| {
            let param = field.and_then(|field| model.fields.iter().find(|(name, _)| name == field));
            let name = param.map(|(_, place)| self.plan.params[*place].alias.clone());
            model.source.at(name.unwrap_or_default())
        };
        invalid::of_model(py, &error, place)?.map(Err).ok_or(error)
    }

    /// What the handler gave, as it is sent.
    pub(super) fn answer(
        &self,
        value: &Bound<'_, PyAny>,
        given: &Given,
        objects: &Objects,
    ) -> PyResult<crate::Response> {
        let py = value.py();
        let answer = match self.plan.stream {
            Some(_) => self.streamed(value, given, objects),
            None => {
                let write = self.plan.write.map(|index| self.objects[index].bind(py));
                given.answer(value, self.status, write, objects)
            }
        };
        let told = |error| {
            let Plan { name, location, .. } = &*self.plan;
            errors::with_note(py, error, &format!("This is what {name} returned, at {location}"))
        };
        interrupt::noting(py, answer.map_err(told))
    }

    pub(super) fn respond(
        &self,
        py: Python<'_>,
        result: PyResult<Bound<'_, PyAny>>,
        given: Given,
        within: Within<'_>,
    ) -> crate::Response {
        if let Some(socket) = &given.socket {
            return match websocket::ended(py, result) {
                Ok(ended) => ended,
                // Who is connected already can be answered nothing, and nobody outside waits for an answer any more.
                Err(error) if socket.is_accepted() => errors::answer(py, error, &self.plan.name),
                Err(error) => self.raised(py, error, given, within),
            };
        }
        match result.and_then(|value| self.answer(&value, &given, within.objects)) {
            Ok(response) => response,
            Err(error) => self.raised(py, error, given, within),
        }
    }

    pub(super) fn raised(&self, py: Python<'_>, error: PyErr, given: Given, within: Within<'_>) -> crate::Response {
        let Within { objects, .. } = within;
        let handed_on = catch::handed_on(py, objects, self.plan.catch, error, given.request, &self.plan.name);
        handed_on.unwrap_or_else(|error| self.uncaught(py, error, within))
    }

    /// Of an exception that no handler of exceptions is asked about.
    pub(super) fn uncaught(&self, py: Python<'_>, error: PyErr, within: Within<'_>) -> crate::Response {
        errors::answer_as(py, error, &self.plan.name, within.outside(), self.plan.format)
    }

    pub(super) fn fail(&self, py: Python<'_>, failed: Failed, given: Given, within: Within<'_>) -> crate::Response {
        match failed {
            Failed::Refused(invalid) => self.refuse(py, *invalid, given, within),
            Failed::Raised(error) => self.respond(py, Err(error), given, within),
        }
    }

    /// Tells of what is not as it has to be.
    fn refuse(&self, py: Python<'_>, invalid: Invalid, given: Given, within: Within<'_>) -> crate::Response {
        let Within { objects, .. } = within;
        let (document, response) = (invalid.document(), invalid.into_response(self.plan.format));
        match catch::exception_of(py, objects, self.plan.catch, &response, &document) {
            Ok(None) => response,
            Ok(Some(error)) => catch::handed_on(py, objects, self.plan.catch, error, given.request, &self.plan.name)
                .unwrap_or(response),
            Err(failure) => self.uncaught(py, failure, within),
        }
    }

    /// For a dependency that keeps an exception to itself: nobody has given an answer.
    pub(super) fn no_answer(&self) -> PyErr {
        let name = &self.plan.name;
        pyo3::exceptions::PyRuntimeError::new_err(format!(
            "a dependency of {name} kept an exception to itself, and so there is no answer; raise it again after the yield, or \
             raise an HTTPException"
        ))
    }

    /// For the log: what was going on when the answer was gone.
    pub(super) fn cleaning_up(&self) -> String {
        format!("cleaning up after {}", self.plan.name)
    }
}

/// Whether a generator has come to its end.
pub(super) fn is_at_end(py: Python<'_>, error: &PyErr) -> bool {
    error.is_instance_of::<pyo3::exceptions::PyStopIteration>(py)
}

/// `next(generator)`.
pub(super) fn next<'py>(generator: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    attach::staying(|| generator.call_method0(intern!(generator.py(), "__next__")))
}

/// `generator.throw(error)`.
pub(super) fn throw<'py>(generator: &Bound<'py, PyAny>, error: PyErr) -> PyResult<Bound<'py, PyAny>> {
    let py = generator.py();
    attach::staying(|| generator.call_method1(intern!(py, "throw"), (error.into_value(py),)))
}
