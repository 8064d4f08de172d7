//! WebSockets of an application.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Weak};

use http::request::Parts;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::scope::scope;
use super::service::{AsgiApp, Inner, is_of_client};
use crate::python::objects::{Objects, SurroundingsId};
use crate::python::pyloop::{Finish, Job, Refused, Reply, Started, reply};
use crate::python::websocket::{self, Link, Opening, SocketReceive, SocketSend, Speaks};
use crate::python::{attach, context, errors, interrupt, refusal};
use crate::service::{LeafKind, Problem, Request, Response};

/// The answer to a handshake.
pub(super) fn answer(
    app: Arc<Inner>,
    request: Request,
) -> Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>> {
    Box::pin(async move { Ok(decided(app, request).await.unwrap_or_else(Problem::into_response)) })
}

async fn decided(app: Arc<Inner>, request: Request) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    drop(body);
    let opening = Opening::of(&mut parts, &app.sockets, &app.shared)?;
    let event_loop = app.shared.event_loop().ok_or_else(refusal::not_running)?;
    // It is not one answer that is waited for, so no stopwatch runs.
    let (reply, answer) = reply(None);
    let job = SocketJob { app, parts: Box::new(parts), link: opening.link(), reply };
    // Not cancelled when the client goes: the application is told.
    event_loop.submit(Box::new(job)).map_err(refusal::of_overload)?.detach();
    let decided = opening.decided(Speaks { answer, submitted: None }).await;
    Ok(decided.unwrap_or_else(|ended| ended.unwrap_or_else(|| refusal::lost().into_response())))
}

struct SocketJob {
    app: Arc<Inner>,
    parts: Box<Parts>,
    link: Arc<Link>,
    reply: Reply,
}

impl Job for SocketJob {
    fn context<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        context::of_surroundings(py, &self.app.objects, self.parts.extensions.get::<SurroundingsId>().map(|id| id.0))
    }

    fn start(self: Box<Self>, py: Python<'_>) -> Started {
        attach::on_loop(py, LeafKind::Python, |py| self.begin(py))
    }

    fn refused(self: Box<Self>, why: Refused) {
        if let Some(problem) = refusal::of_refusal(why) {
            self.reply.send(problem.into_response());
        }
    }
}

impl SocketJob {
    fn begin(self, py: Python<'_>) -> Started {
        let Self { app, parts, link, reply } = self;
        let Some(objects) = app.objects.upgrade() else {
            reply.send(refusal::stopping().into_response());
            return Started::Finished;
        };
        let surroundings = parts.extensions.get::<SurroundingsId>().map(|id| id.0);
        let AsgiApp { name, application, state } = &objects.apps[app.index];
        let called = || -> PyResult<Py<PyAny>> {
            let state = state.bind(py).copy()?;
            if let Some(outer) = surroundings.and_then(|id| objects.state(py, id)) {
                state.update(outer.bind(py).as_mapping())?;
            }
            let scope = scope(py, &parts, &app.root, state, Some(&link))?;
            let receive = Bound::new(py, SocketReceive::new(link.clone()))?;
            let send = Bound::new(py, SocketSend::new(link.clone()))?;
            application.call1(py, (scope, receive, send))
        };
        let result = interrupt::noting(py, called());
        let finish = SocketFinish {
            name: name.clone(),
            objects: app.objects.clone(),
            surroundings,
            link,
            reply,
            _running: app.shared.background.token(),
        };
        match result {
            Ok(coroutine) => Started::Coroutine { coroutine, finish: Box::new(finish) },
            Err(error) => {
                finish.end(py, Err(error));
                Started::Finished
            }
        }
    }
}

/// Waits for the end of the application's call, with which its socket ends as well.
struct SocketFinish {
    name: String,
    objects: Weak<Objects>,
    surroundings: Option<u64>,
    link: Arc<Link>,
    reply: Reply,
    /// The app waits for it when it stops.
    _running: TaskTrackerToken,
}

impl Finish for SocketFinish {
    fn lasts(&self) -> bool {
        true
    }

    fn finish(self: Box<Self>, py: Python<'_>, result: PyResult<Bound<'_, PyAny>>) {
        self.end(py, result.map(drop));
    }
}

impl SocketFinish {
    fn end(self, py: Python<'_>, result: PyResult<()>) {
        let response = self.ended(py, result);
        self.reply.send(response);
    }

    fn ended(&self, py: Python<'_>, result: PyResult<()>) -> Response {
        let error = match result {
            Ok(()) if self.link.is_undecided() && !self.link.is_over() => {
                PyRuntimeError::new_err("the application returned before it answered the handshake")
            }
            Ok(()) => return websocket::over(),
            Err(error) if errors::is_cancelled(py, &error) => return refusal::stopping().into_response(),
            Err(error) if self.link.is_over() && is_of_client(py, &error) => return websocket::over(),
            Err(error) => error,
        };
        match self.objects.upgrade() {
            Some(objects) if self.link.is_undecided() && !self.reply.is_closed() => {
                errors::answer_inside(py, error, &self.name, self.surroundings.map(|id| (&*objects, id)))
            }
            // Nobody outside waits for an answer any more.
            _ => errors::answer(py, error, &self.name),
        }
    }
}
