use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

use super::Rules;
use super::rules::Refused;
use crate::python::objects::SurroundingsId;
use crate::python::request::{BodySource, Head};
use crate::service::{LeafInfo, LeafKind, Request, Response, ResponseFuture, Route};

/// Offers the problems of what is inside to handlers of exceptions.
#[derive(Clone)]
pub(in crate::python) struct CatchLayer(Arc<Rules>);

impl CatchLayer {
    /// As it is called in a printed stack.
    pub(in crate::python) const NAME: &'static str = "ExceptionHandlers";

    pub(in crate::python) fn new(rules: Arc<Rules>) -> Self {
        Self(rules)
    }

    /// The answer to a request that no leaf is for.
    pub(in crate::python) fn refuse(&self, request: Request, response: Response) -> ResponseFuture {
        let (rules, refused) = (self.0.clone(), refused(request.into_parts().0));
        ResponseFuture::new(async move { Ok(rules.offer(response, refused).await) })
    }
}

impl Layer<Route> for CatchLayer {
    type Service = Catch;

    fn layer(&self, inner: Route) -> Catch {
        Catch { rules: self.0.clone(), inner }
    }
}

/// A service whose problems are offered.
#[derive(Clone)]
pub(in crate::python) struct Catch {
    rules: Arc<Rules>,
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
        let (parts, body) = request.into_parts();
        let refused = Refused {
            head: Head::of(&parts),
            body: BodySource::Gone,
            surroundings: parts.extensions.get::<SurroundingsId>().map(|id| id.0),
            kind: kind_of(&parts),
        };
        let answer = self.inner.answer(Request::from_parts(parts, body));
        let rules = self.rules.clone();
        Box::pin(async move {
            let Ok(response) = answer.await;
            Ok(rules.offer(response, refused).await)
        })
    }
}

fn kind_of(parts: &http::request::Parts) -> LeafKind {
    parts.extensions.get::<Arc<LeafInfo>>().map_or(LeafKind::Python, |leaf| leaf.kind)
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
