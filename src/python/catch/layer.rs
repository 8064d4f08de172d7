use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

use super::rules::Refused;
use super::{RaisedInside, Rules};
use crate::python::objects::SurroundingsId;
use crate::python::request::{BodySource, Head};
use crate::python::unfinished;
use crate::service::{LeafInfo, LeafKind, Request, Response, ResponseFuture, Route};

/// Offers the problems of what is inside to handlers of exceptions.
#[derive(Clone)]
pub(in crate::python) struct CatchLayer {
    rules: Arc<Rules>,
    has_hooks: bool,
}

impl CatchLayer {
    /// As it is called in a printed stack.
    pub(in crate::python) const NAME: &'static str = "ExceptionHandlers";

    pub(in crate::python) fn new(rules: Arc<Rules>) -> Self {
        Self { rules, has_hooks: false }
    }

    /// What is inside has hooks, whose exceptions are for the handlers, too.
    pub(in crate::python) fn of_hooks(self) -> Self {
        Self { has_hooks: true, ..self }
    }

    /// The answer to a request that no leaf is for.
    pub(in crate::python) fn refuse(&self, request: Request, response: Response) -> ResponseFuture {
        let (rules, refused) = (self.rules.clone(), refused(request.into_parts().0));
        ResponseFuture::new(async move { Ok(rules.offer(response, refused).await) })
    }
}

impl Layer<Route> for CatchLayer {
    type Service = Catch;

    fn layer(&self, inner: Route) -> Catch {
        Catch { rules: self.rules.clone(), has_hooks: self.has_hooks, inner }
    }
}

/// A service whose problems are offered.
#[derive(Clone)]
pub(in crate::python) struct Catch {
    rules: Arc<Rules>,
    has_hooks: bool,
    inner: Route,
}

impl Service<Request> for Catch {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        let calls_hooks = self.has_hooks && leaf_of(&parts).is_some_and(|leaf| !leaf.hooks.is_empty());
        let refused = Refused {
            head: Head::of(&parts),
            body: BodySource::Gone,
            surroundings: parts.extensions.get::<SurroundingsId>().map(|id| id.0),
            kind: kind_of(&parts),
        };
        let rules = self.rules.clone();
        let inside = calls_hooks.then(|| RaisedInside::new(rules.index));
        if let Some(inside) = &inside {
            parts.extensions.insert(inside.clone());
        }
        let answer = self.inner.answer(Request::from_parts(parts, body));
        Box::pin(async move {
            let Ok(response) = answer.await;
            let left = inside.and_then(|inside| Some((inside.take()?, inside.take_waits())));
            Ok(match left {
                Some((raised, waits)) => unfinished::finished(rules.answer(raised, Some(refused), waits).await).await,
                None => rules.offer(response, refused).await,
            })
        })
    }
}

fn leaf_of(parts: &http::request::Parts) -> Option<&Arc<LeafInfo>> {
    parts.extensions.get()
}

fn kind_of(parts: &http::request::Parts) -> LeafKind {
    leaf_of(parts).map_or(LeafKind::Python, |leaf| leaf.kind)
}

fn refused(parts: http::request::Parts) -> Refused {
    let surroundings = parts.extensions.get::<SurroundingsId>().map(|id| id.0);
    let kind = kind_of(&parts);
    Refused { head: Head::new(parts), body: BodySource::Gone, surroundings, kind }
}

impl Refused {
    /// Of a request whose head nobody needs any longer.
    pub(in crate::python) fn new(parts: http::request::Parts) -> Self {
        refused(parts)
    }
}
