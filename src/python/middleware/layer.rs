//! The Tower layer of a Python middleware.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use futures_util::future::Either;
use http::StatusCode;
use pyo3::prelude::*;
use tower_layer::Layer;
use tower_service::Service;

use super::{CallNext, Exchange, Scope};
use crate::layers::BodyLimitLayer;
use crate::layers::normalize_path::path_inside;
use crate::python::handler::BOUNDED_OUTSIDE;
use crate::python::hooks::Surrounding;
use crate::python::objects::{Objects, SurroundingsId};
use crate::python::presence::Waits;
use crate::python::pyloop::{Answer, Finish, Job, Refused, Reply, Started, Submitted, reply};
use crate::python::request::{BodySource, Head, Request as PyRequest};
use crate::python::{attach, context, errors, file, interrupt, refusal, response, unfinished};
use crate::service::{
    Dispatcher, LeafInfo, LeafKind, Problem, Request, Response, ResponseFuture as RouteFuture, Route,
};

/// Wraps services in a Python middleware.
#[derive(Clone)]
pub(in crate::python) struct PyMiddlewareLayer {
    settings: Arc<Settings>,
    /// Inside of which it does not stand.
    dispatcher: Option<Dispatcher>,
    outside: Outside,
}

/// Of what a middleware stands outside.
#[derive(Clone, Default)]
pub(in crate::python) struct Outside {
    /// The limit of the app, which bounds what the middleware reads of a body as well.
    pub(in crate::python) limit: Option<BodyLimitLayer>,
    /// Slashes at the end of a path are taken off further in: whatever goes by the path goes by the one without them, or a slash would
    /// lead past it to the same route.
    pub(in crate::python) normalize: bool,
}

impl Outside {
    fn path<'r>(&self, request: &'r Request) -> &'r str {
        let path = request.uri().path();
        if self.normalize { path_inside(path) } else { path }
    }
}

pub(in crate::python) struct Settings {
    pub(in crate::python) name: String,
    /// Among the app's objects.
    pub(in crate::python) index: usize,
    pub(in crate::python) scope: Scope,
    pub(in crate::python) surrounding: Surrounding,
}

impl PyMiddlewareLayer {
    /// For a single route.
    pub(in crate::python) fn of_route(settings: Arc<Settings>) -> Self {
        Self { settings, dispatcher: None, outside: Outside::default() }
    }

    /// For a stack around `dispatcher`.
    pub(in crate::python) fn around(settings: Arc<Settings>, dispatcher: Dispatcher, outside: Outside) -> Self {
        Self { settings, dispatcher: Some(dispatcher), outside }
    }
}

impl Layer<Route> for PyMiddlewareLayer {
    type Service = PyMiddleware;

    fn layer(&self, inner: Route) -> PyMiddleware {
        PyMiddleware { layer: Arc::new(self.clone()), inner }
    }
}

/// A service inside a Python middleware.
#[derive(Clone)]
pub(in crate::python) struct PyMiddleware {
    /// Shared by the clones that each request makes.
    layer: Arc<PyMiddlewareLayer>,
    inner: Route,
}

impl Service<Request> for PyMiddleware {
    type Response = Response;
    type Error = Infallible;
    type Future = Either<RouteFuture, Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if !self.layer.settings.scope.holds(self.layer.outside.path(&request)) {
            return Either::Left(self.inner.answer(request));
        }
        // Handed over at once, so that what the future holds while Python is busy is little.
        Either::Right(match self.layer.submit(self.inner.clone(), request) {
            Ok(waiting) => Box::pin(waiting.answer()),
            Err(problem) => Box::pin(ready(Ok(problem.into_response()))),
        })
    }
}

impl PyMiddlewareLayer {
    /// Of which kind the leaf is that a request will reach.
    fn kind(&self, request: &Request) -> LeafKind {
        let leaf = match &self.dispatcher {
            Some(dispatcher) => dispatcher.table().leaf(self.outside.path(request), request.method()),
            None => request.extensions().get::<Arc<LeafInfo>>(),
        };
        // Where no leaf answers, Python is entered for its own sake.
        leaf.map_or(LeafKind::Python, |leaf| leaf.kind)
    }

    fn submit(&self, inner: Route, request: Request) -> Result<Waiting, Problem> {
        let Some((objects, shared)) = self.settings.surrounding.get() else {
            return Err(refusal::not_running());
        };
        let Some(event_loop) = shared.event_loop() else {
            return Err(refusal::not_running());
        };
        let kind = self.kind(&request);
        let limit = self.outside.limit.as_ref();
        let limit = limit.map_or(BOUNDED_OUTSIDE, |limit| limit.max_bytes_at(self.outside.path(&request)));
        let (parts, body) = request.into_parts();
        let surroundings = parts.extensions.get::<SurroundingsId>().map(|id| id.0);
        let head = Head::of(&parts);
        let waits = head.waits();
        let exchange = Exchange::new(objects.clone(), inner, kind, parts, body, limit);
        let (reply, answer) = reply(exchange.watch().cloned());
        let job = MiddlewareJob {
            index: self.settings.index,
            name: self.settings.name.clone(),
            objects: objects.clone(),
            exchange: exchange.clone(),
            head,
            surroundings,
            reply,
        };
        let submitted = event_loop.submit(Box::new(job)).map_err(refusal::of_overload)?;
        Ok(Waiting { waits, answer, exchange, _submitted: submitted })
    }
}

/// A call that was handed over. Dropping it, as when the client goes away, cancels the coroutine.
struct Waiting {
    // Dropped first: the coroutine, when it is cancelled, finds that nobody waits.
    waits: Waits,
    answer: Answer,
    exchange: Arc<Exchange>,
    _submitted: Submitted,
}

impl Waiting {
    async fn answer(self) -> Result<Response, Infallible> {
        let Ok(response) = self.answer.await else { return Ok(refusal::lost().into_response()) };
        let mut response = unfinished::finished(response).await;
        self.exchange.tell(&mut response);
        Ok(self.waits.for_body(response))
    }
}

struct MiddlewareJob {
    index: usize,
    name: String,
    objects: Weak<Objects>,
    exchange: Arc<Exchange>,
    head: Head,
    surroundings: Option<u64>,
    reply: Reply,
}

impl Job for MiddlewareJob {
    fn context<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        context::of_surroundings(py, &self.objects, self.surroundings)
    }

    fn start(self: Box<Self>, py: Python<'_>) -> Started {
        attach::on_loop(py, self.exchange.kind(), |py| self.begin(py))
    }

    fn refused(self: Box<Self>, why: Refused) {
        if let Some(problem) = refusal::of_refusal(why) {
            self.reply.send(problem.into_response());
        }
    }
}

impl MiddlewareJob {
    fn begin(self, py: Python<'_>) -> Started {
        self.reply.begun();
        let Self { index, name, objects, exchange, head, surroundings, reply } = self;
        let Some(objects) = objects.upgrade() else {
            reply.send(refusal::stopping().into_response());
            return Started::Finished;
        };
        let mut kept = None;
        let called = || -> PyResult<Py<PyAny>> {
            let state = surroundings.and_then(|id| objects.state(py, id));
            let request =
                PyRequest::new(head, BodySource::Exchange(exchange.clone())).with_state(py, state).of_app(py, &objects);
            let request = kept.insert(Py::new(py, request)?).clone_ref(py);
            let arguments = (request, Py::new(py, CallNext(exchange.clone()))?);
            objects.middleware[index].call1(py, arguments)
        };
        match interrupt::noting(py, called()) {
            Ok(coroutine) => {
                let objects = Arc::downgrade(&objects);
                let finish = MiddlewareReply { name, objects, exchange, surroundings, request: kept, reply };
                Started::Coroutine { coroutine, finish: Box::new(finish) }
            }
            Err(error) => {
                let outside = surroundings.map(|id| (&*objects, id));
                reply.send(errors::answer_inside(py, error, &name, outside));
                exchange.end(py);
                Started::Finished
            }
        }
    }
}

struct MiddlewareReply {
    name: String,
    objects: Weak<Objects>,
    surroundings: Option<u64>,
    exchange: Arc<Exchange>,
    request: Option<Py<PyRequest>>,
    reply: Reply,
}

impl Finish for MiddlewareReply {
    fn finish(self: Box<Self>, py: Python<'_>, result: PyResult<Bound<'_, PyAny>>) {
        let Self { name, objects, exchange, surroundings, request, reply } = *self;
        exchange.end(py);
        let cancelled = result.as_ref().is_err_and(|error| errors::is_cancelled(py, error));
        let Some(objects) = objects.upgrade() else { return reply.send(refusal::stopping().into_response()) };
        let answered = result.and_then(|value| match value.is_none() {
            true => Err(pyo3::exceptions::PyTypeError::new_err(format!(
                "the middleware {name} returned None; return the response of call_next, or one of its own"
            ))),
            false => interrupt::noting(py, response::answer(&value, StatusCode::OK, &objects)),
        });
        let response = match answered {
            Ok(response) => file::asked_by(py, response, request.as_ref()),
            Err(_) if cancelled && reply.is_closed() => return,
            Err(_) if cancelled => refusal::stopping().into_response(),
            Err(error) => errors::answer_inside(py, error, &name, surroundings.map(|id| (&*objects, id))),
        };
        reply.send(response);
    }
}
