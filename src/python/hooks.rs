//! Hooks in Python: what the leaves of a resource call before and after they write.

use std::sync::{Arc, OnceLock, Weak};

use bytes::Bytes;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tokio::sync::oneshot;

use super::catch::RaisedInside;
use super::handler::{Refused as Unfit, Taken, Takes};
use super::objects::{Objects, Shared, SurroundingsId};
use super::presence::Presence;
use super::pyloop::{Finish, Job, Refused, Started};
use super::request::{BodySource, Head, Request};
use super::{attach, context, errors, interrupt, refusal};
use crate::crud::{Event, Row};
use crate::service::stopwatch::{Part, Stopwatch};
use crate::service::{LeafKind, Problem};

/// What hooks run with. It is there once the app is built, which is before any is called.
pub(super) type Surrounding = Arc<OnceLock<(Weak<Objects>, Arc<Shared>)>>;

/// One hook of a resource.
#[derive(Clone)]
pub(super) struct Hook {
    /// Index of the resource's hooks among the app's objects.
    pub(super) index: usize,
    /// As a log is to call it: `UserRoutes.before_create`.
    pub(super) name: Arc<str>,
    pub(super) surrounding: Surrounding,
    /// What it takes beside the context and the row, if it takes more.
    pub(super) takes: Option<Takes>,
}

type Answer = Result<Bytes, Problem>;

impl Hook {
    /// Runs it and waits for the document that it gives.
    pub(super) async fn before(self, event: Event) -> Answer {
        let Some(event_loop) = self.shared().and_then(|shared| shared.event_loop()) else {
            return Err(refusal::not_running());
        };
        let taken = self.taken(&event)?;
        let (reply, answer) = oneshot::channel();
        let watch = event.request.extensions.get::<Stopwatch>().cloned();
        Stopwatch::turn(watch.as_ref(), Part::Waiting);
        let inside = event.request.extensions.get::<RaisedInside>().cloned();
        let presence = Presence::default();
        let waits = presence.waits();
        let job = HookJob { watch: watch.clone(), presence, ..self.job("before", event, taken, reply) };
        // Dropped with this future when the client goes away, which cancels the coroutine; that finds then that nobody waits.
        let _submitted = event_loop.submit(Box::new(job)).map_err(refusal::of_overload)?;
        let waits = waits;
        let answer = answer.await.unwrap_or_else(|_| Err(refusal::lost()));
        Stopwatch::turn(watch.as_ref(), Part::Layers);
        if let (Err(_), Some(inside)) = (&answer, inside) {
            inside.hand_on(waits);
        }
        answer
    }

    /// Has it run; nobody waits but an app that stops.
    pub(super) fn after(&self, event: Event) {
        let Some(shared) = self.shared() else { return };
        let lost = |why: &str| tracing::error!(hook = &*self.name, why, "a hook was not called");
        let Some(event_loop) = shared.event_loop() else { return lost("the event loop does not run") };
        let taken = match self.taken(&event) {
            Ok(taken) => taken,
            Err(problem) => return missed(&self.name, &problem),
        };
        let (reply, answer) = oneshot::channel();
        match event_loop.submit(Box::new(self.clone().job("after", event, taken, reply))) {
            Ok(submitted) => drop(shared.background.spawn(async move {
                drop(answer.await);
                drop(submitted);
            })),
            Err(why) => lost(&why.to_string()),
        }
    }

    /// What it takes of the request.
    fn taken(&self, event: &Event) -> Result<Option<Taken>, Problem> {
        self.takes.as_ref().map(|takes| takes.read(&event.request)).transpose()
    }

    fn shared(&self) -> Option<&Arc<Shared>> {
        self.surrounding.get().map(|(_, shared)| shared)
    }

    fn job(self, when: &'static str, event: Event, taken: Option<Taken>, reply: oneshot::Sender<Answer>) -> HookJob {
        HookJob { hook: self, when, event, taken, reply, watch: None, presence: Presence::over() }
    }
}

/// A hook that nobody waits for does not get what it takes of the request.
fn missed(hook: &str, problem: &Problem) {
    let why = problem.to_bytes();
    tracing::error!(hook, why = &*String::from_utf8_lossy(&why), "a hook was not called");
}

struct HookJob {
    hook: Hook,
    /// `before` or `after`.
    when: &'static str,
    event: Event,
    taken: Option<Taken>,
    reply: oneshot::Sender<Answer>,
    /// Of a request that waits for the hook.
    watch: Option<Stopwatch>,
    presence: Presence,
}

impl Job for HookJob {
    fn context<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some((objects, _)) = self.hook.surrounding.get() else { return Ok(None) };
        context::of_surroundings(py, objects, self.event.request.extensions.get::<SurroundingsId>().map(|id| id.0))
    }

    fn start(self: Box<Self>, py: Python<'_>) -> Started {
        attach::on_loop(py, LeafKind::Crud, |py| self.begin(py))
    }

    fn refused(self: Box<Self>, why: Refused) {
        if self.when == "after" {
            tracing::error!(hook = &*self.hook.name, ?why, "a hook was not called");
        }
        if let Some(problem) = refusal::of_refusal(why) {
            // Nobody waits for it any longer.
            drop(self.reply.send(Err(problem)));
        }
    }
}

impl HookJob {
    fn begin(self, py: Python<'_>) -> Started {
        let Self { hook, when, event, taken, reply, watch, presence } = self;
        Stopwatch::turn(watch.as_ref(), Part::Python);
        let objects = hook.surrounding.get().and_then(|(objects, _)| objects.upgrade());
        let Some(objects) = objects else {
            drop(reply.send(Err(refusal::stopping())));
            return Started::Finished;
        };
        // After it was answered nobody can answer otherwise.
        let inside = event.request.extensions.get::<RaisedInside>().filter(|_| when == "before").cloned();
        let mut reply = HookReply { name: hook.name, inside, request: None, objects: Arc::downgrade(&objects), reply };
        let called = match call(py, &objects, hook.index, when, (event, presence), taken, &mut reply.request) {
            Err(Unfit::Problem(problem)) => {
                if when == "after" {
                    missed(&reply.name, &problem);
                }
                // A client may be gone.
                drop(reply.reply.send(Err(*problem)));
                return Started::Finished;
            }
            Err(Unfit::Raised(error)) => Err(error),
            Ok(coroutine) => Ok(coroutine),
        };
        match interrupt::noting(py, called) {
            Ok(coroutine) => Started::Coroutine { coroutine, finish: Box::new(reply) },
            Err(error) => {
                reply.tell(py, Err(error));
                Started::Finished
            }
        }
    }
}

/// Calls `run` of `ziggurat.hooks.Hooks`.
fn call(
    py: Python<'_>,
    objects: &Arc<Objects>,
    index: usize,
    when: &str,
    (event, presence): (Event, Presence),
    taken: Option<Taken>,
    given: &mut Option<Py<Request>>,
) -> Result<Py<PyAny>, Unfit> {
    let Event { op, request, stored, document, version } = event;
    let state = request.extensions.get::<SurroundingsId>().and_then(|id| objects.state(py, id.0));
    let head = Head::of(&request).with_presence(presence);
    let request = Request::new(head, BodySource::Used).with_state(py, state).of_app(py, objects);
    let stored = stored.map(|Row { version, json }| (version, PyBytes::new(py, &json)));
    let document = (version, PyBytes::new(py, &document));
    let request = Bound::new(py, request)?;
    let kept = given.insert(request.clone().unbind());
    let hooks = &objects.hooks[index];
    let Some(taken) = taken else {
        return Ok(hooks.call_method1(py, "run", (when, op.as_str(), request, stored, document))?);
    };
    let (function, taken) = taken.bring(py, objects, kept)?;
    Ok(hooks.call_method1(py, "run", (when, op.as_str(), request, stored, document, function, taken))?)
}

/// Waits for a hook's coroutine.
struct HookReply {
    name: Arc<str>,
    /// Where an exception is left for which there is a handler.
    inside: Option<RaisedInside>,
    request: Option<Py<Request>>,
    objects: Weak<Objects>,
    reply: oneshot::Sender<Answer>,
}

impl Finish for HookReply {
    fn finish(self: Box<Self>, py: Python<'_>, result: PyResult<Bound<'_, PyAny>>) {
        self.tell(py, result.and_then(|document| read(&document)));
    }
}

impl HookReply {
    fn tell(self, py: Python<'_>, result: PyResult<Bytes>) {
        let Self { name, inside, request, objects, reply } = self;
        let answer = result.map_err(|error| {
            if errors::is_cancelled(py, &error) {
                return refusal::stopping();
            }
            let left = match inside.zip(objects.upgrade()) {
                Some((inside, objects)) => inside.leave(py, &objects, error, request, &name),
                None => Err(error),
            };
            match left {
                Ok(()) => Problem::internal(),
                Err(error) => errors::problem(py, error, &name),
            }
        });
        // A client may be gone.
        drop(reply.send(answer));
    }
}

fn read(document: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    if document.is_none() {
        return Ok(Bytes::new());
    }
    let bytes = document.cast::<PyBytes>().map_err(|_| {
        let kind = document.get_type().name();
        PyTypeError::new_err(format!("the runner of hooks gave {kind:?}, not bytes"))
    })?;
    Ok(Bytes::copy_from_slice(bytes.as_bytes()))
}
