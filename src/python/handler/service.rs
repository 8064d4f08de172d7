//! The leaf: checks a request on the worker, and hands it over.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use http::request::Parts;
use http_body::Body as _;
use pyo3::prelude::*;
use tower_service::Service;

use super::callable::Input;
use super::content::Content;
use super::job::{Call, LoopCall};
use super::kept::Thread;
use super::plan::{Mode, Plan};
use super::run::Answered;
use super::scalar::Scalar;
use super::switch::Switch;
use super::sync::Work;
use super::yielding::RaisedFirst;
use crate::python::background;
use crate::python::bridge::{OnLoop, Raised};
use crate::python::catch::{Refused, Rules};
use crate::python::objects::{Objects, Shared, SurroundingsId};
use crate::python::presence::Waits;
use crate::python::pyloop::{Answer, Submitted, reply};
use crate::python::refusal;
use crate::python::request::{Head, Request as PyRequest};
use crate::python::stream::{begun, held};
use crate::python::unfinished::Rest;
use crate::python::unread::Unread;
use crate::python::websocket::{Link, Speaks};
use crate::service::{IsProblem, Problem, Request, Response};
use crate::{Body, BoxError};

/// Answers requests with a Python handler.
///
/// It is always ready. When Python is busy beyond its limits it answers 503 at once, and when the client goes away the
/// handler's coroutine is cancelled.
#[derive(Clone)]
pub(in crate::python) struct PyHandlerService(Arc<Inner>);

struct Inner {
    plan: Arc<Plan>,
    handler: usize,
    switch: Arc<Switch>,
    objects: Weak<Objects>,
    shared: Arc<Shared>,
    rules: Option<Arc<Rules>>,
}

impl PyHandlerService {
    /// `rules` are those of the route's handlers of exceptions.
    pub(in crate::python) fn new(
        plan: Arc<Plan>,
        handler: usize,
        objects: &Arc<Objects>,
        shared: Arc<Shared>,
        rules: Option<Arc<Rules>>,
    ) -> Self {
        let switch = objects.handler(handler).switch.clone();
        Self(Arc::new(Inner { plan, handler, switch, objects: Arc::downgrade(objects), shared, rules }))
    }

    /// It, or what stands in for it.
    fn now(&self) -> Arc<Inner> {
        match self.0.switch.now() {
            None => self.0.clone(),
            Some((plan, handler)) => Arc::new(self.0.with(plan, handler)),
        }
    }

    /// Hands a handshake over to a handler that speaks on a WebSocket.
    ///
    /// # Errors
    /// The answer to one whose parameters are wrong, or for which there is no room.
    pub(in crate::python) async fn open(&self, parts: Parts, socket: Arc<Link>) -> Result<(Speaks, Called), Response> {
        self.now().open(parts, socket).await
    }

    /// The answer to a handshake that is wrong.
    pub(in crate::python) async fn refuse(&self, problem: Problem, parts: Parts) -> Response {
        self.0.refuse(problem, parts).await
    }
}

impl Service<Request> for PyHandlerService {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let inner = self.now();
        let (parts, body) = request.into_parts();
        if inner.plan.body.is_some() || inner.plan.reads_form || inner.plan.needs_request() {
            return Box::pin(async move { Ok(inner.answer_to_body(parts, body).await) });
        }
        let scalars = match inner.plan.read(&parts) {
            Ok(scalars) => scalars,
            Err(problem) => return Box::pin(async move { Ok(inner.refuse(problem, parts).await) }),
        };
        // Handed over at once, before anything is awaited; what is kept of the head is for answers that depend on it, as files do.
        match inner.submit(parts, scalars, Content::empty()) {
            Ok(waiting) => Box::pin(async move { Ok(inner.finish(waiting, body).await) }),
            Err(problem) => Box::pin(ready(Ok(inner.plan.format.response(problem)))),
        }
    }
}

impl Inner {
    /// The same for what stands in for it.
    fn with(&self, plan: Arc<Plan>, handler: usize) -> Self {
        let Self { switch, objects, shared, rules, .. } = self;
        let (switch, rules) = (switch.clone(), rules.clone());
        Self { plan, handler, switch, objects: objects.clone(), shared: shared.clone(), rules }
    }

    async fn open(self: Arc<Self>, parts: Parts, socket: Arc<Link>) -> Result<(Speaks, Called), Response> {
        let scalars = match self.plan.read(&parts) {
            Ok(scalars) => scalars,
            Err(problem) => return Err(self.refuse(problem, parts).await),
        };
        let surroundings = parts.extensions.get::<SurroundingsId>().map(|id| id.0);
        let claims = if self.plan.needs_claims() { parts.extensions.get().cloned() } else { None };
        let head = Some(Box::new(Head::new(parts).apart()));
        // It is not one answer that is waited for, so no stopwatch runs.
        let (reply, answer) = reply(None);
        let input = Input { scalars, body: Content::empty(), head, claims, socket: Some(socket) };
        let (handler, objects) = (self.handler, self.objects.clone());
        let call = Call { handler, objects, input, surroundings, reply, answered: None, running: None };
        let Some(event_loop) = self.shared.event_loop() else {
            return Err(self.plan.format.response(refusal::not_running()));
        };
        let submitted = event_loop.submit(Box::new(LoopCall(call)));
        let submitted = submitted.map_err(|why| self.plan.format.response(refusal::of_overload(why)))?;
        Ok((Speaks { answer, submitted: Some(submitted) }, Called { surroundings, inner: self }))
    }

    async fn answer_to_body(&self, parts: Parts, body: Body) -> Response {
        let read = async {
            let mut scalars = self.plan.read(&parts)?;
            let content = Content::read(&self.plan, &parts, body, &mut scalars).await?;
            Ok((scalars, content))
        };
        let (scalars, content) = match read.await {
            Ok(read) => read,
            Err(problem) => return self.refuse(problem, parts).await,
        };
        let unread = match &content {
            Content::Unread(unread) => Some(EndUnread(unread.clone())),
            Content::Bytes(_) | Content::Form(_) => None,
        };
        match self.submit(parts, scalars, content) {
            Ok(waiting) => {
                let response = self.finish(waiting, Body::empty()).await;
                match unread {
                    // What is sent in pieces may be made of what is read meanwhile.
                    Some(unread) if response.body().as_bytes().is_none() && !response.body().is_end_stream() => {
                        response.map(|body| held(body, unread))
                    }
                    _ => response,
                }
            }
            Err(problem) => self.plan.format.response(problem),
        }
    }

    /// The answer to a request that does not fit the plan.
    async fn refuse(&self, problem: Problem, parts: Parts) -> Response {
        let holds = self.rules.as_ref().filter(|rules| rules.holds(problem.status()));
        let response = self.plan.format.response(problem);
        match holds {
            Some(rules) => rules.offer(response, Refused::new(parts)).await,
            None => response,
        }
    }

    /// Waits for the answer. `unread` is kept until it is there: what belongs to the request must not end before it.
    async fn finish(&self, waiting: Waiting, unread: Body) -> Response {
        // Dropped from the last to the first: the handler, when it is cancelled, finds that nobody waits.
        let Waiting { answer, mut tied, head, surroundings, waits } = waiting;
        let answer = answer.await;
        tied.answered();
        drop(unread);
        let answer = answer.unwrap_or_else(|_| refusal::lost().into_response());
        let response = self.finished(answer, head, surroundings).await;
        match waits {
            Some(waits) => waits.for_body(response),
            None => response,
        }
    }

    async fn finished(&self, mut response: Response, head: Option<Parts>, surroundings: Option<u64>) -> Response {
        match Rest::take(&mut response) {
            None => self.offered(response),
            Some(rest) => Box::pin(self.complete(response, rest, head, surroundings)).await,
        }
    }

    /// Does what is left to do of an answer, until nothing is.
    async fn complete(
        &self,
        mut response: Response,
        mut rest: Rest,
        mut head: Option<Parts>,
        surroundings: Option<u64>,
    ) -> Response {
        loop {
            response = match (rest, &self.rules) {
                (Rest::First(request), _) => match begun(response).await {
                    Ok(response) => response,
                    Err(error) => self.raised_first(error, request, surroundings).await,
                },
                (Rest::Raised(raised), Some(rules)) => rules.answer(raised, head.take().map(Refused::new), None).await,
                (Rest::Raised(_), None) => Problem::internal().into_response(),
                (Rest::File(file), _) => file.answer(response, head.as_ref()).await,
            };
            match Rest::take(&mut response) {
                Some(more) => rest = more,
                None => return self.offered(background::with_body(response)),
            }
        }
    }

    /// The answer where a handler that yields raised an exception first.
    async fn raised_first(
        &self,
        error: BoxError,
        request: Option<OnLoop<Py<PyRequest>>>,
        surroundings: Option<u64>,
    ) -> Response {
        // All that fails in a body of Python's is Python's.
        let Ok(raised) = error.downcast::<Raised>() else { return Problem::internal().into_response() };
        let Some(event_loop) = self.shared.event_loop() else { return refusal::lost().into_response() };
        let (reply, answer) = reply(None);
        let (handler, objects) = (self.handler, self.objects.clone());
        let job = RaisedFirst { handler, raised: *raised, request, objects, surroundings, reply };
        match event_loop.submit(Box::new(job)) {
            Ok(_submitted) => answer.await.unwrap_or_else(|_| refusal::lost().into_response()),
            Err(why) => {
                tracing::error!(handler = self.plan.name, %why, "a handler failed, and its exception could not be told");
                refusal::of_overload(why).into_response()
            }
        }
    }

    /// A layer of rules outside has nothing to offer of what Python answered.
    fn offered(&self, mut response: Response) -> Response {
        if self.rules.is_some() {
            response.extensions_mut().remove::<IsProblem>();
        }
        response
    }

    fn submit(&self, parts: Parts, scalars: Vec<Scalar>, body: Content) -> Result<Waiting, Problem> {
        let surroundings = parts.extensions.get::<SurroundingsId>().map(|id| id.0);
        let watch = parts.extensions.get().cloned();
        let claims = if self.plan.needs_claims() { parts.extensions.get().cloned() } else { None };
        let (head, kept) = match self.plan.needs_request() {
            true => (Some(Box::new(Head::new(parts))), None),
            false => (None, Some(parts)),
        };
        let waits = head.as_ref().map(|head| head.waits());
        let (reply, answer) = reply(watch);
        let answered = matches!(self.plan.mode, Mode::Run | Mode::Answer).then(Answered::default);
        let thread = (!self.plan.is_async).then(|| Thread::new(&self.plan)).unzip();
        let call = Call {
            handler: self.handler,
            objects: self.objects.clone(),
            input: Input { scalars, body, head, claims, socket: None },
            surroundings,
            reply,
            answered: answered.clone(),
            running: thread.1,
        };
        if let Some(thread) = thread.0 {
            self.shared.sync.submit(Work::Call(Box::new(call))).map_err(|_| refusal::overloaded())?;
            return Ok(Waiting { answer, tied: Tied::Thread(thread), head: kept, surroundings, waits });
        }
        let Some(event_loop) = self.shared.event_loop() else {
            return Err(refusal::not_running());
        };
        let submitted = event_loop.submit(Box::new(LoopCall(call))).map_err(refusal::of_overload)?;
        let tied = Tied::Loop { _coroutine: Coroutine { submitted: Some(submitted), answered } };
        Ok(Waiting { answer, tied, head: kept, surroundings, waits })
    }
}

/// A handler of WebSockets that was called.
pub(in crate::python) struct Called {
    surroundings: Option<u64>,
    inner: Arc<Inner>,
}

impl Called {
    /// What is sent where the handler has not accepted.
    pub(in crate::python) async fn answer(&self, ended: Option<Response>) -> Response {
        let ended = ended.unwrap_or_else(|| refusal::lost().into_response());
        self.inner.finished(ended, None, self.surroundings).await
    }
}

/// Lets go of what of a body nobody has read, when the answer was handed over or the client goes away.
struct EndUnread(Arc<Unread>);

impl Drop for EndUnread {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// A call that was handed over. Dropping it, as when the client goes away, cancels the coroutine.
struct Waiting {
    // Dropped first.
    waits: Option<Waits>,
    answer: Answer,
    tied: Tied,
    /// Where Python was not given it: an answer may depend on it.
    head: Option<Parts>,
    surroundings: Option<u64>,
}

/// What runs for it.
enum Tied {
    Loop { _coroutine: Coroutine },
    Thread(Thread),
}

impl Tied {
    fn answered(&mut self) {
        if let Self::Thread(thread) = self {
            thread.answered();
        }
    }
}

/// Ends a coroutine when it is dropped, but not one that has answered and cleans up.
struct Coroutine {
    submitted: Option<Submitted>,
    answered: Option<Answered>,
}

impl Drop for Coroutine {
    fn drop(&mut self) {
        if self.answered.as_ref().is_some_and(|answered| answered.load(Ordering::Acquire))
            && let Some(submitted) = self.submitted.take()
        {
            submitted.detach();
        }
    }
}

/// The body-limit layer, which every app has, bounds what is read.
pub(in crate::python) const BOUNDED_OUTSIDE: usize = usize::MAX;
