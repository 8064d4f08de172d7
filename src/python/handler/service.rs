//! The leaf: checks a request on the worker, and hands it over.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use tower_service::Service;

use super::job::{Call, Input, LoopCall};
use super::plan::{Param, Plan, Source};
use super::scalar::{Scalar, read};
use crate::Body;
use crate::python::catch::{Refused, Rules};
use crate::python::headers::text;
use crate::python::objects::{Objects, Shared, SurroundingsId};
use crate::python::pyloop::{Answer, Submitted, reply};
use crate::python::refusal;
use crate::python::request::Head;
use crate::python::unfinished::Rest;
use crate::service::{IsProblem, Location, PathParams, Problem, Request, Response, Violation, query_pairs, read_body};

/// Answers requests with a Python handler.
///
/// It is always ready. When Python is busy beyond its limits it answers 503 at once, and when the client goes away the
/// handler's coroutine is cancelled.
#[derive(Clone)]
pub(in crate::python) struct PyHandlerService(Arc<Inner>);

struct Inner {
    plan: Arc<Plan>,
    handler: usize,
    objects: Weak<Objects>,
    shared: Arc<Shared>,
    rules: Option<Arc<Rules>>,
}

impl PyHandlerService {
    /// `rules` are those of the route's handlers of exceptions.
    pub(in crate::python) fn new(
        plan: Arc<Plan>,
        handler: usize,
        objects: Weak<Objects>,
        shared: Arc<Shared>,
        rules: Option<Arc<Rules>>,
    ) -> Self {
        Self(Arc::new(Inner { plan, handler, objects, shared, rules }))
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
        let inner = self.0.clone();
        let (parts, body) = request.into_parts();
        if inner.plan.body.is_some() || inner.plan.needs_request() {
            return Box::pin(async move { Ok(inner.answer_to_body(parts, body).await) });
        }
        let scalars = match inner.plan.read(&parts) {
            Ok(scalars) => scalars,
            Err(problem) => return Box::pin(async move { Ok(inner.refuse(problem, parts).await) }),
        };
        // Handed over at once, so that what the future holds while Python is busy is little.
        match inner.submit(parts, scalars, Bytes::new()) {
            Ok(waiting) => Box::pin(async move { Ok(inner.finish(waiting, body).await) }),
            Err(problem) => Box::pin(ready(Ok(problem.into_response()))),
        }
    }
}

impl Inner {
    async fn answer_to_body(&self, parts: Parts, body: Body) -> Response {
        let read = async {
            let scalars = self.plan.read(&parts)?;
            Ok((scalars, self.read_body(&parts.headers, body).await?))
        };
        let (scalars, bytes) = match read.await {
            Ok(read) => read,
            Err(problem) => return self.refuse(problem, parts).await,
        };
        match self.submit(parts, scalars, bytes) {
            Ok(waiting) => self.finish(waiting, Body::empty()).await,
            Err(problem) => problem.into_response(),
        }
    }

    /// The answer to a request that does not fit the plan.
    async fn refuse(&self, problem: Problem, parts: Parts) -> Response {
        match &self.rules {
            Some(rules) if rules.holds(problem.status()) => {
                rules.offer(problem.into_response(), Refused::new(parts)).await
            }
            _ => problem.into_response(),
        }
    }

    /// Waits for the answer. `unread` is kept until it is there: what belongs to the request must not end before it.
    async fn finish(&self, waiting: Waiting, unread: Body) -> Response {
        let Waiting { answer, _submitted, head } = waiting;
        let answer = answer.await;
        drop(unread);
        let mut response = answer.unwrap_or_else(|_| refusal::lost().into_response());
        match Rest::take(&mut response) {
            None => self.offered(response),
            Some(rest) => Box::pin(self.complete(rest, head)).await,
        }
    }

    async fn complete(&self, rest: Rest, head: Option<Parts>) -> Response {
        match (rest, &self.rules) {
            (Rest::Raised(raised), Some(rules)) => self.offered(rules.answer(raised, head.map(Refused::new)).await),
            (Rest::Raised(_), None) => Problem::internal().into_response(),
        }
    }

    /// A layer of rules outside has nothing to offer of what Python answered.
    fn offered(&self, mut response: Response) -> Response {
        if self.rules.is_some() {
            response.extensions_mut().remove::<IsProblem>();
        }
        response
    }

    async fn read_body(&self, headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
        let bytes = read_body(body, BOUNDED_OUTSIDE).await?;
        if let Some(plan) = &self.plan.body {
            if !bytes.is_empty() {
                check_media_type(headers)?;
            } else if plan.default.is_none() {
                return Err(missing_body());
            }
        }
        Ok(bytes)
    }

    fn submit(&self, parts: Parts, scalars: Vec<Scalar>, body: Bytes) -> Result<Waiting, Problem> {
        let surroundings = parts.extensions.get::<SurroundingsId>().map(|id| id.0);
        let watch = parts.extensions.get().cloned();
        let (head, kept) = match self.plan.needs_request() {
            true => (Some(Box::new(Head::new(parts))), None),
            false => (None, Some(parts)),
        };
        let (reply, answer) = reply(watch);
        let call = Call {
            handler: self.handler,
            objects: self.objects.clone(),
            input: Input { scalars, body, head },
            surroundings,
            reply,
        };
        if !self.plan.is_async {
            self.shared.sync.submit(call).map_err(|_| refusal::overloaded())?;
            return Ok(Waiting { answer, _submitted: None, head: kept });
        }
        let Some(event_loop) = self.shared.event_loop() else {
            return Err(refusal::not_running());
        };
        let submitted = event_loop.submit(Box::new(LoopCall(call))).map_err(refusal::of_overload)?;
        Ok(Waiting { answer, _submitted: Some(submitted), head: kept })
    }
}

/// A call that was handed over. Dropping it, as when the client goes away, cancels the coroutine.
struct Waiting {
    answer: Answer,
    _submitted: Option<Submitted>,
    /// Where Python was not given it: an answer may depend on it.
    head: Option<Parts>,
}

/// The body-limit layer, which every app has, bounds what is read.
pub(in crate::python) const BOUNDED_OUTSIDE: usize = usize::MAX;

fn missing_body() -> Problem {
    Problem::validation(vec![Violation::new(Location::Pointer(String::new()), "missing", "a JSON body is needed")])
}

/// `application/json`, or any type that ends with `+json`. None said is refused too: a page of another site may send a body
/// without a type, and must not get through by that.
fn check_media_type(headers: &HeaderMap) -> Result<(), Problem> {
    let text = headers.get(CONTENT_TYPE).and_then(|given| given.to_str().ok()).unwrap_or_default();
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let json = essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"));
    if json {
        return Ok(());
    }
    Err(Problem::of(StatusCode::UNSUPPORTED_MEDIA_TYPE).detail("this route takes application/json"))
}

impl Plan {
    /// All parameters, in the plan's order; or all that is wrong with them.
    fn read(&self, parts: &Parts) -> Result<Vec<Scalar>, Problem> {
        let mut scalars = Vec::with_capacity(self.params.len());
        let mut wrong = Vec::new();
        let path = parts.extensions.get::<PathParams>();
        let pairs: Vec<_> = match parts.uri.query() {
            Some(text) if self.needs_query() => query_pairs(text).collect::<Result<_, _>>()?,
            _ => Vec::new(),
        };
        for param in &self.params {
            let found = match param.source {
                Source::Path => {
                    let value = path.and_then(|path| path.at(param.position));
                    param.one(value)
                }
                Source::Query => {
                    let mut values = pairs.iter().filter(|(name, _)| *name == param.alias).map(|(_, value)| &**value);
                    if param.many { param.all(values) } else { param.one(values.next_back()) }
                }
                Source::Header => {
                    let values: Vec<String> = parts.headers.get_all(&param.alias).iter().map(text).collect();
                    let mut values = values.iter().map(String::as_str);
                    if param.many { param.all(values) } else { param.one(values.next_back()) }
                }
            };
            match found {
                Ok(scalar) => scalars.push(scalar),
                Err(violations) => wrong.extend(violations),
            }
        }
        if wrong.is_empty() { Ok(scalars) } else { Err(Problem::validation(wrong)) }
    }
}

impl Param {
    fn location(&self) -> Location {
        match self.source {
            Source::Path => Location::Path(self.alias.clone()),
            Source::Query => Location::Parameter(self.alias.clone()),
            Source::Header => Location::Header(self.alias.clone()),
        }
    }

    fn one(&self, value: Option<&str>) -> Result<Scalar, Vec<Violation>> {
        match (value, self.default) {
            (Some(text), _) => self.read(text).map_err(|violation| vec![violation]),
            (None, Some(default)) => Ok(Scalar::Object(default)),
            (None, None) => Err(vec![Violation::new(self.location(), "missing", "is required")]),
        }
    }

    fn all<'a>(&self, values: impl Iterator<Item = &'a str>) -> Result<Scalar, Vec<Violation>> {
        let mut items = Vec::new();
        let mut wrong = Vec::new();
        for text in values {
            match self.read(text) {
                Ok(item) => items.push(item),
                Err(violation) => wrong.push(violation),
            }
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        if items.is_empty() { self.one(None) } else { Ok(Scalar::List(items)) }
    }

    fn read(&self, text: &str) -> Result<Scalar, Violation> {
        read(text, self.kind, &self.members, &self.rule, || self.location())
    }
}
