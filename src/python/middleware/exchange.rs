//! A request that a middleware holds while it decides.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;
use http::Extensions;
use http::request::Parts;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use tokio::task::AbortHandle;

use crate::Body;
use crate::python::context;
use crate::python::form::Limits;
use crate::python::objects::{HasRaised, Objects, Surroundings, SurroundingsId};
use crate::python::pyloop::{Looked, look};
use crate::python::ready::{ready, ready_late};
use crate::python::request::{Request, Wanted};
use crate::python::response::Response;
use crate::python::stream::{Arriving, RequestStream};
use crate::python::unread::STREAMED;
use crate::python::{attach, bridge, errors};
use crate::service::stopwatch::{Part, Stopwatch};
use crate::service::{LeafKind, Route, read_body};

/// What belongs to one request in one middleware. It holds no Python object.
pub(in crate::python) struct Exchange {
    objects: Weak<Objects>,
    inner: Route,
    /// For whom Python is entered.
    kind: LeafKind,
    watch: Option<Stopwatch>,
    /// The most bytes of the body that are read here.
    limit: usize,
    state: Mutex<State>,
}

struct State {
    /// Taken by `call_next`, which may be called once.
    parts: Option<Parts>,
    body: Held,
    /// What runs for this request on the runtime.
    running: Vec<AbortHandle>,
    /// What was lent to requests further in.
    lent: Vec<u64>,
    /// What the inner answer told the layers outside.
    told: Option<Extensions>,
    over: bool,
}

enum Held {
    Unread(Body),
    Read(Bytes),
    /// It is being read now.
    Reading,
    Streamed(Arc<Arriving>),
    Passed,
}

const READING: &str = "the body is being read already; await that first";
const PASSED: &str = "call_next has the body; read it before calling call_next";

/// What a task on the runtime brings back.
type Brought = Box<dyn FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send>;

impl Exchange {
    pub(super) fn new(
        objects: Weak<Objects>,
        inner: Route,
        kind: LeafKind,
        parts: Parts,
        body: Body,
        limit: usize,
    ) -> Arc<Self> {
        let watch = parts.extensions.get().cloned();
        let state = State {
            parts: Some(parts),
            body: Held::Unread(body),
            running: Vec::new(),
            lent: Vec::new(),
            told: None,
            over: false,
        };
        Arc::new(Self { objects, inner, kind, watch, limit, state: Mutex::new(state) })
    }

    // Never held while Python runs.
    fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        f(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn kind(&self) -> LeafKind {
        self.kind
    }

    pub(super) fn watch(&self) -> Option<&Stopwatch> {
        self.watch.as_ref()
    }

    /// Runs `work` beside the connection; gives a future of the loop that gets what it brings.
    fn spawn(
        self: &Arc<Self>,
        py: Python<'_>,
        work: impl Future<Output = Brought> + Send + 'static,
    ) -> PyResult<Py<PyAny>> {
        let kind = self.kind;
        let future = bridge::spawn_bringing(py, async move {
            let brought = work.await;
            move |py: Python<'_>| attach::on_loop(py, kind, brought)
        })?;
        let over = self.with(|state| {
            state.running.push(future.get().abort_handle());
            state.over
        });
        if over {
            self.end(py);
        }
        Ok(future.into_any().unbind())
    }

    /// What forms may hold.
    pub(in crate::python) fn limits_of_forms(&self) -> Arc<Limits> {
        self.objects.upgrade().map(|objects| objects.form_limits()).unwrap_or_default()
    }

    /// `request.body()`, `request.json()` and `request.form()` in a middleware.
    pub(in crate::python) fn read_body(self: &Arc<Self>, py: Python<'_>, wanted: Wanted) -> PyResult<Py<PyAny>> {
        let held = self.with(|state| match std::mem::replace(&mut state.body, Held::Reading) {
            Held::Read(bytes) => {
                state.body = Held::Read(bytes.clone());
                Ok(Held::Read(bytes))
            }
            Held::Unread(body) => Ok(Held::Unread(body)),
            Held::Reading => Err(READING),
            Held::Passed => {
                state.body = Held::Passed;
                Err(PASSED)
            }
            Held::Streamed(body) => {
                state.body = Held::Streamed(body);
                Err(STREAMED)
            }
        });
        match held.map_err(PyRuntimeError::new_err)? {
            Held::Read(bytes) => ready(py, wanted.of(py, &bytes)?),
            Held::Unread(body) => {
                let this = self.clone();
                self.spawn(py, async move {
                    let read = read_body(body, this.limit).await;
                    if let Ok(bytes) = &read {
                        this.with(|state| state.body = Held::Read(bytes.clone()));
                    }
                    Box::new(move |py: Python<'_>| match read {
                        Ok(bytes) => wanted.of(py, &bytes),
                        Err(problem) => Err(errors::http_error(py, &problem)),
                    }) as Brought
                })
            }
            Held::Reading | Held::Streamed(_) | Held::Passed => Err(errors::bug("a body that is not there was given")),
        }
    }

    /// `request.stream()` in a middleware.
    pub(in crate::python) fn stream(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let body = self.with(|state| match std::mem::replace(&mut state.body, Held::Reading) {
            Held::Unread(body) => {
                let body = Arriving::new(body, self.limit);
                state.body = Held::Streamed(body.clone());
                Ok(body)
            }
            held => {
                let body = match &held {
                    Held::Read(bytes) => Ok(Arriving::whole(bytes.clone())),
                    Held::Streamed(_) => Err(STREAMED),
                    Held::Passed => Err(PASSED),
                    Held::Unread(_) | Held::Reading => Err(READING),
                };
                state.body = held;
                body
            }
        });
        RequestStream::create(py, body.map_err(PyRuntimeError::new_err)?)
    }

    /// Calls the inner service; gives a future of the loop that gets the response.
    pub(super) fn call_next(self: &Arc<Self>, py: Python<'_>, request: &Bound<'_, Request>) -> PyResult<Py<PyAny>> {
        let taken = self.with(|state| {
            match state.body {
                Held::Reading => return Err("the body is being read; await that before calling call_next"),
                Held::Streamed(_) => {
                    return Err(
                        "request.stream() was given the body, and call_next has none to hand on; await request.body() in its place, which \
                         those further in read as well",
                    );
                }
                Held::Unread(_) | Held::Read(_) | Held::Passed => {}
            }
            let Some(parts) = state.parts.take() else {
                return Err("call_next was called already; a request goes in once");
            };
            Ok((parts, std::mem::replace(&mut state.body, Held::Passed)))
        });
        let (mut parts, held) = taken.map_err(PyRuntimeError::new_err)?;
        let body = match held {
            Held::Read(bytes) => Body::from(bytes),
            Held::Unread(body) => body,
            Held::Reading | Held::Streamed(_) | Held::Passed => Body::empty(),
        };
        let objects = self.objects.upgrade().ok_or_else(|| errors::bug("the application is gone"))?;
        let context = context::copy_current(py)?.unbind();
        let state = request.get().state_dict(py)?.clone().unbind();
        let id = objects.lend(Surroundings { context, state, raised: None });
        self.with(|state| state.lent.push(id));
        parts.extensions.insert(SurroundingsId(id));
        Stopwatch::turn(self.watch(), Part::Layers);
        let request = http::Request::from_parts(parts, body);
        // What native leaves do is not for the loop's thread.
        if self.kind != LeafKind::Python {
            let inner = self.inner.clone();
            return self.await_answer(py, id, async move { inner.answer(request).await });
        }
        let event_loop = bridge::running_pyloop(py)?;
        let looked = AssertUnwindSafe(|| look(&event_loop, || self.inner.answer(request)));
        match catch_unwind(looked).map_err(|panic| bridge::panicked(&*panic))?? {
            Looked::Ready(Ok(response)) => {
                let this = self.clone();
                ready_late(py, move |py| this.bring(py, id, response))
            }
            Looked::Pending(answer) => self.await_answer(py, id, answer),
        }
    }

    fn await_answer(
        self: &Arc<Self>,
        py: Python<'_>,
        lent: u64,
        answer: impl Future<Output = Result<crate::Response, Infallible>> + Send + 'static,
    ) -> PyResult<Py<PyAny>> {
        let this = self.clone();
        self.spawn(py, async move {
            let Ok(response) = answer.await;
            Stopwatch::turn(this.watch(), Part::Waiting);
            Box::new(move |py: Python<'_>| this.bring(py, lent, response)) as Brought
        })
    }

    /// Gives the middleware the answer of the inner service, or raises what it raised.
    fn bring(&self, py: Python<'_>, lent: u64, mut response: crate::Response) -> PyResult<Py<PyAny>> {
        Stopwatch::turn(self.watch(), Part::Python);
        let mut told = std::mem::take(response.extensions_mut());
        let has_raised = told.remove::<HasRaised>().is_some();
        self.with(|state| state.told = Some(told));
        if has_raised && let Some((error, _)) = self.objects.upgrade().and_then(|all| all.take_raised(lent)) {
            return Err(error);
        }
        Ok(Py::new(py, Response::from_http(py, response)?)?.into_any())
    }

    /// Ends what still runs for this request and releases what was lent. To be called on the loop thread.
    pub(super) fn end(&self, py: Python<'_>) {
        let (running, lent, streamed) = self.with(|state| {
            state.over = true;
            let streamed = if let Held::Streamed(body) = &state.body { Some(body.clone()) } else { None };
            (std::mem::take(&mut state.running), std::mem::take(&mut state.lent), streamed)
        });
        if let Some(body) = streamed {
            body.cut();
        }
        for task in running {
            task.abort();
        }
        if let Some(objects) = self.objects.upgrade() {
            for id in lent {
                let lent = objects.take_back(id);
                if let Some(Surroundings { raised: Some((error, whose)), .. }) = &lent {
                    // Whatever answered in its place, nobody has seen it.
                    errors::log(py, error, whose);
                }
                drop(lent);
            }
        }
    }

    /// Adds to a middleware's answer what the inner one told the layers outside, as which route it was.
    pub(super) fn tell(&self, response: &mut crate::Response) {
        if let Some(told) = self.with(|state| state.told.take()) {
            response.extensions_mut().extend(told);
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        // Only tasks: a loop that was closed under the middleware never called `end`, and the slots go with the app.
        for task in self.state.get_mut().unwrap_or_else(PoisonError::into_inner).running.drain(..) {
            task.abort();
        }
    }
}
