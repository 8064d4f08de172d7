use std::sync::Weak;

use bytes::Bytes;
use pyo3::exceptions::PyException;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::rules::Refused;
use crate::Response;
use crate::python::bridge::OnLoop;
use crate::python::headers::text;
use crate::python::objects::Objects;
use crate::python::pyloop::{self, Finish, Job, Reply, Started};
use crate::python::request::{BodySource, Request};
use crate::python::unfinished::Rest;
use crate::python::{attach, context, errors, file, interrupt, refusal, response};
use crate::service::LeafKind;

/// An exception, and the handler that was found for it.
pub(in crate::python) struct Raised {
    error: PyErr,
    handler: Py<PyAny>,
    /// What raised it, for the log.
    whose: String,
    /// The one that what raised it was given.
    request: Option<Py<Request>>,
    context: Py<PyAny>,
}

/// Leaves `error` to a handler of exceptions.
///
/// # Errors
/// Gives it back where there is none for it.
pub(in crate::python) fn handed_on(
    py: Python<'_>,
    objects: &Objects,
    catcher: Option<usize>,
    error: PyErr,
    request: Option<Py<Request>>,
    whose: &str,
) -> Result<Response, PyErr> {
    let raised = found(py, objects, catcher, error, request, whose)?;
    Ok(Rest::Raised(raised).of(Response::default()))
}

/// `error`, with the handler of exceptions that it is for.
///
/// # Errors
/// Gives it back where there is none for it.
pub(in crate::python) fn found(
    py: Python<'_>,
    objects: &Objects,
    catcher: Option<usize>,
    error: PyErr,
    request: Option<Py<Request>>,
    whose: &str,
) -> Result<OnLoop<Raised>, PyErr> {
    let Some(catcher) = catcher.and_then(|index| objects.catchers.get(index)) else { return Err(error) };
    // What is no Exception, as SystemExit, is not for anybody to answer.
    if !error.is_instance_of::<PyException>(py) {
        return Err(error);
    }
    let Ok(home) = objects.event_loop() else { return Err(error) };
    let handler = catcher.bind(py).call_method1(intern!(py, "find"), (error.value(py),))?;
    if handler.is_none() {
        return Err(error);
    }
    let context = context::copy_current(py)?.unbind();
    let raised = Raised { error, handler: handler.unbind(), whose: whose.to_owned(), request, context };
    Ok(OnLoop::new(raised, home))
}

/// The exception that stands for a problem, for [`handed_on`]; none where no handler of the app is asked.
pub(in crate::python) fn exception_of(
    py: Python<'_>,
    objects: &Objects,
    catcher: Option<usize>,
    response: &Response,
    document: &Bytes,
) -> PyResult<Option<PyErr>> {
    let Some(catcher) = catcher.and_then(|index| objects.catchers.get(index)) else { return Ok(None) };
    let headers = response.headers().iter().map(|(name, value)| (name.as_str(), text(value)));
    let arguments = (response.status().as_u16(), headers.collect::<Vec<_>>(), PyBytes::new(py, document));
    let exception = catcher.bind(py).call_method1(intern!(py, "exception_of"), arguments)?;
    Ok(Some(PyErr::from_value(exception)))
}

/// A call of a handler of exceptions.
pub(super) struct CatchJob {
    what: What,
    request: Option<Refused>,
    objects: Weak<Objects>,
    reply: Reply,
}

enum What {
    Raised(OnLoop<Raised>),
    /// To be offered to the catcher at this place: an answer, and the document in it.
    Problem {
        catcher: usize,
        response: Response,
        document: Bytes,
    },
}

impl CatchJob {
    pub(super) fn of_raised(
        raised: OnLoop<Raised>,
        request: Option<Refused>,
        objects: Weak<Objects>,
        reply: Reply,
    ) -> Self {
        Self { what: What::Raised(raised), request, objects, reply }
    }

    pub(super) fn of_problem(
        catcher: usize,
        response: Response,
        document: Bytes,
        request: Refused,
        objects: Weak<Objects>,
        reply: Reply,
    ) -> Self {
        Self { what: What::Problem { catcher, response, document }, request: Some(request), objects, reply }
    }
}

impl Job for CatchJob {
    fn context<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        match &self.what {
            What::Raised(raised) => context::copy(raised.get(py).context.bind(py)).map(Some),
            What::Problem { .. } => {
                let surroundings = self.request.as_ref().and_then(|request| request.surroundings);
                context::of_surroundings(py, &self.objects, surroundings)
            }
        }
    }

    fn start(self: Box<Self>, py: Python<'_>) -> Started {
        let kind = self.request.as_ref().map_or(LeafKind::Python, |request| request.kind);
        attach::on_loop(py, kind, |py| self.begin(py))
    }

    fn refused(self: Box<Self>, why: pyloop::Refused) {
        if let Some(problem) = refusal::of_refusal(why) {
            self.reply.send(problem.into_response());
        }
    }
}

impl CatchJob {
    fn begin(self, py: Python<'_>) -> Started {
        let Self { what, request, objects, reply } = self;
        let Some(objects) = objects.upgrade() else {
            reply.send(refusal::stopping().into_response());
            return Started::Finished;
        };
        let surroundings = request.as_ref().and_then(|request| request.surroundings);
        let weak = std::sync::Arc::downgrade(&objects);
        let mut answer = CatchReply { objects: weak, surroundings, original: None, request: None, reply };
        match interrupt::noting(py, call(py, &objects, what, request, &mut answer)) {
            Ok(Some(coroutine)) => Started::Coroutine { coroutine, finish: Box::new(answer) },
            Ok(None) => {
                let response =
                    answer.original.map_or_else(|| refusal::lost().into_response(), |(_, response)| response);
                answer.reply.send(response);
                Started::Finished
            }
            Err(error) => {
                answer.tell(py, Err(error));
                Started::Finished
            }
        }
    }
}

/// Calls the handler; none where there is none, and the problem stays.
fn call(
    py: Python<'_>,
    objects: &Objects,
    what: What,
    request: Option<Refused>,
    answer: &mut CatchReply,
) -> PyResult<Option<Py<PyAny>>> {
    let mut state = None;
    let mut made = None;
    if let Some(Refused { head, body, surroundings, .. }) = request {
        state = surroundings.and_then(|id| objects.state(py, id));
        made = Some((head, body));
    }
    let make = |made: Option<(_, BodySource)>, state| -> PyResult<Py<Request>> {
        let (head, body) = made.ok_or_else(|| errors::bug("a handler of exceptions has a request"))?;
        Py::new(py, Request::new(head, body).with_state(py, state).of_app(py, objects))
    };
    let (handler, error, whose, request) = match what {
        What::Raised(raised) => {
            let Raised { error, handler, whose, request, .. } = raised.into_inner(py);
            let request = request.map_or_else(|| make(made, state), Ok)?;
            (handler.into_bound(py), error, whose, request)
        }
        What::Problem { catcher, response, document } => {
            let error = exception_of(py, objects, Some(catcher), &response, &document);
            let (_, kept) = answer.original.insert((None, response));
            let Some(error) = error? else { return Ok(None) };
            let whose = format!("what answered {}", kept.status().as_u16());
            let handler = objects.catchers[catcher].bind(py).call_method1(intern!(py, "find"), (error.value(py),))?;
            if handler.is_none() {
                return Ok(None);
            }
            let request = make(made, state)?;
            if let Some((raised, _)) = &mut answer.original {
                *raised = Some(error.clone_ref(py));
            }
            (handler, error, whose, request)
        }
    };
    answer.request = Some(request.clone_ref(py));
    Ok(Some(handler.call1((request, error.value(py), whose))?.unbind()))
}

/// Waits for the coroutine of a handler of exceptions.
struct CatchReply {
    objects: Weak<Objects>,
    surroundings: Option<u64>,
    /// The answer without a handler, and the exception that stands for it.
    original: Option<(Option<PyErr>, Response)>,
    request: Option<Py<Request>>,
    reply: Reply,
}

impl Finish for CatchReply {
    fn finish(self: Box<Self>, py: Python<'_>, result: PyResult<Bound<'_, PyAny>>) {
        self.tell(py, result);
    }
}

impl CatchReply {
    fn tell(self, py: Python<'_>, result: PyResult<Bound<'_, PyAny>>) {
        let Self { objects, surroundings, original, request, reply } = self;
        if reply.is_closed() {
            return;
        }
        let Some(objects) = objects.upgrade() else { return reply.send(refusal::stopping().into_response()) };
        let cancelled = result.as_ref().is_err_and(|error| errors::is_cancelled(py, error));
        let answered =
            result.and_then(|value| interrupt::noting(py, response::answer(&value, http::StatusCode::OK, &objects)));
        let response = match (answered, original) {
            (Ok(response), _) => file::asked_by(py, response, request.as_ref()),
            (Err(_), _) if cancelled => refusal::stopping().into_response(),
            // Raised again, it is answered as if nobody had looked.
            (Err(error), Some((Some(own), response))) if error.value(py).is(own.value(py)) => response,
            (Err(error), _) => {
                let outside = surroundings.map(|id| (&*objects, id));
                errors::answer_inside(py, error, "a handler of exceptions", outside)
            }
        };
        reply.send(response);
    }
}
