//! The leaf: hands requests over to the application.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use http::request::Parts;
use http::{Method, StatusCode};
use pyo3::exceptions::{PyOSError, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use pyo3::types::PyDict;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tower_service::Service;

use super::link::Link;
use super::receive::Receiving;
use super::scope::scope;
use super::send::{Answering, Sending, State};
use super::socket;
use crate::Body;
use crate::python::mounted::MountedAt;
use crate::python::objects::{Objects, Shared, SurroundingsId};
use crate::python::pyloop::{Answer, Finish, Job, Refused, Started, reply};
use crate::python::websocket::Settings;
use crate::python::{attach, context, errors, interrupt, refusal};
use crate::service::{LeafKind, Problem, Request, Response, is_handshake};

/// An application, as Python gave it.
pub(in crate::python) struct AsgiApp {
    pub(in crate::python) name: String,
    pub(in crate::python) application: Py<PyAny>,
    /// What its lifespan left for requests; each gets a copy.
    pub(in crate::python) state: Py<PyDict>,
}

impl AsgiApp {
    pub(in crate::python) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.application)?;
        visit.call(&self.state)
    }
}

/// Answers requests with an application of another framework.
#[derive(Clone)]
pub(in crate::python) struct PyAsgiService(Arc<Inner>);

pub(super) struct Inner {
    /// Among the app's objects.
    pub(super) index: usize,
    pub(super) root: MountedAt,
    pub(super) objects: Weak<Objects>,
    pub(super) shared: Arc<Shared>,
    /// Of its WebSockets.
    pub(super) sockets: Arc<Settings>,
}

impl PyAsgiService {
    pub(in crate::python) fn new(
        index: usize,
        root: MountedAt,
        objects: Weak<Objects>,
        shared: Arc<Shared>,
        sockets: Arc<Settings>,
    ) -> Self {
        Self(Arc::new(Inner { index, root, objects, shared, sockets }))
    }

    fn submit(&self, request: Request) -> Result<Waiting, Problem> {
        let Some(event_loop) = self.0.shared.event_loop() else {
            return Err(refusal::not_running());
        };
        let (parts, body) = request.into_parts();
        let (reply, answer) = reply(parts.extensions.get().cloned());
        let link = Arc::<Link>::default();
        let is_head = parts.method == Method::HEAD;
        let job = AsgiJob {
            app: self.0.clone(),
            parts: Box::new(parts),
            body,
            answering: Arc::new(Answering::new(reply, link.clone(), is_head)),
            link: link.clone(),
        };
        // Not cancelled when the client goes: the application is told, as ASGI has it, and may have other things to do.
        event_loop.submit(Box::new(job)).map_err(refusal::of_overload)?.detach();
        Ok(Waiting { answer, link })
    }
}

impl Service<Request> for PyAsgiService {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if is_handshake(&request) {
            return socket::answer(self.0.clone(), request);
        }
        if request.method() == Method::CONNECT {
            // A tunnel to somewhere else is nothing that an application could give.
            let problem =
                Problem::of(StatusCode::NOT_IMPLEMENTED).detail("only WebSockets are served through a tunnel");
            return Box::pin(ready(Ok(problem.into_response())));
        }
        match self.submit(request) {
            Ok(waiting) => Box::pin(waiting),
            Err(problem) => Box::pin(ready(Ok(problem.into_response()))),
        }
    }
}

/// Waits for the head of the answer.
struct Waiting {
    answer: Answer,
    link: Arc<Link>,
}

impl Future for Waiting {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = std::task::ready!(Pin::new(&mut self.answer).poll(cx));
        Poll::Ready(Ok(answer.unwrap_or_else(|_| refusal::lost().into_response())))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // The receiver is used up by an answer, which takes the link along when it comes in pieces.
        if !self.answer.is_terminated() {
            self.link.dropped();
        }
    }
}

struct AsgiJob {
    app: Arc<Inner>,
    parts: Box<Parts>,
    body: Body,
    answering: Arc<Answering>,
    link: Arc<Link>,
}

impl Job for AsgiJob {
    fn context<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        context::of_surroundings(py, &self.app.objects, self.parts.extensions.get::<SurroundingsId>().map(|id| id.0))
    }

    fn start(self: Box<Self>, py: Python<'_>) -> Started {
        if self.link.is_over() {
            // The client did not wait for its turn.
            return Started::Finished;
        }
        attach::on_loop(py, LeafKind::Python, |py| self.begin(py))
    }

    fn refused(self: Box<Self>, why: Refused) {
        if let Some(problem) = refusal::of_refusal(why) {
            self.answering.refuse(problem);
        }
    }
}

impl AsgiJob {
    fn begin(self, py: Python<'_>) -> Started {
        let Self { app, parts, body, answering, link } = self;
        answering.begun();
        let Some(objects) = app.objects.upgrade() else {
            answering.refuse(refusal::stopping());
            return Started::Finished;
        };
        let surroundings = parts.extensions.get::<SurroundingsId>().map(|id| id.0);
        let finish = AsgiFinish {
            name: objects.apps[app.index].name.clone(),
            objects: app.objects.clone(),
            surroundings,
            answering: answering.clone(),
            link: link.clone(),
            _running: app.shared.background.token(),
        };
        let called = || -> PyResult<Py<PyAny>> {
            let AsgiApp { application, state, .. } = &objects.apps[app.index];
            let state = state.bind(py).copy()?;
            if let Some(outer) = surroundings.and_then(|id| objects.state(py, id)) {
                state.update(outer.bind(py).as_mapping())?;
            }
            let scope = scope(py, &parts, &app.root, state, None)?;
            let receive = Bound::new(py, Receiving::new(body, link, answering.clone()))?;
            let send = Bound::new(py, Sending(answering))?;
            application.call1(py, (scope, receive, send))
        };
        match interrupt::noting(py, called()) {
            Ok(coroutine) => Started::Coroutine { coroutine, finish: Box::new(finish) },
            Err(error) => {
                finish.end(py, Err(error));
                Started::Finished
            }
        }
    }
}

/// Waits for the end of the application's call, which may be later than that of its answer.
struct AsgiFinish {
    name: String,
    objects: Weak<Objects>,
    surroundings: Option<u64>,
    answering: Arc<Answering>,
    link: Arc<Link>,
    /// The app waits for it when it stops.
    _running: TaskTrackerToken,
}

impl Finish for AsgiFinish {
    fn finish(self: Box<Self>, py: Python<'_>, result: PyResult<Bound<'_, PyAny>>) {
        self.end(py, result.map(drop));
    }
}

impl AsgiFinish {
    fn end(&self, py: Python<'_>, result: PyResult<()>) {
        let gone = self.link.is_gone();
        let reply = match self.answering.close() {
            State::Fresh(reply) | State::Started(reply, _) => Some(reply),
            // Dropping it breaks the answer off.
            State::Streaming { .. } | State::Discarding | State::Over => None,
        };
        self.link.end();
        let error = match result {
            Ok(()) if self.link.is_finished() || gone => return,
            Ok(()) => {
                let error = PyRuntimeError::new_err("the application returned before its answer was whole");
                return match reply {
                    None => errors::log(py, &error, &self.name),
                    Some(reply) => reply.send(errors::answer(py, error, &self.name)),
                };
            }
            Err(error) => error,
        };
        if errors::is_cancelled(py, &error) {
            if let Some(reply) = reply {
                reply.send(refusal::stopping().into_response());
            }
            return;
        }
        if gone && is_of_client(py, &error) {
            return;
        }
        match (reply, self.objects.upgrade()) {
            (Some(reply), Some(objects)) if !gone => {
                let outside = self.surroundings.map(|id| (&*objects, id));
                reply.send(errors::answer_inside(py, error, &self.name, outside));
            }
            _ => errors::log(py, &error, &self.name),
        }
    }
}

/// What `send` raises when the client has gone, or what Starlette makes of that and of `http.disconnect` and `websocket.disconnect`.
pub(super) fn is_of_client(py: Python<'_>, error: &PyErr) -> bool {
    let is_called = |names: &[&str]| error.get_type(py).name().is_ok_and(|own| names.iter().any(|name| own == *name));
    error.is_instance_of::<PyOSError>(py) || is_called(&["ClientDisconnect", "WebSocketDisconnect"])
}
